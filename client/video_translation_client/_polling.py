"""When to ask next: one pure policy, used by the poll of a job and by the safety net behind the pushes.

It only computes delays; asking, and waiting, is left to the reconciler and the upkeep thread.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Exponential backoff with a cap and jitter.

    Attributes:
        first: seconds before the first attempt.
        factor: each delay is this many times the one before; 1 or more.
        cap: no delay is longer, in seconds, jitter aside.
        jitter: the share by which a delay may be shorter or longer, 0 to 1.
        rng: gives numbers from 0 to 1; an argument so that a test can know them.
    """

    first: float = 2.0
    factor: float = 1.5
    cap: float = 30.0
    jitter: float = 0.25
    rng: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if self.first <= 0 or self.factor < 1 or self.cap < self.first or not 0 <= self.jitter <= 1:
            raise ValueError(f"a policy needs 0 < first <= cap, factor >= 1 and 0 <= jitter <= 1: {self}")

    def delay(self, attempt: int, *, floor: float | None = None) -> float:
        """Return the seconds to wait before an attempt.

        Args:
            attempt: 1 for the first.
            floor: never sooner than this, in seconds: the service's own hint.
        """
        try:
            base = min(self.cap, self.first * self.factor ** (attempt - 1))
        except OverflowError:
            base = self.cap
        return max(floor or 0.0, base * (1 + self.jitter * (2 * self.rng() - 1)))


JOB_POLL = PollPolicy()
"""A job that nobody pushes: 2 s, x1.5, up to 30 s, give or take a quarter."""
SAFETY_NET = PollPolicy(first=60.0, factor=2.0, cap=600.0, jitter=0.0)
"""One read of the event log per client: every 60 s, doubling to 10 minutes while pushes arrive."""
GAP_FILL = PollPolicy(first=0.5, factor=2.0, cap=30.0)
"""A gap that could not be filled because the service gave no answer."""
