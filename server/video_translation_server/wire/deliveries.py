"""Deliveries, attempts and sweeps as the API shows them.

Ids of deliveries are numbers inside and `dlv_<number>` outside.
"""

import re
from typing import Any

from video_translation_server.errors import NotFoundError
from video_translation_server.model import Attempt, Delivery, Sweep
from video_translation_server.wire.events import iso_time, maybe_iso_time

DELIVERY_PREFIX = "dlv_"
_ID = re.compile(r"dlv_[0-9]{1,18}")


def delivery_number(delivery_id: str) -> int:
    """The number in a delivery's id.

    Raises:
        NotFoundError: No delivery can have this id.
    """
    if _ID.fullmatch(delivery_id):
        return int(delivery_id.removeprefix(DELIVERY_PREFIX))
    raise NotFoundError(f"no delivery {delivery_id[:80]}", param="delivery_id")


def delivery_resource(delivery: Delivery) -> dict[str, Any]:
    """One delivery."""
    return {
        "delivery_id": f"{DELIVERY_PREFIX}{delivery.id}",
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "endpoint_id": delivery.endpoint_id,
        "video_translate_id": delivery.job_id,
        "sequence": delivery.sequence,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": maybe_iso_time(delivery.due_at),
        "first_attempt_at": maybe_iso_time(delivery.first_attempt_at),
        "settled_at": maybe_iso_time(delivery.settled_at),
    }


def attempt_resource(attempt: Attempt) -> dict[str, Any]:
    """One line of the attempt log."""
    outcome = attempt.outcome
    return {
        "number": attempt.number,
        "started_at": iso_time(attempt.started_at),
        "duration_ms": round(attempt.duration * 1000, 3),
        "outcome": outcome.kind,
        "status": outcome.status,
        "detail": outcome.detail,
        "retry_after": outcome.retry_after,
        "response_body": outcome.body.decode("utf-8", "replace"),
        "address": outcome.address,
    }


def sweep_resource(sweep: Sweep) -> dict[str, Any]:
    """A recovery or replay."""
    return {
        "recovery_id": sweep.id,
        "endpoint_id": sweep.endpoint_id,
        "kind": sweep.kind,
        "since": iso_time(sweep.since),
        "status": "running" if sweep.finished_at is None else "finished",
        "deliveries": sweep.found,
        "created_at": iso_time(sweep.created_at),
        "finished_at": maybe_iso_time(sweep.finished_at),
    }
