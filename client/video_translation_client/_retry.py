"""Whether a request is sent again, and after how long: pure rules, shared by the blocking and the async sender.

They judge what came of one try; sending, sleeping and choosing another server is left to the modules above.
"""

from __future__ import annotations

import email.utils
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

IN_PROGRESS: Final = "request_in_progress"
"""The error code of a request whose first copy, with the same `Idempotency-Key`, has not been answered yet."""
AWAY: Final = frozenset({502, 503, 504})
"""Answers that say that the server behind a URL is away: another URL may do better."""
_PASSING: Final = frozenset({408, 429})
_CONFLICT: Final = 409
_FIRST_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, never sooner than the service asks.

    Attributes:
        first: seconds before the first repetition.
        factor: each pause is this many times the one before.
        cap: no pause of our own is longer, in seconds.
        patience: a `Retry-After` of more seconds is not waited for: the caller gets the error at once.
        jitter: gives numbers from 0 to 1; a pause is up to a quarter longer.
    """

    first: float = 0.2
    factor: float = 2.0
    cap: float = 8.0
    patience: float = 30.0
    jitter: Callable[[], float] = random.random

    def pause(self, repetition: int, *, hint: float | None = None) -> float | None:
        """Return the seconds to wait before a repetition, or None where it is not worth waiting.

        Args:
            repetition: 1 for the first.
            hint: seconds that the service asks to wait.
        """
        if hint is not None and hint > self.patience:
            return None
        try:
            base = min(self.cap, self.first * self.factor ** (repetition - 1))
        except OverflowError:
            base = self.cap
        return max(hint or 0.0, base) * (1 + self.jitter() / 4)


def is_passing(status: int, code: str | None) -> bool:
    """Whether the same request may be answered otherwise a little later: 408, 429, 5xx, or still in progress."""
    if status == _CONFLICT:
        return code == IN_PROGRESS
    return status in _PASSING or status >= _FIRST_SERVER_ERROR


def read_retry_after(value: str | None, *, now: float) -> float | None:
    """Read a `Retry-After`, given in seconds or as an HTTP date, as seconds from now; None where it is neither.

    Args:
        value: the header.
        now: the wall clock, unix seconds.
    """
    if value is None or not value.isascii():
        return None
    digits = value.strip()
    if digits.isdigit():
        return float(digits)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
