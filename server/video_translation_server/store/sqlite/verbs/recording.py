"""Recording what happens to jobs, and handing over to a worker what comes of it. In SQLite.

What the verbs promise is in `store.base.jobs` and `store.base.claims`, what they do in SQL in the noun modules.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import apsw

from video_translation_server.model import Batch, Change, Claim
from video_translation_server.store.base import Bell, Keep, Reservation, Taker
from video_translation_server.store.sqlite import batches, jobs, moves
from video_translation_server.store.sqlite.claims import Wish
from video_translation_server.store.sqlite.engine import Engine
from video_translation_server.store.sqlite.joint import Joint

BRIEF = 4
"""Changes of one caller that may be written in the event loop."""


class _Asked(NamedTuple):
    """What one caller wants to be recorded, and a worker's room for what comes of it."""

    changes: Sequence[Change]
    reservation: Reservation


class _Recorded(NamedTuple):
    """For each change whether it took place; and claims of what came of them."""

    took_place: list[bool]
    claims: Sequence[Claim] = ()


class RecordVerbs(Engine):
    """Recording what happens to jobs, and handing over what comes of it."""

    async def record(
        self,
        changes: Sequence[Change],
        *,
        batch: Batch | None = None,
        at_most: int | None = None,
        keep: Keep[list[bool]] | None = None,
    ) -> list[bool]:
        """Commit job moves with their events and deliveries."""
        bells = (self._bells.jobs, self._bells.deliveries, self._bells.events)
        if batch is None and at_most is None and keep is None:
            return await self._record(changes, bells)

        def verb(connection: apsw.Connection) -> list[bool]:
            if batch is not None:
                batches.create(connection, batch)
            recorded = moves.record(connection, changes, self._rules.ids)
            if at_most is not None:
                jobs.check_going_on(connection, changes, at_most)
            return recorded

        return await self._write(verb, *bells, keep=keep)

    @contextmanager
    def handing_over_to(self, taker: Taker) -> Iterator[None]:
        """Lease to the taker what is recorded."""
        self._takers.append(taker)
        try:
            yield
        finally:
            self._takers.remove(taker)

    async def _record(self, changes: Sequence[Change], bells: Sequence[Bell]) -> list[bool]:
        brief = len(changes) <= BRIEF
        reservation = self._reserve(len(changes) * self._fan_out)
        if reservation is None:
            return await self._writer.run(Joint(self._record_each, changes), *bells, brief=brief)
        recorded: _Recorded = await self._writer.run(
            Joint(self._hand_over_each, _Asked(changes, reservation)),
            *bells,
            brief=brief,
            heard=partial(_hand_over, reservation),
        )
        return recorded.took_place

    def _reserve(self, most: int) -> Reservation | None:
        for taker in self._takers:
            if (reservation := taker.reserve(most)) is not None:
                return reservation
        return None

    def _record_each(self, connection: apsw.Connection, asked: Sequence[Sequence[Change]]) -> list[list[bool]]:
        return moves.record_each(connection, asked, self._rules.ids)

    def _hand_over_each(self, connection: apsw.Connection, asked: Sequence[_Asked]) -> list[_Recorded]:
        """Record what several callers ask for, and lease what comes of it as far as their reservations go."""
        changes = [one.changes for one in asked]
        wish = self._wish([one.reservation for one in asked])
        with self._handover.meeting(wish) as order:
            answers = moves.record_each(connection, changes, self._rules.ids, self._handover)
        if order.claims:
            self._first_lease_ends = min(self._first_lease_ends, wish.leased_until)
        self._fan_out = max(1, math.ceil(order.inserted / sum(map(len, changes))))
        # The first of them takes all: the reservations are one worker's.
        return [_Recorded(answers[0], order.claims), *map(_Recorded, answers[1:])]

    def _wish(self, reservations: Sequence[Reservation]) -> Wish:
        """What several reservations of one worker ask for together."""
        first = reservations[0]
        return Wish(
            now=first.now,
            leased_until=self._lease_time() + first.lease,
            claim_id=self._fences.getrandbits(63),
            limit=sum(reservation.places for reservation in reservations),
            per_endpoint=first.per_endpoint,
        )


def _hand_over(reservation: Reservation, recorded: _Recorded | None) -> None:
    reservation.take(() if recorded is None else recorded.claims)
