"""When to ask next: one pure policy, used by every poll of a job and by the safety net behind the pushes.

It only computes delays and counts tries; asking, and waiting, is left to the poller, the reconciler and
`poll_status()`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_translation_client._models import JobSnapshot, read_time

LONGEST_HINT: Final = 600.0
"""A service that asks for a longer pause than this (seconds) is asked again all the same."""


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Exponential backoff with a cap, jitter and, where wanted, an end.

    Attributes:
        first: seconds before the first attempt.
        factor: each delay is this many times the one before; 1 or more.
        cap: no delay is longer, in seconds, jitter and the service's own hints aside.
        jitter: the share by which a delay may be shorter or longer, 0 to 1.
        fade: a job is asked for no more often than once in this share of its age, as far as the cap allows.
        max_attempts: how often is asked at most; None means no limit. Only `poll_status()` gives up.
        timeout: seconds in which an answer must have come; None means no limit. Only `poll_status()` gives up.
        rng: gives numbers from 0 to 1; an argument so that a test can know them.
    """

    first: float = 2.0
    factor: float = 1.5
    cap: float = 30.0
    jitter: float = 0.25
    fade: float = 0.05
    max_attempts: int | None = None
    timeout: float | None = None
    rng: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        # Said so that what is not a number at all (NaN) is refused too.
        if not (0 < self.first <= self.cap and self.factor >= 1 and 0 <= self.jitter <= 1 and self.fade >= 0):
            raise ValueError(f"a policy needs 0 < first <= cap, factor >= 1, 0 <= jitter <= 1 and fade >= 0: {self}")
        if (self.max_attempts is not None and self.max_attempts < 1) or (self.timeout is not None and self.timeout < 0):
            raise ValueError(f"a policy needs max_attempts of 1 or more and a timeout of 0 or more, or None: {self}")

    def delay(self, attempt: int, *, floor: float | None = None, age: float = 0.0) -> float:
        """Return the seconds to wait before an attempt.

        Args:
            attempt: 1 for the first.
            floor: never sooner than this, in seconds: the service's own hint.
            age: seconds since the job was made, or since somebody last asked for it.
        """
        try:
            base = min(self.cap, self.first * self.factor ** (attempt - 1))
        except OverflowError:
            base = self.cap
        base = min(self.cap, max(base, age * self.fade))
        return max(floor or 0.0, base * (1 + self.jitter * (2 * self.rng() - 1)))

    def hint(self, snapshot: JobSnapshot, *, now: float, retry_after: float | None = None) -> float | None:
        """Return the seconds before which the service says that asking again is of no use, or None.

        The job's estimated end counts up to the cap, so that a job that fails early is noticed.

        Args:
            snapshot: what the service has just said; its `estimated_completion_at` is the estimate.
            now: the wall clock, unix seconds.
            retry_after: the answer's `Retry-After`, in seconds.
        """
        eta = read_time(snapshot.extra.get("estimated_completion_at"))
        hints = [min(retry_after, LONGEST_HINT)] if retry_after is not None else []
        if eta is not None and eta > now:
            hints.append(min(eta - now, self.cap))
        return max(hints, default=None)


JOB_POLL: Final = PollPolicy()
"""A job that nobody pushes: 2 s, x1.5, up to 30 s, give or take a quarter."""
SAFETY_NET: Final = PollPolicy(first=60.0, factor=2.0, cap=600.0, jitter=0.0)
"""One read per client behind the pushes: every 60 s, doubling to 10 minutes while pushes arrive."""
CLASSIC_POLL: Final = PollPolicy(
    first=1.0, factor=2.0, cap=30.0, jitter=0.0, fade=0.0, max_attempts=150, timeout=3600.0
)
"""`poll_status()`: 1 s, x2, up to 30 s, for an hour and 150 questions at most."""
FILE_POLL: Final = PollPolicy(first=0.5, factor=1.5, cap=10.0)
"""A completed job whose files have no URLs yet: 0.5 s, x1.5, up to 10 s, give or take a quarter."""
GAP_FILL: Final = PollPolicy(first=0.5, factor=2.0, cap=30.0)
"""A gap that could not be filled because the service gave no answer."""
STREAM_RETRY: Final = PollPolicy(first=1.0, factor=2.0, cap=30.0, jitter=0.5)
"""A stream that broke: 1 s (or what the service says), x2, up to 30 s, give or take a half."""


def check_policy(name: str, policy: object) -> None:
    """Refuse what is no policy where it is given, rather than on a thread that asks later.

    Raises:
        TypeError: it is another thing; the message names the argument.
    """
    if not isinstance(policy, PollPolicy):
        raise TypeError(f"{name} must be a PollPolicy, such as PollPolicy(first=1, factor=2, cap=30), not {policy!r}")
