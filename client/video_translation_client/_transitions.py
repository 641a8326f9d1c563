"""What is known of one job's transitions: each once, in order, from the first that is known.

What an event is and in which order events come is decided by the inbox; a state that was only asked for
becomes an event here, where nothing tells of it in time. Reading them one by one is in `_job_events`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from video_translation_client._models import COMPLETED, FAILED, PENDING, Event, JobSnapshot

Wake = Callable[[], object]

_MOST: Final = 64
_ASK_AFTER: Final = 0.1
_GIVE_UP_AFTER: Final = 3.0
_LAST_WORD: Final = {COMPLETED: "success", FAILED: "fail"}
_FIRST_SEQUENCE: Final = 1
_KNOWN, _UNKNOWN, _SOUGHT = range(3)
_STAGES: Final = {PENDING: 0, COMPLETED: 2, FAILED: 2}
_UNDER_WAY: Final = 1


class EndOfTransitions(Exception):  # noqa: N818 - an end, not a mistake
    """The job has ended, and everything was read."""


class Transitions:
    """What is known of one job's way. Thread-safe; no I/O.

    The newest 64 are kept. A state that was asked for is held back for a moment where events come by
    themselves, because those before it are under way: a reader has the log read, then takes it as it is.
    """

    __slots__ = ("_asked", "_beginning", "_due", "_error", "_events", "_first", "_held", "_lock", "_wakes")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: tuple[Event, ...] = ()
        self._first = 0  # the place of the oldest kept
        self._held: tuple[JobSnapshot, ...] = ()
        self._due = 0.0
        self._asked = False
        self._beginning = _KNOWN
        self._error: BaseException | None = None
        self._wakes: tuple[Wake, ...] = ()

    def take(self, event: Event) -> None:
        """Add an event that the inbox has released. Progress is no transition."""
        if event.is_progress:
            return
        with self._lock:
            held, self._held = self._held, ()
            for state in held:
                if _is_before(state, event.job):
                    self._add(_as_event(state))
            self._add(event)
            self._held = tuple(state for state in held if not self._has(state))
        self._wake()

    def observe(self, snapshot: JobSnapshot, *, hold: bool) -> None:
        """Add a state that was asked for, at once or (`hold`) where no event has told of it in time."""
        with self._lock:
            if self._has(snapshot) or any(_is_same(state, snapshot) for state in self._held):
                return
            if not self._held:
                self._due, self._asked = time.monotonic() + _ASK_AFTER, False
            self._held = tuple(sorted((*self._held, snapshot), key=_rank))[-_MOST:]
            if not hold:
                self._settle()
        self._wake()

    def expect_beginning(self) -> None:
        """Say that the job may have begun before anybody here followed it: its first events are to be looked for."""
        with self._lock:
            if not self._events or self._events[0].job.sequence != _FIRST_SEQUENCE:
                self._beginning = _UNKNOWN

    def needs_beginning(self) -> bool:
        """Say, once, that the first events have to be looked for now; nothing is read before `begin_with`."""
        with self._lock:
            needed = self._beginning == _UNKNOWN
            if needed:
                self._beginning = _SOUGHT
            return needed

    def begin_with(self, earlier: Iterable[Event]) -> None:
        """Put the events that were found, oldest first, before those that came by themselves."""
        with self._lock:
            if self._beginning == _KNOWN:
                return
            known, self._events, self._first = self._events, (), 0
            for event in (*earlier, *known):
                self._add(event)
            self._held = tuple(state for state in self._held if not self._has(state))
            self._beginning = _KNOWN
        self._wake()

    def close(self, error: BaseException) -> None:
        """Say that nothing more will come, and why. What is known can still be read."""
        with self._lock:
            self._settle()
            self._error, self._beginning = error, _KNOWN
        self._wake()

    def at(self, place: int) -> tuple[Event | None, int]:
        """Return the event at this place (None where there is none yet) and the place after it.

        Raises:
            EndOfTransitions: the one before was the job's last.
            ClientClosedError: nothing more will come.
        """
        with self._lock:
            if self._beginning != _KNOWN:
                return None, place
            index = max(0, place - self._first)
            if index < len(self._events):
                return self._events[index], self._first + index + 1
            if self._ended():
                raise EndOfTransitions
            if self._error is not None:
                raise self._error
            return None, place

    def press(self, now: float) -> bool:
        """Go on with what is held back too long; return whether the log should be read for it."""
        with self._lock:
            if not self._held or now < self._due:
                return False
            if self._asked:
                self._settle()
                return False
            self._asked, self._due = True, now + _GIVE_UP_AFTER
            return True

    def pause(self, now: float) -> float | None:
        """Return after how many seconds to `press`; None where nothing is held back."""
        with self._lock:
            return max(0.0, self._due - now) if self._held else None

    @contextlib.contextmanager
    def watched(self, wake: Wake) -> Iterator[None]:
        """Have `wake()` called at each change, by the thread that makes it."""
        with self._lock:
            self._wakes = (*self._wakes, wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakes = tuple(other for other in self._wakes if other is not wake)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()

    def _ended(self) -> bool:
        return bool(self._events) and self._events[-1].job.terminal

    def _settle(self) -> None:
        held, self._held = self._held, ()
        for state in held:
            self._add(_as_event(state))

    def _add(self, event: Event) -> None:
        if self._has(event.job):
            return
        if event.job.sequence == _FIRST_SEQUENCE:
            self._beginning = _KNOWN
        self._events = (*self._events, event)
        if len(self._events) > _MOST:
            self._events = self._events[1:]
            self._first += 1

    def _has(self, state: JobSnapshot) -> bool:
        return self._ended() or any(
            _is_same(event.job, state) or _is_before(state, event.job) for event in self._events
        )


def _is_same(one: JobSnapshot, other: JobSnapshot) -> bool:
    if one.sequence is None or other.sequence is None:
        return one.status == other.status
    # A service that was restored to an earlier point may end a job with a sequence at which it went on before.
    return one.sequence == other.sequence and one.terminal == other.terminal


def _is_before(one: JobSnapshot, other: JobSnapshot) -> bool:
    if one.sequence is None or other.sequence is None:
        return _stage(one) < _stage(other)
    return one.sequence < other.sequence


def _stage(state: JobSnapshot) -> int:
    return _STAGES.get(state.status, _UNDER_WAY)


def _rank(state: JobSnapshot) -> tuple[int, int]:
    return _stage(state), state.sequence or 0


def _as_event(state: JobSnapshot) -> Event:
    moment = None if state.updated_at is None else datetime.fromtimestamp(state.updated_at, UTC)
    return Event("", f"video_translate.{_LAST_WORD.get(state.status, state.status)}", moment, state, raw={})
