"""What a client has done and seen, counted: `Meter` while it runs, `Metrics` for whoever asks.

Only counting happens here; what an arrival means is decided by the inbox, and exporting is left to users.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_STATUS_CALLS: Final = ("get_status", "get_job")
_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Durations:
    """Measured durations in seconds, oldest first; only the newest 10,000 are kept."""

    values: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self.values)

    @property
    def p50(self) -> float | None:
        """The median, in seconds; None when there is nothing yet."""
        return self.percentile(50)

    @property
    def p99(self) -> float | None:
        """The 99th percentile, in seconds; None when there is nothing yet."""
        return self.percentile(99)

    @property
    def max(self) -> float | None:
        """The longest, in seconds; None when there is nothing yet."""
        return max(self.values, default=None)

    def percentile(self, percent: float) -> float | None:
        """Return the smallest value that at least `percent` of all values do not exceed."""
        if not self.values:
            return None
        rank = max(1, math.ceil(len(self.values) * percent / 100))
        return sorted(self.values)[rank - 1]


@dataclass(frozen=True, slots=True)
class Metrics:
    """A client's counts at one moment.

    Attributes:
        requests: HTTP requests sent (retries included) by operation, for example `{"get_status": 1}`.
        retries: requests that were repeated because the first try met no server.
        pushes_received: deliveries that arrived and were proven genuine, repeats included.
        pushes_refused: deliveries that were answered with an error: unsigned, unreadable, too early.
        events: events accepted, each once, whether pushed or read from the log.
        duplicates_dropped: pushed deliveries of an event that had been pushed before.
        out_of_order: pushed deliveries that came below a sequence already pushed, or ahead of a gap.
        gaps_found: times that a sequence jumped.
        gaps_filled: gaps of which the event log held the missing events.
        callback_errors: user callbacks that raised.
        push_latency: from an event's `created_at` to its first push arriving (by both hosts' clocks).
        completion_delay: from a job's end to this client knowing of it, however it learned.
    """

    requests: Mapping[str, int]
    retries: int
    pushes_received: int
    pushes_refused: int
    events: int
    duplicates_dropped: int
    out_of_order: int
    gaps_found: int
    gaps_filled: int
    callback_errors: int
    push_latency: Durations
    completion_delay: Durations

    @property
    def status_calls(self) -> int:
        """Requests that asked how a job is doing: `/status` and the job resource together."""
        return sum(self.requests.get(name, 0) for name in _STATUS_CALLS)


class Meter:
    """Thread-safe counters behind `Metrics`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._push_latency: deque[float] = deque(maxlen=_KEPT)
        self._completion_delay: deque[float] = deque(maxlen=_KEPT)

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the plain counts of `Metrics`."""
        with self._lock:
            self._counts[name] += by

    def value(self, name: str) -> int:
        """Return one of the plain counts."""
        with self._lock:
            return self._counts[name]

    def request(self, operation: str) -> None:
        """Count one HTTP request."""
        with self._lock:
            self._requests[operation] += 1

    def push_latency(self, seconds: float) -> None:
        """Note how long a push took to arrive; skewed clocks count as zero."""
        with self._lock:
            self._push_latency.append(max(0.0, seconds))

    def completion_delay(self, seconds: float) -> None:
        """Note how long after a job's end this client learned of it."""
        with self._lock:
            self._completion_delay.append(max(0.0, seconds))

    def snapshot(self) -> Metrics:
        """Return the counts as they are now."""
        with self._lock:
            counts = self._counts
            return Metrics(
                requests=dict(self._requests),
                retries=counts["retries"],
                pushes_received=counts["pushes_received"],
                pushes_refused=counts["pushes_refused"],
                events=counts["events"],
                duplicates_dropped=counts["duplicates_dropped"],
                out_of_order=counts["out_of_order"],
                gaps_found=counts["gaps_found"],
                gaps_filled=counts["gaps_filled"],
                callback_errors=counts["callback_errors"],
                push_latency=Durations(tuple(self._push_latency)),
                completion_delay=Durations(tuple(self._completion_delay)),
            )
