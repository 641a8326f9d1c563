"""Deliveries, attempts, claims and sweeps made of their columns, in the order in which both engines select them.

Which rows these are, and how they are found, is the engines' business.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from video_translation_server.model import (
    Attempt,
    Claim,
    Delivery,
    DeliveryState,
    Outcome,
    OutcomeKind,
    RetiredSecret,
    Sweep,
    SweepKind,
)


def delivery(row: Sequence[Any]) -> Delivery:
    """A delivery as readers see it."""
    return Delivery(
        id=row[0],
        event_id=row[1],
        event_type=row[2],
        endpoint_id=row[3],
        job_id=row[4],
        sequence=row[5],
        state=DeliveryState(row[6]),
        attempts=row[7],
        due_at=row[8],
        first_attempt_at=row[9],
        settled_at=row[10],
    )


def attempt(row: Sequence[Any]) -> Attempt:
    """An attempt; the answer's body comes last."""
    return Attempt(
        number=row[0],
        started_at=row[1],
        duration=row[2],
        outcome=Outcome(
            kind=OutcomeKind(row[3]),
            status=row[4],
            detail=row[5],
            retry_after=row[6],
            address=row[7],
            body=row[8],
        ),
    )


def claim(row: Sequence[Any], now: float) -> Claim:
    """A claim, with the secrets that are good at `now` (Unix seconds)."""
    return Claim(
        delivery_id=row[0],
        claim_id=row[1],
        attempt=row[2],
        tries=row[3],
        first_attempt_at=row[4],
        event_id=row[5],
        event_type=row[6],
        job_id=row[7],
        sequence=row[8],
        body=row[9],
        endpoint_id=row[10],
        url=row[11],
        secrets=(row[12], *(old.secret for old in _retired(row[13]) if old.until > now)),
        private_key=row[14],
        headers=_headers(row[15]),
    )


@lru_cache(maxsize=1024)
def _retired(text: str) -> tuple[RetiredSecret, ...]:
    return msgspec.json.decode(text, type=tuple[RetiredSecret, ...])


@lru_cache(maxsize=1024)
def _headers(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def sweep(row: Sequence[Any]) -> Sweep:
    """A recovery or a replay."""
    return Sweep(
        id=row[0],
        workspace_id=row[1],
        endpoint_id=row[2],
        kind=SweepKind(row[3]),
        since=row[4],
        created_at=row[5],
        position=row[6],
        until=row[7],
        found=row[8],
        finished_at=row[9],
    )
