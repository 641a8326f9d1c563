"""The judge, pure: from an attempt's outcome and number to a verdict.

The schedule and its reasons are docs/delivery.md; the numbers arrive as a `RetryPolicy`, the
randomness of the jitter as an argument.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from video_translation_server.model import Dead, Delivered, Gone, Outcome, OutcomeKind, RetryAt, Verdict


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is tried again.

    Attributes:
        delays: Seconds after attempt 1, 2, ...; one more attempt than there are delays.
        jitter: Up to this share of a delay is added to it, never taken away.
        max_retry_after: Longest `Retry-After` that is honoured, seconds.
    """

    delays: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
    jitter: float = 0.2
    max_retry_after: float = 3600

    def judge(self, outcome: Outcome, *, tries: int, now: float, chance: float) -> Verdict:
        """The verdict on the attempt with number `tries` of a run (from 1) that ended `now` (Unix seconds).

        `chance` is a random number from [0, 1) that picks the jitter.
        """
        if is_success(outcome):
            return _DELIVERED
        if outcome.kind is OutcomeKind.STATUS and outcome.status == GONE:
            return Gone()
        if tries > len(self.delays):
            return Dead()
        delay = self.delays[tries - 1] * (1 + self.jitter * chance)
        asked = retry_after_seconds(outcome.retry_after, now=now)
        return RetryAt(now + max(delay, min(asked, self.max_retry_after)))


GONE = 410
_DELIVERED = Delivered()
OVERLOADED = frozenset({429, 502, 503, 504})
TIMEOUTS = frozenset({OutcomeKind.CONNECT_TIMEOUT, OutcomeKind.READ_TIMEOUT, OutcomeKind.SLOW_BODY})


def is_success(outcome: Outcome) -> bool:
    """True for an answer in 2xx; a redirect is a failure (docs/delivery.md)."""
    return outcome.kind is OutcomeKind.STATUS and outcome.status is not None and 200 <= outcome.status < 300  # noqa: PLR2004  (RFC 9110 section 15.3)


def is_strained(outcome: Outcome) -> bool:
    """True where the outcome says that the receiver has too much to do: fewer attempts at once will help it."""
    if outcome.kind is OutcomeKind.STATUS:
        return outcome.status in OVERLOADED
    return outcome.kind in TIMEOUTS


def retry_after_seconds(value: str | None, *, now: float) -> float:
    """Seconds that a `Retry-After` header asks for (RFC 9110 section 10.2.3), 0 where it is absent or unreadable."""
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers that fit no integer of C
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)
