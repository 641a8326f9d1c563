"""The pull behind the pushes: fills gaps from the event log, reads it now and then, polls what nobody pushes.

With a live registration on a service with a readable log this is one read per client, not one per job;
registering and renewing is left to the registrar.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_translation_client._errors import (
    APIError,
    ClientClosedError,
    GoneError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    VideoTranslationError,
)
from video_translation_client._inbox import Inbox
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._metrics import Meter
from video_translation_client._operations import EventPage, Operation, get_job, list_events
from video_translation_client._polling import GAP_FILL, JOB_POLL, SAFETY_NET, PollPolicy
from video_translation_client._transport import Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

_NET: Final = "safety net"


@dataclass(frozen=True, slots=True)
class Policies:
    """How often to ask."""

    job: PollPolicy = JOB_POLL
    net: PollPolicy = SAFETY_NET
    gap: PollPolicy = GAP_FILL


class Reconciler:
    """Everything here runs on the upkeep thread, `catch_up` excepted."""

    def __init__(
        self,
        *,
        transport: Transport,
        intake: Intake,
        inbox: Inbox,
        registry: JobRegistry,
        meter: Meter,
        upkeep: Upkeep,
        policies: Policies,
    ) -> None:
        self._transport = transport
        self._intake = intake
        self._inbox = inbox
        self._registry = registry
        self._meter = meter
        self._upkeep = upkeep
        self._policies = policies
        # Everything in the log up to this place has been offered to the inbox, so that whatever is missing
        # from a gap lies behind it. Guarded by the lock, because two readers would tear it back and forth.
        self._cursor: str | None = None
        self._reading = threading.RLock()
        self._covered = False
        self._era = 0
        self._quiet_reads = 1
        self._pushes_seen = 0
        intake.on_gap = self._gap_opened

    @property
    def era(self) -> int:
        """Grows whenever pushes begin or cease to cover the jobs, so that a caller can see a change."""
        return self._era

    @property
    def covered(self) -> bool:
        """Whether pushes tell of the jobs."""
        return self._covered

    def cover(self, cursor: str | None) -> None:
        """Rely on pushes from now on.

        Args:
            cursor: the log's position from which pushes come; None where the service has no readable log.
                A place that is known from an endpoint before this one is kept: reading on from there finds
                what nobody pushed in between.
        """
        if self._covered:
            return
        self._inbox.use_log(readable=cursor is not None)
        with self._reading:
            self._cursor = self._intake.begin_at(cursor)
        self._covered = True
        self._era += 1
        self._intake.replay()

    def begin(self) -> None:
        """Start the safety net, and look once at every job that was waited for before there were pushes."""
        self._quiet_reads = 1
        self._upkeep.schedule(_NET, self._policies.net.delay(1), self._net)
        for job in self._registry.waiting():
            self._poll_from_now(job.id)

    def uncover(self) -> None:
        """No push will come any more: poll every job that is waited for."""
        self._upkeep.cancel(_NET)
        if self._covered:
            self._covered = False
            self._era += 1
        self._inbox.use_log(readable=False)
        for job in self._registry.waiting():
            self._poll_from_now(job.id)

    def watch(self, job_id: str, *, era: int) -> None:
        """See to it that a job just created is heard of.

        Args:
            job_id: the job.
            era: `era` before the job was created: only pushes that were on all along cover it wholly.
        """
        if era != self._era or not self._covered:
            self._poll_from_now(job_id, delay=self._policies.job.delay(1))

    def look(self, job_id: str) -> None:
        """See to it that a job of unknown age is heard of: it may have ended before there were pushes."""
        action = _numbered(lambda attempt: self._poll(job_id, attempt, first_look=attempt == 1))
        self._upkeep.schedule(("job", job_id), 0.0, action)

    def catch_up(self) -> int:
        """Read the log from the cursor to its end; return how many unseen events it held.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        with self._reading:
            if self._cursor is None:
                return 0
            try:
                return self._read_on()
            except (InvalidRequestError, GoneError) as error:
                self._start_over(error)
                return 0

    def _read_on(self) -> int:
        found = 0
        while self._cursor is not None:
            page = self._send(list_events(self._cursor))
            found += sum([self._intake.read(event) for event in page.events])
            moved = page.cursor not in (None, self._cursor)
            self._cursor = page.cursor or self._cursor
            self._intake.reached(self._cursor)
            if not (page.has_more and moved):
                break
        return found

    def _start_over(self, error: APIError) -> None:
        """The log no longer knows the cursor: it was pruned, or the store behind it is a new one."""
        self._cursor = self._intake.log_broke(self._cursor, error) or self._end_of_log()
        self._read_on()  # what it still holds, before what is missing is given up
        for job_id in self._inbox.gaps():
            gap = self._inbox.gap(job_id)
            if gap is not None:
                self._intake.settle(gap)
        for job in self._registry.waiting():
            self._poll_from_now(job.id)

    def _end_of_log(self) -> str | None:
        newest = self._send(list_events(limit=1))
        return newest.events[0].id if newest.events else self._cursor

    def _net(self) -> float:
        pushes = self._meter.value("pushes_received")
        pushing, self._pushes_seen = pushes > self._pushes_seen, pushes
        try:
            missed = self._read_log_or_jobs()
        except VideoTranslationError as error:
            logger.warning("the safety net could not read (%s); it tries again", error)
            missed, pushing = 0, False
        if missed:
            logger.info("the safety net found %d events that had not been pushed", missed)
        self._quiet_reads = self._quiet_reads + 1 if pushing and not missed else 1
        return self._policies.net.delay(self._quiet_reads)

    def _read_log_or_jobs(self) -> int:
        if self._cursor is not None:
            return self.catch_up()
        for job in self._registry.waiting():
            self._poll_from_now(job.id)
        return 0

    def _gap_opened(self, job_id: str) -> None:
        gap = self._inbox.gap(job_id)
        if gap is not None and gap.after > 0:  # a job first met in its middle misses something only if the log says so
            self._meter.count("gaps_found")
        self._upkeep.schedule(("gap", job_id), 0.0, _numbered(lambda attempt: self._fill(job_id, attempt)))

    def _fill(self, job_id: str, attempt: int) -> float | None:
        gap = self._inbox.gap(job_id)
        if gap is None:
            return None  # the missing events came by themselves
        logger.info("job %s: events after sequence %d are missing; reading the log", job_id, gap.after)
        try:
            found = self._read_gap(job_id)
        except VideoTranslationError as error:
            delay = self._policies.gap.delay(attempt)
            logger.warning("job %s: the gap could not be filled (%s); next try in %.1f s", job_id, error, delay)
            return delay
        skipped = self._intake.settle(gap)
        if found:
            self._meter.count("gaps_filled")
            self._meter.count("gaps_found", 1 if gap.after == 0 else 0)
        logger.info("job %s: gap closed, %d events found, %d are not in the log", job_id, found, skipped)
        # What was parked while the log was being read may lie behind a gap of its own.
        return 0.0 if self._inbox.gap(job_id) is not None else None

    def _read_gap(self, job_id: str) -> int:
        place, found = self._cursor, 0
        while place is not None:
            try:
                page = self._send(list_events(place, job_id=job_id))
            except (InvalidRequestError, GoneError) as error:
                with self._reading:
                    self._start_over(error)
                return found
            found += sum([self._intake.read(event) for event in page.events])
            if not page.has_more or page.cursor in (None, place):
                break
            place = page.cursor
        return found

    def _poll_from_now(self, job_id: str, *, delay: float = 0.0) -> None:
        self._upkeep.schedule(("job", job_id), delay, _numbered(lambda attempt: self._poll(job_id, attempt)))

    def _poll(self, job_id: str, attempt: int, *, first_look: bool = False) -> float | None:
        if self._registry.get(job_id) is None:
            return None
        delay = self._policies.job.delay(attempt + 1)
        try:
            snapshot = self._transport.send(get_job(job_id))
        except VideoTranslationError as error:
            return self._poll_failed(job_id, attempt, error)
        # What had ended before anybody looked says nothing about how fast this client learns.
        (self._intake.glance if first_look else self._intake.learn)(snapshot)
        if snapshot.terminal or self._covered:
            logger.info("poll attempt %d: job %s is %s", attempt, job_id, snapshot.status)
            return None
        logger.info("poll attempt %d: job %s is %s; next in %.1f s", attempt, job_id, snapshot.status, delay)
        return delay

    def _poll_failed(self, job_id: str, attempt: int, error: VideoTranslationError) -> float | None:
        if isinstance(error, APIError) and not isinstance(error, ServerError | RateLimitError):
            # 401, 403, 404: the answer would be the same for ever, and so would the wait.
            logger.warning("poll attempt %d: job %s cannot be followed: %s", attempt, job_id, error)
            self._registry.abandon(job_id, error)
            return None
        if isinstance(error, ClientClosedError):
            return None
        floor = error.retry_after if isinstance(error, APIError) else None
        delay = self._policies.job.delay(attempt + 1, floor=floor)
        logger.warning("poll attempt %d: job %s: %s; next in %.1f s", attempt, job_id, error, delay)
        return delay

    def _send(self, operation: Operation[EventPage]) -> EventPage:
        return self._transport.send(operation)


def _numbered(action: Callable[[int], float | None]) -> Callable[[], float | None]:
    """Tell an action how many times it has run, this time included."""
    attempts = 0

    def run() -> float | None:
        nonlocal attempts
        attempts += 1
        return action(attempts)

    return run
