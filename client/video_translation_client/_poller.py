"""Asks for the jobs that nobody pushes: one request for all of them where the service can, else job by job.

What can: the event log from the client's place on, else the bulk statuses. Whether pushes cover the jobs is
the reconciler's business.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from video_translation_client._asking import is_passing
from video_translation_client._errors import APIError, ClientClosedError, VideoTranslationError
from video_translation_client._event_log import EventLog
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._models import JobSnapshot
from video_translation_client._operations import get_job, get_statuses
from video_translation_client._polling import PollPolicy
from video_translation_client._transport import Transport
from video_translation_client._turns import Turn, Turns
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

_KEY: Final = "polls"
_AT_ONCE: Final = 100
_UNSUPPORTED: Final = (400, 404, 405)


class Poller:
    """Asks on the upkeep thread; every other method returns at once.

    Args:
        policy: when to ask.
        repeats: whether a job is asked for again while it has not ended; otherwise once.
        on_error: called with what went wrong, for whoever asks about the client's health.
        clock: monotonic seconds.
        now: the wall clock, unix seconds.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        intake: Intake,
        registry: JobRegistry,
        log: EventLog,
        upkeep: Upkeep,
        policy: PollPolicy,
        repeats: bool = True,
        on_error: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._intake = intake
        self._registry = registry
        self._log = log
        self._upkeep = upkeep
        self._turns = Turns(policy, clock=clock, now=now)
        self._repeats = repeats
        self._on_error = on_error
        self._clock = clock
        self._lock = threading.Lock()
        self._next = math.inf
        self._has_statuses = True
        self.answered = True
        """Whether the last question was answered."""
        self.covered = False
        """Pushes tell of the jobs: each is asked for once more, and then left to them."""

    def follow(self, job_id: str, *, delay: float | None = None, look: bool = False, glance: bool = False) -> None:
        """Ask for a job from now on.

        Args:
            job_id: the job.
            delay: seconds before the first time; None takes the policy's.
            look: ask for its state itself; the log alone may not tell it.
            glance: it may have ended before anybody waited for it.
        """
        self._schedule(self._turns.add(job_id, delay=delay, look=look, glance=glance))

    def wake(self, job_id: str, *, asked: bool = False) -> None:
        """Ask soon, and often at first, because somebody waits for the job now (or has `asked` just now).

        Never sooner than the service wants.
        """
        if not self.covered:
            self._schedule(self._turns.wake(job_id, asked=asked))

    def _schedule(self, delay: float | None) -> None:
        with self._lock:
            due = math.inf if delay is None else self._clock() + delay
            if due < self._next:
                self._next = due
                self._upkeep.schedule(_KEY, max(0.0, delay or 0.0), self._round)

    def _round(self) -> float | None:
        with self._lock:
            self._next = math.inf
        turns = self._turns.take()
        if turns:
            self._ask_or_survive(turns)
        self._schedule(self._turns.next_in())
        return None

    def _ask_or_survive(self, turns: list[Turn]) -> None:
        try:
            self._ask_all(turns)
        except Exception as error:
            # For example a hook in an `http_client` of the user's. No job may be forgotten over it.
            logger.exception("asking for %d jobs failed in a way that nobody expected", len(turns))
            self._note_trouble(turns, error)

    def _ask_all(self, turns: list[Turn]) -> None:
        readable = self._log.readable
        lookers = [turn for turn in turns if turn.look or not readable]
        followers = [turn for turn in turns if readable and not turn.look]
        self._ask_each(self._ask_together([turn for turn in lookers if self._is_waited_for(turn)]))
        # Behind the answers, so that every event up to a job's end has been read once somebody knows of the end.
        if self._log.readable and (followers or not self.covered):
            self._read_log(followers)

    def _is_waited_for(self, turn: Turn) -> bool:
        if self._registry.get(turn.job_id) is not None:
            return True
        self._turns.end(turn)
        return False

    # --- one request for all --------------------------------------------------------------------------

    def _read_log(self, turns: list[Turn]) -> None:
        try:
            self._log.catch_up()
        except ClientClosedError:
            return
        except VideoTranslationError as error:
            if not is_passing(error):
                self._log.give_up(error)
            self._note_trouble(turns, error)
        else:
            self._note_all(turns, "the event log was read")

    def _ask_together(self, turns: list[Turn]) -> list[Turn]:
        """Ask for the statuses of all; return those who have to be asked for one by one."""
        rest: list[Turn] = []
        for start in range(0, len(turns), _AT_ONCE):
            some = turns[start : start + _AT_ONCE]
            rest += self._ask_some(some) if self._has_statuses and len(some) > 1 else some
        return rest

    def _ask_some(self, turns: list[Turn]) -> list[Turn]:
        try:
            answers = self._transport.send(get_statuses([turn.job_id for turn in turns])).items
        except ClientClosedError:
            return []
        except VideoTranslationError as error:
            if is_passing(error):
                self._note_trouble(turns, error)
                return []
            if isinstance(error, APIError) and error.status in _UNSUPPORTED:
                logger.info("the service has no bulk statuses (%s): jobs are asked for one by one", error)
                self._has_statuses = False
            return turns
        # What has ended is read with its result, what is not found is asked for by name.
        found = {job.id: job for job in answers}
        going: list[Turn] = []
        rest: list[Turn] = []
        for turn in turns:
            known = found.get(turn.job_id)
            (rest if known is None or known.terminal else going).append(turn)
        for turn in going:
            self._learn_status(found[turn.job_id])
        self._note_all(going, "asked for together", floor=answers[0].retry_after if answers else None)
        return rest

    def _learn_status(self, answer: JobSnapshot) -> None:
        """Work a bare status into what is known of the job."""
        job = self._registry.get(answer.id)
        known = job.snapshot if job is not None else None
        if known is None:
            self._intake.learn(answer)
        elif known.status != answer.status:
            self._intake.learn(replace(known, status=answer.status, result=answer.result, sequence=None))

    def _note_all(self, turns: Sequence[Turn], how: str, *, floor: float | None = None) -> None:
        """Give everybody who still waits the next turn; one line tells of all."""
        statuses: Counter[str] = Counter()
        pauses = []
        for turn in turns:
            job = self._registry.get(turn.job_id)
            snapshot = job.snapshot if job is not None else None
            statuses[("unknown" if snapshot is None else snapshot.status) if job is not None else "ended"] += 1
            turn.look = False
            pauses.append(self._put_back(turn, snapshot, ended=job is None, floor=floor))
            self.answered = True
        if turns:
            told = ", ".join(f"{count} {status}" for status, count in statuses.items())
            attempt = max(turn.attempt for turn in turns)
            logger.info("poll attempt %d: %s: %s; %s", attempt, how, told, _next_try(pauses))

    def _note_trouble(self, turns: Sequence[Turn], error: Exception) -> None:
        if not turns:
            return
        floor = error.retry_after if isinstance(error, APIError) else None
        pauses = [self._put_back(turn, None, floor=floor, failed=True) for turn in turns]
        self.answered = False
        self._on_error(str(error))
        attempt = max(turn.attempt for turn in turns)
        logger.warning("poll attempt %d: %d jobs: %s; %s", attempt, len(turns), error, _next_try(pauses))

    # --- one by one -----------------------------------------------------------------------------------

    def _ask_each(self, turns: list[Turn]) -> None:
        for turn in turns:
            try:
                snapshot = self._transport.send(get_job(turn.job_id))
            except ClientClosedError:
                return
            except VideoTranslationError as error:
                self._failed(turn, error)
            else:
                self._learned(turn, snapshot)

    def _learned(self, turn: Turn, snapshot: JobSnapshot) -> None:
        # What had ended before anybody looked says nothing about how fast this client learns.
        (self._intake.glance if turn.glance else self._intake.learn)(snapshot)
        turn.look = turn.glance = False
        self.answered = True
        pause = self._put_back(turn, snapshot, ended=snapshot.terminal, floor=snapshot.retry_after)
        tried = _next_try([pause])
        logger.info("poll attempt %d: job %s is %s; %s", turn.attempt, turn.job_id, snapshot.status, tried)

    def _failed(self, turn: Turn, error: VideoTranslationError) -> None:
        self.answered = False
        self._on_error(str(error))
        if isinstance(error, APIError) and not is_passing(error):
            # 401, 403, 404: the answer would be the same for ever, and so would the wait.
            logger.warning("poll attempt %d: job %s cannot be followed: %s", turn.attempt, turn.job_id, error)
            self._put_back(turn, None, ended=True)
            self._registry.abandon(turn.job_id, error)
            return
        floor = error.retry_after if isinstance(error, APIError) else None
        pause = self._put_back(turn, None, floor=floor, failed=True)
        logger.warning("poll attempt %d: job %s: %s; %s", turn.attempt, turn.job_id, error, _next_try([pause]))

    def _put_back(
        self,
        turn: Turn,
        snapshot: JobSnapshot | None,
        *,
        ended: bool = False,
        failed: bool = False,
        floor: float | None = None,
    ) -> float | None:
        """Give a job its next turn; None where it needs none."""
        if ended or not (failed or (self._repeats and not self.covered)):
            self._turns.end(turn)
            return None
        return self._turns.put_back(turn, snapshot, floor=floor)


def _next_try(pauses: Sequence[float | None]) -> str:
    coming = [pause for pause in pauses if pause is not None]
    return f"next in {min(coming):.1f} s" if coming else "no further try"
