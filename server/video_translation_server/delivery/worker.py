"""The delivery loop: wait for work, claim it, attempt it, settle it.

All state that matters is in the store; what is held here are the leases under way, given back on a stop.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog

from video_translation_server.clock import Clock
from video_translation_server.delivery.ahead import Ahead
from video_translation_server.delivery.attempt import Attempter, Flight, log_settlements
from video_translation_server.delivery.reservation import Reservation
from video_translation_server.errors import StoreError
from video_translation_server.model import Claim, Outcome, Settlement
from video_translation_server.probe import Probe, unobserved
from video_translation_server.store import Store

log = structlog.get_logger("delivery")
T = TypeVar("T")

LINGER = 0.01
"""Seconds that a finished attempt waits for others to be settled with, while others are under way."""
BATCH = 256
"""Finished attempts that are settled without further waiting."""
MOST_LEASED = 4
"""Leases held at most, as a multiple of the attempts under way at a time."""


class Worker:
    """Claims due deliveries and attempts them, at most `concurrency` at a time.

    A lease passes three stations: claimed ahead (`_ahead`), under way (`_under_way`), ended but not yet settled
    (`_finished`, then `_settling`). From the first it may go back unsent (`_stale`).
    """

    def __init__(
        self,
        store: Store,
        attempter: Attempter,
        clock: Clock,
        *,
        concurrency: int,
        per_endpoint: int,
        lease: float,
        poll_interval: float,
        drain_timeout: float = 0.0,
        probe: Probe = unobserved,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing runs until `run`; `lease`, `poll_interval` and `drain_timeout` are seconds.

        `monotonic` is what leases are judged by before they are used: seconds that also pass in a frozen process
        (not on a suspended machine).
        """
        self._store = store
        self._attempter = attempter
        self._clock = clock
        self._concurrency = concurrency
        self._per_endpoint = per_endpoint
        self._lease = lease
        self._poll_interval = poll_interval
        self._drain_timeout = drain_timeout
        self._probe = probe
        self._monotonic = monotonic
        self._under_way: dict[asyncio.Future[Outcome], Flight] = {}
        self._finished: list[Settlement] = []
        self._settling: list[Settlement] = []
        self._pace = 0
        self._asked_for = 0
        self._looked_at = clock.now()
        self._line_is_served = False
        self._lingering: asyncio.TimerHandle | None = None
        self._settles = self._stopping = False
        self._wake = asyncio.Event()
        self._ahead = Ahead(lease, monotonic, self._wake.set)

    async def run(self) -> None:
        """Deliver until cancelled; then let the attempts under way end, for `drain_timeout` seconds.

        What is still under way after that is aborted, and its leases are given back. Where the store fails, nothing is
        aborted: what is under way goes on, and is settled when this runs again.

        Raises:
            StoreError: The store has failed.
        """
        renewing = asyncio.create_task(self._renewing())
        try:
            with self._store.bells.deliveries.listen(self._wake), self._store.handing_over_to(self):
                self._go_on()
                while True:
                    await self._wait()
                    await _unbroken(self._turn())
        except StoreError:
            self._stopping = True
            raise
        except BaseException:
            await self._stop()
            raise
        finally:
            renewing.cancel()

    def _go_on(self) -> None:
        """Take up what is left from before, or from before the store failed."""
        self._stopping = False
        self._line_is_served = False
        self._begin()
        self._wake.set()  # who begins looks at once: nobody rings for what was there before
        if self._finished:
            self._settle_soon()

    async def _wait(self) -> None:
        """Until a bell, enough settlements, or the next due time: the store is asked for it only when idle.

        Due is also what has become so during the last turn: nobody rings for it.
        """
        if not self._wake.is_set():
            due = await self._store.next_delivery_due(self._looked_at)
            poll = self._looked_at + self._poll_interval
            await self._clock.wait(self._wake, poll if due is None else min(due, poll))
        self._wake.clear()

    async def _turn(self) -> None:
        """Settle what has finished and claim what there is room for: in one transaction where both are due.

        A bell alone settles nothing: what is to be sent now does not wait for the disk on behalf of what was.
        """
        self._looked_at = self._clock.now()
        steps = []
        if self._ahead.stale:
            # Where that fails, the leases run out by themselves.
            steps.append(self._store.release(self._ahead.take_stale()))
        if self._settles:
            self._stop_lingering()
            if self._finished:
                steps.append(self._settle())
        room = self._asked_for = max(self._room(), 0)
        if room:
            steps.append(self._claim(room))
        else:
            self._line_is_served = False  # who has come into it since is to be the next that there is room for
        # Both to their ends, also where one fails: what the other has claimed must not be lost sight of.
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _room(self) -> int:
        """How many to claim: as many as may be under way, and ahead of them as many as were settled last.

        So there is something to send while the store is busy with the next turn; with slow receivers, next to
        nothing is held ahead of its time.
        """
        to_send = len(self._under_way) + len(self._ahead) + self._asked_for
        leased = to_send + len(self._finished) + len(self._settling)
        return min(self._concurrency + self._pace - to_send, MOST_LEASED * self._concurrency - leased)

    async def _claim(self, room: int) -> None:
        asked_at = self._monotonic()
        try:
            claims = await self._store.claim(
                self._looked_at, limit=room, per_endpoint=self._per_endpoint, lease=self._lease
            )
        finally:
            self._asked_for = 0
        self._line_is_served = len(claims) < room
        self._probe("after claim")
        self._ahead.add(claims, asked_at=asked_at)
        self._begin()

    def reserve(self, most: int) -> Reservation | None:
        """Keep room for what is about to be recorded and can be sent at once; none while others wait for it in line.

        What could only be held ahead is claimed as well later, with much else and for less.
        """
        if self._stopping or not self._line_is_served:
            return None
        places = min(most, self._concurrency - len(self._under_way) - len(self._ahead) - self._asked_for)
        if places <= 0:
            return None
        return self._ahead.reserve(places, now=self._clock.now(), per_endpoint=self._per_endpoint, taken=self._take)

    def _take(self, reservation: Reservation, claims: Sequence[Claim]) -> None:
        """Send what was handed over as it was recorded."""
        self._ahead.take(reservation, claims)
        if claims:
            self._probe("after claim")
            self._begin()
        else:
            self._wake.set()  # somebody may wait for that room, and for a record that failed no bell rings

    def _begin(self) -> None:
        """Send what was claimed, as far as there is room."""
        while len(self._under_way) < self._concurrency and not self._stopping:
            claim = self._ahead.next()
            if claim is None:
                break
            try:
                flight = self._attempter.begin(claim)
            except Exception:  # a bug of ours: its lease runs out, then it is tried again
                log.exception("attempt crashed", event_id=claim.event_id, endpoint_id=claim.endpoint_id)
                continue
            self._under_way[flight.outcome] = flight
            flight.outcome.add_done_callback(self._end)

    def _end(self, outcome: asyncio.Future[Outcome]) -> None:
        """An attempt has ended: it is settled at once when nothing else is under way, else soon, with others."""
        flight = self._under_way.pop(outcome)
        if not outcome.cancelled():
            try:
                self._finished.append(self._attempter.judge(flight))
            except Exception:  # as above
                claim = flight.claim
                log.exception("attempt crashed", event_id=claim.event_id, endpoint_id=claim.endpoint_id)
        self._begin()
        if not self._under_way or len(self._finished) >= BATCH:
            self._settle_soon()
        elif self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._settle_soon)

    def _settle_soon(self) -> None:
        self._settles = True
        self._wake.set()

    def _stop_lingering(self) -> None:
        self._settles = False
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    async def _settle(self) -> None:
        """Settle what has finished."""
        self._settling, self._finished = self._finished, []
        self._pace = len(self._settling)
        self._probe("before settle")
        try:
            held = await self._store.settle(self._settling, now=self._clock.now())
        except StoreError:
            # The answers are known but not on disk: keep them, so that a later turn can still settle them.
            self._finished = self._settling + self._finished
            self._settle_soon()
            raise
        finally:
            settled, self._settling = self._settling, []
        log_settlements(settled, held)

    def _leases(self) -> list[Claim]:
        """Every claim that is held."""
        ended = [settlement.claim for settlement in (*self._finished, *self._settling)]
        return [*self._ahead.claims, *(flight.claim for flight in self._under_way.values()), *ended]

    async def _renewing(self) -> None:
        """Extend the leases well before they run out; leases run on real time."""
        while True:
            await asyncio.sleep(self._lease / 3)
            claims, asked_at = self._leases(), self._monotonic()
            if not claims:
                continue
            try:
                held = await self._store.renew_claims(claims, lease=self._lease)
                self._ahead.note_renewed(claims, held, asked_at=asked_at)
            except StoreError as error:
                log.warning("leases not renewed; tried again", pause=self._lease / 3, error=str(error))
            except Exception:
                # The attempts go on: at the next third of the lease it may work, and the fence guards what they settle.
                log.exception("leases not renewed; tried again", pause=self._lease / 3)

    async def _stop(self) -> None:
        self._stopping = True
        self._stop_lingering()
        if self._under_way and self._drain_timeout:
            await asyncio.wait(self._under_way, timeout=self._drain_timeout)
        aborted = dict(self._under_way)
        for outcome in aborted:
            outcome.cancel()
        await asyncio.gather(*aborted, return_exceptions=True)
        with contextlib.suppress(StoreError):  # the leases then run out by themselves
            if self._finished:
                await self._settle()
            await self._store.release([*self._ahead.give_up(), *(flight.claim for flight in aborted.values())])
            # Handed over as it was recorded, before that release was done: now no more can come.
            if late := self._ahead.give_up():
                await self._store.release(late)
        self._stop_lingering()
        self._ahead.give_up()
        self._finished = []


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Let a step that the store may already have committed end before a cancellation goes on."""
    step = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        raise
