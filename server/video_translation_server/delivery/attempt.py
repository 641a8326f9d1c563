"""One attempt: begin it, then judge what came of it; from a claim to the settlement of it.

How it is signed and sent is `courier`'s business. It knows nothing of queues and leases, and never raises for what the
network or the receiver does.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from video_translation_server.clock import Clock
from video_translation_server.delivery.courier import Carrier
from video_translation_server.logs import Form, lines_together
from video_translation_server.model import Attempt, Claim, Dead, Delivered, Gone, Outcome, RetryAt, Settlement, Verdict
from video_translation_server.retry import RetryPolicy, is_strained, is_success
from video_translation_server.wire.events import iso_time

log = structlog.get_logger("delivery")


class Flight(msgspec.Struct, frozen=True, gc=False):
    """An attempt under way.

    Attributes:
        started_at: By the server's clock, Unix seconds.
        started: By the performance counter, seconds.
        outcome: Cancelling it ends the attempt.
    """

    claim: Claim
    started_at: float
    started: float
    outcome: asyncio.Future[Outcome]


@dataclass(frozen=True, slots=True)
class Attempter:
    """Has claims carried out, and judges how that went.

    Attributes:
        carrier: Signs and sends.
        chance: A number from [0, 1) for the jitter of a claim's retry.
    """

    carrier: Carrier
    policy: RetryPolicy
    clock: Clock
    chance: Callable[[Claim], float]

    def begin(self, claim: Claim) -> Flight:
        """POST the claim's event to its endpoint.

        Raises:
            ValueError: A header of the endpoint cannot be sent.
        """
        started_at, started = self.clock.now(), time.perf_counter()
        return Flight(claim, started_at, started, self.carrier.carry(claim))

    def judge(self, flight: Flight) -> Settlement:
        """Judge what came of an attempt that has its outcome."""
        claim, outcome = flight.claim, flight.outcome.result()
        attempt = Attempt(
            number=claim.attempt,
            started_at=flight.started_at,
            duration=time.perf_counter() - flight.started,
            outcome=outcome,
        )
        if is_success(outcome):  # on which neither time nor chance has a say
            return Settlement(claim=claim, attempt=attempt, verdict=Delivered())
        verdict = self.policy.judge(outcome, tries=claim.tries, now=self.clock.now(), chance=self.chance(claim))
        return Settlement(claim=claim, attempt=attempt, verdict=verdict, strained=is_strained(outcome))


def log_settlements(settlements: Sequence[Settlement], held: Sequence[bool]) -> None:
    """One wide line per attempt, with every id and the verdict; never a secret.

    `held` is False where the claim was lost meanwhile, so that the verdict changed nothing.
    """
    with lines_together(log) as tell:
        for settlement, holds in zip(settlements, held, strict=True):
            claim, attempt, outcome = settlement.claim, settlement.attempt, settlement.attempt.outcome
            level = "info" if isinstance(settlement.verdict, Delivered) else "warning"
            values = (
                _words(settlement.verdict) if holds else "claim lost",
                claim.event_id,
                claim.event_type,
                claim.job_id,
                claim.sequence,
                claim.endpoint_id,
                claim.delivery_id,
                attempt.number,
                outcome.kind,
                outcome.status,
                round(attempt.duration * 10_000) / 10,
            )
            if outcome.detail:
                tell(_DETAILED, level, (*values, outcome.detail))
            else:
                tell(_ATTEMPT, level, values)


_ATTEMPT = Form(
    "attempt",
    "verdict",
    "event_id",
    "event_type",
    "job_id",
    "sequence",
    "endpoint_id",
    "delivery_id",
    "number",
    "outcome",
    "status",
    "ms",
)
_DETAILED = Form("attempt", *_ATTEMPT.keys, "detail")


def log_lost(claim: Claim) -> None:
    """One line for a claim that was given up before it was sent: its lease has run out."""
    log.warning(
        "not sent",
        verdict="claim lost",
        event_id=claim.event_id,
        event_type=claim.event_type,
        job_id=claim.job_id,
        sequence=claim.sequence,
        endpoint_id=claim.endpoint_id,
        delivery_id=claim.delivery_id,
        number=claim.attempt,
    )


def _words(verdict: Verdict) -> str:
    match verdict:
        case Delivered():
            return "delivered"
        case RetryAt(due_at):
            return f"retry at {iso_time(due_at)}"
        case Dead():
            return "dead"
        case Gone():
            return "gone"
