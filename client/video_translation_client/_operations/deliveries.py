"""The calls about deliveries, and about sending again what an endpoint missed: each as data, with its reader.

None of them is known to a service without this project's extensions: there they end in `NotFoundError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from video_translation_client._models import read_time
from video_translation_client._operations.endpoints import endpoint_path
from video_translation_client._operations.operation import Operation, Page, page_query, read_data, read_page

_DELIVERIES: Final = "/v3/webhooks/deliveries"
_RECOVERIES: Final = "/v3/webhooks/recoveries"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver.

    Attributes:
        number: 1 for the first.
        started_at: unix seconds.
        duration_ms: how long it took, in milliseconds.
        outcome: `status`, or what kept an answer from coming, for example `refused` or `read_timeout`.
        status: the receiver's HTTP status, where it answered.
        detail: the outcome in words.
        response_body: the beginning of the receiver's answer.
    """

    number: int
    started_at: float | None
    duration_ms: float | None
    outcome: str
    status: int | None
    detail: str
    response_body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        id: the delivery's id.
        event_id: the event.
        event_type: its type.
        endpoint_id: where it goes.
        job_id: the job it tells of; None for notices and tests.
        state: `waiting`, `due`, `delivered`, `superseded` or `dead`.
        attempts: how often it was tried.
        due_at: unix seconds of the next attempt, where there will be one.
        settled_at: unix seconds of its end, where it has ended.
        attempt_log: the tries, oldest first; only where one delivery was asked for by its id.
    """

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    job_id: str | None
    state: str
    attempts: int
    due_at: float | None = None
    settled_at: float | None = None
    attempt_log: tuple[Attempt, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Recovery:
    """A sweep through the event log for one endpoint.

    Attributes:
        id: the recovery's id.
        endpoint_id: for whom.
        kind: `recover` (what failed) or `replay` (what was never sent).
        since: unix seconds from which on.
        status: `running` or `finished`.
        deliveries: how many were made due so far.
    """

    id: str
    endpoint_id: str
    kind: str
    since: float | None
    status: str
    deliveries: int


def list_deliveries(
    token: str | None = None,
    *,
    endpoint_id: str | None = None,
    event_id: str | None = None,
    job_id: str | None = None,
    state: str | None = None,
) -> Operation[Page[Delivery]]:
    """Read one page of the workspace's deliveries, newest first; each filter narrows it."""
    query = page_query(token, endpoint_id=endpoint_id, event_id=event_id, video_translate_id=job_id, state=state)
    return Operation("list_deliveries", "GET", _DELIVERIES, _read_many, query=query, repeatable=True)


def get_delivery(delivery_id: str) -> Operation[Delivery]:
    """Read one delivery with its attempts."""
    return Operation("get_delivery", "GET", _delivery_path(delivery_id), _read_one, repeatable=True)


def resend(delivery_id: str) -> Operation[Delivery]:
    """Send it again, now."""
    return Operation("resend", "POST", _delivery_path(delivery_id) + "/resend", _read_one, keyed=True)


def test_endpoint(endpoint_id: str) -> Operation[Delivery]:
    """Send an endpoint an `endpoint.test` event; the answer is its delivery, which has yet to be made."""
    return Operation("test_endpoint", "POST", endpoint_path(endpoint_id) + "/test", _read_one, keyed=True)


def recover(endpoint_id: str, since: float) -> Operation[Recovery]:
    """Take up again all since a time (unix seconds) that failed for good or was never sent."""
    path = endpoint_path(endpoint_id) + "/recover"
    return Operation("recover", "POST", path, _read_recovery, body={"since": _iso(since)}, keyed=True)


def replay(endpoint_id: str, since: float | None = None) -> Operation[Recovery]:
    """Send what the endpoint was never sent, since a time (unix seconds) or from the log's beginning."""
    body = None if since is None else {"since": _iso(since)}
    return Operation("replay", "POST", endpoint_path(endpoint_id) + "/replay", _read_recovery, body=body, keyed=True)


def get_recovery(recovery_id: str) -> Operation[Recovery]:
    """Ask how far a recovery or replay has come."""
    path = f"{_RECOVERIES}/{quote(recovery_id, safe='')}"
    return Operation("get_recovery", "GET", path, _read_recovery, repeatable=True)


def _delivery_path(delivery_id: str) -> str:
    return f"{_DELIVERIES}/{quote(delivery_id, safe='')}"


def _iso(seconds: float) -> str:
    if not isinstance(seconds, int | float):
        raise TypeError(f"since is unix seconds, such as a datetime's timestamp() gives, not {seconds!r}")
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"since is unix seconds, and {seconds!r} is no time that a calendar has") from None


def _read_one(answer: Any) -> Delivery:
    return _read_delivery(read_data(answer))


def _read_many(answer: Any) -> Page[Delivery]:
    return read_page(answer, _read_delivery)


def _read_delivery(data: Any) -> Delivery:
    if not isinstance(data, Mapping) or not isinstance(data.get("delivery_id"), str):
        raise ValueError("a delivery needs a `delivery_id`")  # noqa: TRY004 - the reader's callers catch one type
    log = data.get("attempt_log")
    return Delivery(
        id=data["delivery_id"],
        event_id=str(data.get("event_id", "")),
        event_type=str(data.get("event_type", "")),
        endpoint_id=str(data.get("endpoint_id", "")),
        job_id=data.get("video_translate_id") or None,
        state=str(data.get("state", "")),
        attempts=_count(data.get("attempts")),
        due_at=read_time(data.get("due_at")),
        settled_at=read_time(data.get("settled_at")),
        attempt_log=tuple(_read_attempt(item) for item in log) if isinstance(log, list) else (),
    )


def _read_attempt(data: Any) -> Attempt:
    if not isinstance(data, Mapping):
        raise ValueError("an attempt is a JSON object")  # noqa: TRY004 - as above
    return Attempt(
        number=_count(data.get("number")),
        started_at=read_time(data.get("started_at")),
        duration_ms=data.get("duration_ms"),
        outcome=str(data.get("outcome", "")),
        status=data.get("status"),
        detail=str(data.get("detail") or ""),
        response_body=str(data.get("response_body") or ""),
    )


def _read_recovery(answer: Any) -> Recovery:
    data = read_data(answer)
    if not isinstance(data, Mapping) or not isinstance(data.get("recovery_id"), str):
        raise ValueError("a recovery needs a `recovery_id`")  # noqa: TRY004 - as above
    return Recovery(
        id=data["recovery_id"],
        endpoint_id=str(data.get("endpoint_id", "")),
        kind=str(data.get("kind", "")),
        since=read_time(data.get("since")),
        status=str(data.get("status", "")),
        deliveries=_count(data.get("deliveries")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
