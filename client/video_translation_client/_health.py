"""How a client stands: `Health` for whoever asks, and the notes that it is made of. No network.

What is noted, and what follows from it, is decided where it happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """A client's state at one moment; times are unix seconds.

    Attributes:
        mode: `webhook`, `stream`, `poll`, or `idle` before anything was followed.
        reason: why it is this one.
        since: when it was chosen.
        connected: whether what tells of the jobs works now: the endpoint is registered, or the stream open, or
            the service answered the last poll.
        registered: whether there is a webhook endpoint.
        last_event_at: when the last unseen event came, however it came.
        last_push_at: when the last delivery came to the receiver.
        last_error: what last went wrong in the background, or None.
        last_error_at: when.
        gaps_found: times that a sequence jumped.
        gaps_filled: gaps of which the event log held the missing events.
        cursor: the place in the event log up to which all is known; None without a readable log.
        waiting: jobs that are waited for.
    """

    mode: str
    reason: str
    since: float
    connected: bool
    registered: bool
    last_event_at: float | None
    last_push_at: float | None
    last_error: str | None
    last_error_at: float | None
    gaps_found: int
    gaps_filled: int
    cursor: str | None
    waiting: int


class Troubles:
    """What last went wrong in the background. Thread-safe.

    Args:
        now: the wall clock, unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._last: tuple[str, float] | None = None

    def note(self, error: str) -> None:
        """Keep this one."""
        with self._lock:
            self._last = (error, self._now())

    @property
    def last(self) -> tuple[str, float] | None:
        """What it was, and when (unix seconds)."""
        with self._lock:
            return self._last
