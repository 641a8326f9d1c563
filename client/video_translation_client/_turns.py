"""Whose turn it is to be asked for, and when the next one is: the poller's calendar. No I/O, no thread.

Asking, and telling what came of it, is left to the poller.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_translation_client._models import JobSnapshot
from video_translation_client._polling import PollPolicy

_BEING_ASKED: Final = math.inf


@dataclass(slots=True)
class Turn:
    """When a job's turn comes.

    Attributes:
        due: monotonic seconds; endless while it is being asked for.
        since: when somebody asked for it last (monotonic).
        look: its state itself is asked for, because what the log holds from here on may not tell it.
        glance: what is found ended before anybody waited: nothing is measured.
        attempt: how often was asked since `since`.
        slack: by how much it may come earlier, together with others.
        asked: when it was asked for last (monotonic).
        floor: until when the service wants to be left alone (monotonic).
        woken: somebody waits for it now, however old it is.
    """

    job_id: str
    due: float
    since: float
    look: bool = False
    glance: bool = False
    attempt: int = 0
    slack: float = 0.0
    asked: float = -math.inf
    floor: float = -math.inf
    woken: bool = False


class Turns:
    """The jobs that are asked for. Thread-safe.

    Args:
        policy: when to ask.
        clock: monotonic seconds.
        now: the wall clock, unix seconds.
    """

    def __init__(
        self,
        policy: PollPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._turns: dict[str, Turn] = {}

    def add(self, job_id: str, *, delay: float | None = None, look: bool = False, glance: bool = False) -> float:
        """Begin with a job, anew where it was there; return the seconds until its turn."""
        wait = self._policy.delay(1) if delay is None else delay
        with self._lock:
            now = self._clock()
            before = self._turns.get(job_id)
            look = look or (before is not None and before.look)
            turn = Turn(job_id, now + wait, now, look=look, glance=glance, slack=wait / 2)
            self._turns[job_id] = turn
        return wait

    def wake(self, job_id: str, *, asked: bool = False) -> float | None:
        """Have a job asked for soon, and often at first; return the seconds until its turn, None without one.

        Args:
            job_id: the job.
            asked: it was asked for just now.
        """
        with self._lock:
            turn = self._turns.get(job_id)
            if turn is None or turn.due == _BEING_ASKED:
                return None
            now = self._clock()
            turn.since, turn.attempt, turn.woken = now, 0, True
            turn.asked = now if asked else turn.asked
            turn.due = min(turn.due, max(now, turn.asked + self._policy.first, turn.floor))
            return max(0.0, turn.due - now)

    def take(self) -> list[Turn]:
        """Take every turn that is due, and with them those that may as well come now."""
        with self._lock:
            now = self._clock()
            if not any(turn.due <= now for turn in self._turns.values()):
                return []
            turns = [turn for turn in self._turns.values() if turn.due - turn.slack <= now]
            for turn in turns:
                turn.due, turn.asked = _BEING_ASKED, now
                turn.attempt += 1
            return turns

    def put_back(self, turn: Turn, snapshot: JobSnapshot | None, *, floor: float | None = None) -> float | None:
        """Give a job its next turn.

        Args:
            turn: what was taken.
            snapshot: what is known of the job now; its estimated end counts.
            floor: seconds before which the service wants no question.

        Returns:
            The seconds until then; None where it has one already, because it was begun anew.
        """
        with self._lock:
            if self._turns.get(turn.job_id) is not turn:
                return None
            now = self._clock()
            if snapshot is not None:
                floor = self._policy.hint(snapshot, now=self._now(), retry_after=floor)
            pause = self._policy.delay(turn.attempt + 1, floor=floor, age=self._age(turn, snapshot, now))
            turn.due, turn.floor = now + pause, now + (floor or 0.0)
            turn.slack = min(pause / 2, pause - (floor or 0.0))
            return pause

    def end(self, turn: Turn) -> None:
        """Ask for this job no more, unless it was begun anew meanwhile."""
        with self._lock:
            if self._turns.get(turn.job_id) is turn:
                del self._turns[turn.job_id]

    def next_in(self) -> float | None:
        """Return the seconds until the next turn, or None."""
        with self._lock:
            due = min((turn.due for turn in self._turns.values()), default=_BEING_ASKED)
            return None if due == _BEING_ASKED else max(0.0, due - self._clock())

    def _age(self, turn: Turn, snapshot: JobSnapshot | None, now: float) -> float:
        followed = now - turn.since
        if turn.woken or snapshot is None or snapshot.created_at is None:
            return followed
        return max(followed, self._now() - snapshot.created_at)
