"""What a client has done and seen, counted: `Meter` while it runs, `Metrics` for whoever asks.

Only counting happens here; what an arrival means is decided by the inbox, and exporting is left to `prometheus`
and to users.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_STATUS_CALLS: Final = ("get_status", "get_job")
_PLAIN_COUNTS: Final = (
    *("retries", "pushes_received", "pushes_refused", "events", "duplicates_dropped", "out_of_order"),
    *("gaps_found", "gaps_filled", "events_lost", "log_breaks", "callback_errors", "jobs_completed", "jobs_failed"),
)
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

    def as_dict(self) -> dict[str, Any]:
        """Return count, p50, p99 and max (seconds) as plain values for JSON."""
        return {"count": self.count, "p50": self.p50, "p99": self.p99, "max": self.max}


@dataclass(frozen=True, slots=True)
class Responses:
    """How the requests of one kind ended.

    Attributes:
        answered: requests that got an answer, errors included.
        refused: answers that were errors (4xx, 5xx).
        unanswered: requests that got none: refused connections, timeouts.
        seconds: the time that all answers took together.
    """

    answered: int = 0
    refused: int = 0
    unanswered: int = 0
    seconds: float = 0.0

    @property
    def average(self) -> float | None:
        """Seconds that an answer took on average; None when there is none yet."""
        return self.seconds / self.answered if self.answered else None

    @property
    def success_rate(self) -> float | None:
        """The share, 0 to 1, of ended requests that were answered and not refused; None before the first."""
        ended = self.answered + self.unanswered
        return (self.answered - self.refused) / ended if ended else None

    def plus(self, other: Responses) -> Responses:
        """Return both together."""
        return Responses(
            self.answered + other.answered,
            self.refused + other.refused,
            self.unanswered + other.unanswered,
            self.seconds + other.seconds,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, the average (seconds) and the success rate as plain values for JSON."""
        return {
            "answered": self.answered,
            "refused": self.refused,
            "unanswered": self.unanswered,
            "average_seconds": self.average,
            "success_rate": self.success_rate,
        }


@dataclass(frozen=True, slots=True)
class Metrics:
    """A client's counts at one moment.

    Attributes:
        requests: HTTP requests sent (retries included) by operation, for example `{"get_status": 1}`.
        retries: requests that were repeated because a try met no server or an error that may pass.
        pushes_received: deliveries that arrived and were proven genuine, repeats included.
        pushes_refused: deliveries that were answered with an error: unsigned, unreadable, too early.
        events: events accepted, each once, whether pushed or read from the log.
        duplicates_dropped: pushed deliveries of an event that had been pushed before.
        out_of_order: pushed deliveries that came below a sequence already pushed, or ahead of a gap.
        gaps_found: times that a sequence jumped.
        gaps_filled: gaps of which the event log held the missing events.
        events_lost: transitions that are missing between two that came, and that the event log no longer holds.
        log_breaks: times that the event log no longer went back to this client's place, so that events may be lost.
        callback_errors: user callbacks that raised.
        push_latency: from an event's `created_at` to its first push arriving (by both hosts' clocks).
        completion_delay: from a job's end to this client knowing of it, however it learned.
        responses: how the requests ended, by operation.
        jobs_completed: jobs that this client saw end as `completed`.
        jobs_failed: jobs that this client saw end as `failed`, cancelled ones included.
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
    responses: Mapping[str, Responses] = field(default_factory=dict)
    jobs_completed: int = 0
    jobs_failed: int = 0
    events_lost: int = 0
    log_breaks: int = 0

    @property
    def status_calls(self) -> int:
        """Requests that asked how a job is doing: `/status` and the job resource together."""
        return sum(self.requests.get(name, 0) for name in _STATUS_CALLS)

    @property
    def all_responses(self) -> Responses:
        """How the requests of every kind ended, together: `.average` seconds, `.success_rate`."""
        return functools.reduce(Responses.plus, self.responses.values(), Responses())

    @property
    def average_response_time(self) -> float | None:
        """Seconds that an answer took on average, over all operations; None before the first."""
        return self.all_responses.average

    @property
    def job_success_rate(self) -> float | None:
        """The share, 0 to 1, of the jobs seen ending that completed; None before the first."""
        ended = self.jobs_completed + self.jobs_failed
        return self.jobs_completed / ended if ended else None

    @property
    def job_failure_rate(self) -> float | None:
        """The share, 0 to 1, of the jobs seen ending that failed; None before the first."""
        rate = self.job_success_rate
        return None if rate is None else 1.0 - rate

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; times are in seconds, rates go from 0 to 1."""
        counts = {name: getattr(self, name) for name in _PLAIN_COUNTS}
        return {
            "requests": dict(sorted(self.requests.items())),
            **counts,
            "job_success_rate": self.job_success_rate,
            "job_failure_rate": self.job_failure_rate,
            "push_latency_seconds": self.push_latency.as_dict(),
            "completion_delay_seconds": self.completion_delay.as_dict(),
            "responses": self.all_responses.as_dict(),
            "responses_by_operation": {name: self.responses[name].as_dict() for name in sorted(self.responses)},
        }


class Meter:
    """Thread-safe counters behind `Metrics`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        self._responses: dict[str, Responses] = {}
        self._push_latency: deque[float] = deque(maxlen=_KEPT)
        self._completion_delay: deque[float] = deque(maxlen=_KEPT)

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the plain counts of `Metrics`."""
        with self._lock:
            self._counts[name] += by
            self._last[name] = time.time()

    def last(self, name: str) -> float | None:
        """Return when one of the plain counts grew last (unix seconds); None where it never did."""
        with self._lock:
            return self._last.get(name)

    def value(self, name: str) -> int:
        """Return one of the plain counts."""
        with self._lock:
            return self._counts[name]

    def request(self, operation: str) -> None:
        """Count one HTTP request."""
        with self._lock:
            self._requests[operation] += 1

    def response(self, operation: str, seconds: float, ok: bool) -> None:
        """Note that a request was answered after `seconds`; `ok` unless with an error status."""
        self._end(operation, Responses(answered=1, refused=0 if ok else 1, seconds=max(0.0, seconds)))

    def no_response(self, operation: str) -> None:
        """Note that a request got no answer."""
        self._end(operation, Responses(unanswered=1))

    def job_ended(self, completed: bool) -> None:
        """Note that a job was seen ending."""
        self.count("jobs_completed" if completed else "jobs_failed")

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
            return Metrics(
                requests=dict(self._requests),
                push_latency=Durations(tuple(self._push_latency)),
                completion_delay=Durations(tuple(self._completion_delay)),
                responses=dict(self._responses),
                **{name: self._counts[name] for name in _PLAIN_COUNTS},
            )

    def _end(self, operation: str, ended: Responses) -> None:
        with self._lock:
            self._responses[operation] = self._responses.get(operation, Responses()).plus(ended)
