"""A token bucket: how long a request has to wait so that a client stays below a rate. No I/O, no sleeping.

Waiting is left to the senders, each in its own way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Limiter:
    """Hands out places in a queue that moves at `rate` per second. Usable from any thread.

    Args:
        rate: requests per second; None sets no limit.
        burst: how many may go at once after a pause; by default what one second allows, at least one.
        clock: monotonic seconds.

    Raises:
        ValueError: the rate is not above 0.
    """

    def __init__(
        self, rate: float | None, *, burst: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"rate_limit must be above 0 (requests per second), or None: {rate!r}")
        self._rate = rate
        self._burst = max(1.0, burst if burst is not None else rate or 0.0)
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._filled_at = clock()

    def reserve(self) -> float:
        """Take a place and return the seconds until its turn, 0.0 where it may go at once."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate) - 1.0
            self._filled_at = now
            return max(0.0, -self._tokens / self._rate)

    def give_back(self) -> None:
        """Return a place that was not used: its request was given up while it waited."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + 1.0)
