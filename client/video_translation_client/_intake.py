"""The one door for everything learned about jobs: pushed, read from the log, or asked for.

Handles learn first and at once, then the inbox decides what the callbacks get; filling the gaps it reports
is left to the reconciler.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from video_translation_client._inbox import Inbox, Receipt, Verdict
from video_translation_client._jobs import JobRegistry
from video_translation_client._metrics import Meter
from video_translation_client._models import COMPLETED, Event, JobSnapshot

logger = logging.getLogger("video_translation_client")

_UNSEEN: Final = (Verdict.RELEASED, Verdict.PARKED)


class Intake:
    """Feeds the registry, the inbox and the meter, in this order.

    Args:
        registry: the handles and the board.
        inbox: dedupe and order.
        meter: counts.
        now: the wall clock, unix seconds.
    """

    def __init__(
        self, registry: JobRegistry, inbox: Inbox, meter: Meter, *, now: Callable[[], float] = time.time
    ) -> None:
        self._registry = registry
        self._inbox = inbox
        self._meter = meter
        self._now = now
        self.on_gap: Callable[[str], None] = _ignore
        """Called with the id of a job in which events are missing."""

    def push(self, event: Event) -> None:
        """Take in an event that was delivered to the receiver."""
        receipt = self._accept(event, pushed=True)
        if receipt.verdict is Verdict.DUPLICATE:
            self._meter.count("duplicates_dropped")
        elif event.created_at is not None:
            self._meter.push_latency(self._now() - event.created_at.timestamp())
        if receipt.out_of_order:
            self._meter.count("out_of_order")

    def read(self, event: Event) -> bool:
        """Take in an event that the log holds; return whether it had not been seen."""
        return self._accept(event, pushed=False).verdict in _UNSEEN

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

    def _accept(self, event: Event, *, pushed: bool) -> Receipt:
        ended = bool(event.job.id) and self._registry.observe(event.job)
        if ended:
            self._meter.job_ended(event.job.status == COMPLETED)
        if ended and event.created_at is not None:
            self._meter.completion_delay(self._now() - event.created_at.timestamp())
        receipt = self._inbox.offer(event, pushed=pushed)
        if receipt.verdict in _UNSEEN:
            self._meter.count("events")
        self._log(event, receipt, "pushed" if pushed else "read from the log")
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


def _ignore(_: str) -> None:
    """Nobody fills gaps yet."""
