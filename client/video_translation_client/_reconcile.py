"""The pull behind the pushes: fills gaps from the event log, and looks now and then at what was never pushed.

It is one read per client, not one per job: of the log where it can be read, else of the bulk statuses. The
reading is the event log's, the asking the poller's; what pushes, and whether it works, is the modes' business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_translation_client._asking import is_passing
from video_translation_client._errors import VideoTranslationError
from video_translation_client._event_log import EventLog
from video_translation_client._health import Troubles
from video_translation_client._inbox import Inbox
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._metrics import Meter
from video_translation_client._models import Event
from video_translation_client._poller import Poller
from video_translation_client._polling import GAP_FILL, JOB_POLL, SAFETY_NET, PollPolicy, check_policy
from video_translation_client._transport import Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

_NET: Final = "safety net"
_SOON: Final = 0.01


@dataclass(frozen=True, slots=True)
class Policies:
    """How often to ask, and whether to ask at all without being told to (`auto_poll`)."""

    job: PollPolicy = JOB_POLL
    net: PollPolicy = SAFETY_NET
    gap: PollPolicy = GAP_FILL
    auto_poll: bool = True

    def __post_init__(self) -> None:
        check_policy("poll", self.job)
        check_policy("safety_net", self.net)


class Reconciler:
    """Decides when the log is read and the poller asks; it works on the upkeep thread, `catch_up` excepted.

    Args:
        troubles: is told what went wrong.
        clock: monotonic seconds.
    """

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
        troubles: Troubles | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._intake = intake
        self._registry = registry
        self._meter = meter
        self._upkeep = upkeep
        self._policies = policies
        self._troubles = troubles or Troubles()
        self._clock = clock
        self.log = EventLog(
            transport=transport,
            intake=intake,
            on_opened=lambda readable: inbox.use_log(readable=readable),
            on_lost=self._events_lost,
            on_jump=self._log_jumped,
        )
        self.poller = Poller(
            transport=transport,
            intake=intake,
            registry=registry,
            log=self.log,
            upkeep=upkeep,
            policy=policies.job,
            repeats=policies.auto_poll,
            on_error=self._troubles.note,
            clock=clock,
        )
        self._lock = threading.Lock()
        self._covered = False
        self._era = 0
        self._signs = 0
        self._signs_seen = 0
        self._reads = 0
        self._quiet_reads = 1
        self._net_due = 0.0
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
                A place that is known from before is kept: reading on from there finds what nobody pushed
                in between.
        """
        if self._set_covered(True) and (self.log.open_at(cursor) or not self.log.readable):
            # Who waited before there was a place in the log, or any push, is looked at once.
            self.look_at_waiting()

    def begin(self) -> None:
        """Start the safety net."""
        if not self._policies.auto_poll:
            return
        self._quiet_reads = 1
        self._net_due = self._clock() + self._policies.net.delay(1)
        self._upkeep.schedule(_NET, self._policies.net.delay(1), self._net)

    def uncover(self) -> None:
        """No push will come any more: ask for every job that is waited for."""
        self._upkeep.cancel(_NET)
        self._set_covered(False)
        self._follow_waiting()

    def watch(self, job_id: str, *, era: int) -> None:
        """See to it that a job just created is heard of.

        Args:
            job_id: the job.
            era: `era` before the job was created: only pushes that were on all along cover it wholly.
        """
        if era != self._era or not self._covered:
            self.poller.follow(job_id, look=not self.log.readable)

    def look(self, job_id: str) -> None:
        """See to it that a job of unknown age is heard of: it may have ended before there were pushes."""
        self.poller.follow(job_id, delay=0.0, look=True, glance=True)

    def catch_up(self) -> int:
        """Read the log from the cursor to its end; return how many unseen events it held.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        return self.log.catch_up()

    def sign_of_life(self) -> None:
        """Note that whatever pushes is alive, though it may have nothing to tell."""
        self._signs += 1

    def look_at_waiting(self) -> None:
        """Ask for the state of every job that is waited for, soon and all together."""
        for job in self._registry.waiting():
            self.poller.follow(job.id, delay=_SOON, look=True)

    def _follow_waiting(self) -> None:
        for job in self._registry.waiting():
            self.poller.follow(job.id, delay=_SOON, look=not self.log.readable)

    def _set_covered(self, covered: bool) -> bool:
        with self._lock:
            if self._covered == covered:
                return False
            self._covered = self.poller.covered = covered
            self._era += 1
            return True

    def _events_lost(self) -> None:
        """The log goes on behind a hole: what is parked may be released, and the jobs are looked at."""
        for job_id in self._inbox.gaps():
            gap = self._inbox.gap(job_id)
            if gap is not None:
                self._intake.settle(gap)
        self.look_at_waiting()

    def _log_jumped(self) -> None:
        """A service that was set back to an earlier point may never tell of the end of a job that is waited for."""
        if self._registry.waiting():
            logger.info("the service may have been started anew: the jobs that are waited for are asked for")
            self.look_at_waiting()

    # --- the safety net -------------------------------------------------------------------------------

    def _net(self) -> float:
        """Read where it is time, or where pushes ought to come and none has since the last look."""
        signs = self._meter.value("pushes_received") + self._signs
        pushing, self._signs_seen = signs > self._signs_seen, signs
        silent = not pushing and bool(self._registry.waiting())
        if silent or self._clock() >= self._net_due:
            self._net_due = self._clock() + self._read_behind(pushing=pushing)
        return min(self._policies.net.first, max(0.0, self._net_due - self._clock()))

    def _read_behind(self, *, pushing: bool) -> float:
        self._reads += 1
        try:
            missed = self._read_log_or_jobs()
        except VideoTranslationError as error:
            self._quiet_reads = 1
            pause = self._policies.net.delay(1)
            logger.warning("safety net attempt %d: could not read (%s); next in %.1f s", self._reads, error, pause)
            self._troubles.note(str(error))
            return pause
        self._quiet_reads = self._quiet_reads + 1 if pushing and not missed else 1
        pause = self._policies.net.delay(self._quiet_reads)
        found = f"{missed} events had not been pushed" if missed else "nothing had been missed"
        told = found if self.log.readable else "jobs that are waited for are asked for"
        logger.info("safety net attempt %d: %s; next in %.1f s", self._reads, told, pause)
        return pause

    def _read_log_or_jobs(self) -> int:
        if self.log.readable:
            return self.log.catch_up()
        self.look_at_waiting()
        return 0

    # --- what was before this client ------------------------------------------------------------------

    def look_back(self, job_id: str) -> None:
        """Have a job's earlier events read, by the upkeep thread, for those who iterate over its events."""
        self._upkeep.schedule(("history", job_id), 0.0, _numbered(lambda attempt: self._read_back(job_id, attempt)))

    def _read_back(self, job_id: str, attempt: int) -> float | None:
        events: list[Event] = []
        try:
            events = self.log.history(job_id)
        except VideoTranslationError as error:
            if is_passing(error):
                delay = self._policies.gap.delay(attempt)
                logger.warning("job %s: its events could not be read (%s); next try in %.1f s", job_id, error, delay)
                self._troubles.note(str(error))
                return delay
            logger.info("job %s: the service does not tell of earlier events (%s)", job_id, error)
        self._registry.begin(job_id, events)
        return None

    # --- gaps -----------------------------------------------------------------------------------------

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
            found = self.log.read_job(job_id)
        except VideoTranslationError as error:
            delay = self._policies.gap.delay(attempt)
            logger.warning("job %s: the gap could not be filled (%s); next try in %.1f s", job_id, error, delay)
            self._troubles.note(str(error))
            return delay
        skipped = self._intake.settle(gap)
        if found:
            self._meter.count("gaps_filled")
            self._meter.count("gaps_found", 1 if gap.after == 0 else 0)
        logger.info("job %s: gap closed, %d events found, %d are not in the log", job_id, found, skipped)
        # What was parked while the log was being read may lie behind a gap of its own.
        return 0.0 if self._inbox.gap(job_id) is not None else None


def _numbered(action: Callable[[int], float | None]) -> Callable[[], float | None]:
    """Tell an action how many times it has run, this time included."""
    attempts = 0

    def run() -> float | None:
        nonlocal attempts
        attempts += 1
        return action(attempts)

    return run
