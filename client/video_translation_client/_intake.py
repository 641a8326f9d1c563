"""The one door for everything learned about jobs: pushed, read from the log, or asked for.

Handles learn first and at once, then the inbox decides what the callbacks get; filling the gaps it reports
is left to the reconciler.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from video_translation_client._errors import APIError
from video_translation_client._inbox import Gap, Inbox, Receipt, Verdict
from video_translation_client._jobs import JobRegistry
from video_translation_client._keeper import Keeper
from video_translation_client._metrics import Meter
from video_translation_client._models import COMPLETED, Event, JobSnapshot
from video_translation_client._operations.events import oldest_cursor

logger = logging.getLogger("video_translation_client")

_PUSHED: Final = "pushed"
_UNSEEN: Final = (Verdict.RELEASED, Verdict.PARKED)


class Intake:
    """Feeds the registry, the inbox and the meter, in this order.

    Args:
        registry: the handles and the board.
        inbox: dedupe and order.
        meter: counts.
        keeper: the durable inbox; None keeps events in memory only.
        afterwards: runs what it is given once every event released so far has been handled.
        now: the wall clock, unix seconds.
    """

    def __init__(
        self,
        registry: JobRegistry,
        inbox: Inbox,
        meter: Meter,
        *,
        keeper: Keeper | None = None,
        afterwards: Callable[[Callable[[], object]], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._inbox = inbox
        self._meter = meter
        self._now = now
        self.on_gap: Callable[[str], None] = _ignore
        """Called with the id of a job in which events are missing."""
        self._keeper = keeper
        self._afterwards = afterwards or (lambda work: work())
        self._waiting: tuple[Event, ...] = ()
        self._cursor: str | None = None

    def restore(self) -> None:
        """Open the durable inbox, if there is one, and learn where it stood.

        Raises:
            InboxError: it cannot be opened.
        """
        if self._keeper is not None:
            state = self._keeper.load()
            self._inbox.restore(state.sequences, state.event_ids, state.going_on)
            self._waiting, self._cursor = tuple(state.waiting), state.cursor

    def push(self, event: Event) -> Future[None] | None:
        """Take in an event that was delivered to the receiver.

        Returns:
            None where that is done; with a durable inbox a future that is done once the event is stored, and
            raises where it could not be: until then the delivery must not be answered with success.
        """
        if self._keeper is None or self._inbox.knows(event):
            self._take_push(event)
            return None
        return self._keeper.keep(event, self._take_push)

    def begin_at(self, cursor: str | None) -> str | None:
        """Say from where in the log events come from now on; None where it cannot be read.

        Returns:
            Where to read on in the log: behind what the durable inbox has handled, else `cursor`.

        Raises:
            InboxError: the inbox is new, and where it begins could not be stored.
        """
        if self._keeper is None or cursor is None:
            return cursor
        if self._cursor is None:
            self._keeper.begin(cursor)
            self._cursor = cursor
        return self._cursor

    def replay(self) -> None:
        """Release what an earlier process stored and did not handle; a second call finds nothing."""
        waiting, self._waiting = self._waiting, ()
        if waiting:
            logger.info("the durable inbox holds %d events that were not handled: they come first", len(waiting))
        for event in waiting:
            self._registry.observe(event.job, by_event=True)
            if self._inbox.offer(event, pushed=False).opens_gap:
                self.on_gap(event.job.id)

    def reached(self, cursor: str) -> None:
        """Say that every event of the log up to this place has been offered; a durable inbox notes it in time."""
        if self._keeper is None or self._inbox.gaps():  # what waits for a gap would be forgotten by a restart
            return
        self._cursor = cursor
        self._afterwards(lambda: self._note_cursor(cursor))

    def log_broke(self, cursor: str | None, error: APIError) -> str | None:
        """Say, once, that the log cannot be read on from our place: it was pruned, or is another service's.

        Returns:
            The oldest place that the log still has, to read on from; None where the service names none.
        """
        oldest = oldest_cursor(error)
        self._meter.count("log_breaks")
        logger.warning(
            "the event log cannot be read on from %s (%s); reading on from %s: events between them are lost to "
            "callbacks, and jobs that are waited for are asked for",
            cursor,
            error,
            oldest or "its end",
        )
        return oldest

    def settle(self, gap: Gap) -> int:
        """Go on over a gap that the log was read for; return how many events are lost in it."""
        skipped = self._inbox.settle(gap)
        if gap.after > 0:  # a job first met in its middle began before this client
            self._meter.count("events_lost", skipped)
        return skipped

    def _note_cursor(self, cursor: str) -> None:
        if self._keeper is not None:
            self._keeper.move_cursor(cursor)

    def _take_push(self, event: Event) -> None:
        receipt = self._accept(event, _PUSHED)
        if receipt.verdict is Verdict.DUPLICATE:
            self._meter.count("duplicates_dropped")
        elif event.created_at is not None:
            self._meter.push_latency(self._now() - event.created_at.timestamp())
        if receipt.out_of_order:
            self._meter.count("out_of_order")

    def read(self, event: Event) -> bool:
        """Take in an event that the log holds; return whether it had not been seen."""
        return not _is_test(event) and self._accept(event, "read from the log").verdict in _UNSEEN

    def stream(self, event: Event) -> None:
        """Take in an event that came over the event stream, which is the log as it grows."""
        if _is_test(event):
            return
        unseen = self._accept(event, "streamed").verdict in _UNSEEN
        if unseen and event.created_at is not None:
            self._meter.push_latency(self._now() - event.created_at.timestamp())

    def learn(self, snapshot: JobSnapshot) -> None:
        """Take in an answer about a job. It resolves handles; it never makes up an event."""
        if not self._registry.observe(snapshot):
            return
        self._meter.job_ended(snapshot.status == COMPLETED)
        if snapshot.updated_at is not None:
            self._meter.completion_delay(self._now() - snapshot.updated_at)

    def begin_after(self, snapshot: JobSnapshot) -> None:
        """Expect a job's next event after this state: all up to it that is due has been read from the log."""
        if snapshot.id and snapshot.sequence is not None:
            self._inbox.start_after(snapshot.id, snapshot.sequence)

    def glance(self, snapshot: JobSnapshot) -> None:
        """Take in a state from before this client's time: nobody waited for it, so nothing is measured."""
        self._registry.observe(snapshot)

    def _accept(self, event: Event, how: str) -> Receipt:
        ended = bool(event.job.id) and self._registry.observe(event.job, by_event=True)
        if ended:
            self._meter.job_ended(event.job.status == COMPLETED)
        if ended and event.created_at is not None:
            self._meter.completion_delay(self._now() - event.created_at.timestamp())
        receipt = self._inbox.offer(event, pushed=how == _PUSHED)
        if receipt.verdict in _UNSEEN:
            self._meter.count("events")
        self._log(event, receipt, how)
        if receipt.opens_gap:
            self.on_gap(event.job.id)
        return receipt

    @staticmethod
    def _log(event: Event, receipt: Receipt, how: str) -> None:
        level = logging.INFO if receipt.verdict in _UNSEEN else logging.DEBUG
        logger.log(
            level,
            "event %s job=%s status=%s sequence=%s id=%s %s: %s",
            event.type,
            event.job.id or "-",
            event.job.status,
            event.job.sequence,
            event.id,
            how,
            receipt.verdict.value,
        )


def _is_test(event: Event) -> bool:
    """Whether it was sent to one endpoint to test the way there, so that it is news for nobody else."""
    return event.type == "endpoint.test"


def _ignore(_: str) -> None:
    """Nobody fills gaps yet."""
