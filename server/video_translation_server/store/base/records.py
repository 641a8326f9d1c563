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


class Recipient(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an attempt needs of an endpoint; `retired` are secrets that are good for some time yet."""

    id: str
    url: str
    secret: str
    retired: tuple[RetiredSecret, ...]
    private_key: str | None
    headers: dict[str, str]

    def secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that are good at `now` (Unix seconds), the newest first."""
        return (self.secret, *(old.secret for old in self.retired if old.until > now))


RECIPIENT = "id, url, secret, retired, private_key, headers"
"""The columns of a recipient."""


def recipient(row: Sequence[Any]) -> Recipient:
    """What an attempt needs of an endpoint."""
    return Recipient(
        id=row[0],
        url=row[1],
        secret=row[2],
        retired=_retired(row[3]),
        private_key=row[4],
        headers=_headers(row[5]),
    )


def claim(row: Sequence[Any], claim_id: int, to: Recipient, now: float) -> Claim:
    """A claim for a delivery to an endpoint, as of `now` (Unix seconds)."""
    return Claim(
        delivery_id=row[0],
        claim_id=claim_id,
        attempt=row[1],
        tries=row[2],
        first_attempt_at=row[3],
        event_id=row[4],
        event_type=row[5],
        job_id=row[6],
        sequence=row[7],
        body=row[8],
        endpoint_id=to.id,
        url=to.url,
        secrets=to.secrets(now) if to.retired else (to.secret,),
        private_key=to.private_key,
        headers=to.headers,
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
