"""An attempt: the claim that it is made under, its outcome, the verdict on it, and the settlement of all three.

Outcomes are judged by `retry`; what a verdict does to a delivery is the store's business.
"""

from enum import StrEnum

import msgspec


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery leased to one worker, with all that an attempt needs.

    Attributes:
        claim_id: The fence: settling with a claim that is no longer the delivery's changes nothing.
        attempt: The number of the attempt that this claim is for, from 1, over the delivery's whole life.
        tries: Its number in the present run of the retry schedule, from 1; a resend starts a new run.
        first_attempt_at: When attempt 1 started, or None when this is it.
        secrets: Every valid signing secret, the newest first.
        headers: The endpoint's own headers.
    """

    delivery_id: int
    claim_id: int
    attempt: int
    tries: int
    first_attempt_at: float | None
    event_id: str
    event_type: str
    job_id: str | None
    sequence: int
    body: bytes
    endpoint_id: str
    url: str
    secrets: tuple[str, ...]
    private_key: str | None
    headers: dict[str, str]


class OutcomeKind(StrEnum):
    """What became of one POST, by the phase in which it ended."""

    STATUS = "status"
    BLOCKED = "blocked"
    DNS = "dns"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_FAILED = "connect_failed"
    TLS = "tls"
    RESET = "reset"
    READ_TIMEOUT = "read_timeout"
    SLOW_BODY = "slow_body"
    PROTOCOL = "protocol"


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one POST came to: a value, not an exception (decision 0010).

    Attributes:
        kind: `status` when an answer arrived; otherwise the phase that ended the attempt.
        status: The HTTP status code, for kind `status`; also where the headers came and the body broke.
        detail: A sentence for the attempt log, "" where the status says it all.
        retry_after: The receiver's `Retry-After` header as it came, or None.
        body: The first bytes of the answer (at most 2 KiB), for the attempt log.
        address: The IP address that was connected to, where one was.
    """

    kind: OutcomeKind
    status: int | None = None
    detail: str = ""
    retry_after: str | None = None
    body: bytes = b""
    address: str | None = None


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """Verdict: the receiver has it."""


class RetryAt(msgspec.Struct, frozen=True, gc=False):
    """Verdict: try again at `due_at`."""

    due_at: float


class Dead(msgspec.Struct, frozen=True, gc=False):
    """Verdict: the retry window has ended; the delivery is kept and can be replayed."""


class Gone(msgspec.Struct, frozen=True, gc=False):
    """Verdict: the receiver wants no more (410); the endpoint is disabled, its deliveries are kept."""


Verdict = Delivered | RetryAt | Dead | Gone


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of the attempt log.

    Attributes:
        started_at: Unix seconds.
        duration: Seconds.
    """

    number: int
    started_at: float
    duration: float
    outcome: Outcome


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a worker hands back for a claim: the attempt it made and the verdict on it.

    `strained` tells that the receiver is overloaded (429, 502, 503, 504, a time-out): it is to be slowed down.
    """

    claim: Claim
    attempt: Attempt
    verdict: Verdict
    strained: bool = False
