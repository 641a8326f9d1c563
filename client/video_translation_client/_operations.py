"""Each REST call as data: name, method, path, body, and how to read the answer. No I/O.

Sending is left to the transport, so that a blocking and an async client can share every call.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from video_translation_client._errors import APIError, UnexpectedResponseError, api_error_class
from video_translation_client._models import Event, JobSnapshot, read_event, read_job

logger = logging.getLogger("video_translation_client")

T = TypeVar("T")

MARKER: Final = "video-translation-client"
"""The `description` of endpoints made here: a later run on the same URL may replace them."""
PAGE_SIZE: Final = 100
_FIRST_ERROR: Final = 400
_SUCCESS: Final = range(200, 300)
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call.

    Attributes:
        name: for metrics and logs.
        method: HTTP method.
        path: from the base URL on, quoted.
        parse: reads the decoded JSON body.
        query: query parameters.
        body: sent as JSON.
        repeatable: sending it twice does what sending it once does.
    """

    name: str
    method: str
    path: str
    parse: Callable[[Any], T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as the service describes it; `secret` and `cursor` come with its creation only."""

    endpoint_id: str
    url: str
    secret: str | None = field(default=None, repr=False)
    cursor: str | None = None
    ttl_seconds: float | None = None
    description: str | None = None
    has_description: bool = False

    def is_orphan_of(self, url: str) -> bool:
        """Whether an earlier run of this client on `url` left it behind.

        The real service has no descriptions: there, whoever registers a URL anew takes it over.
        """
        return self.url == url and (self.description == MARKER or not self.has_description)


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of the event log, and where to read on."""

    events: tuple[Event, ...]
    has_more: bool
    cursor: str | None


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """One page of endpoints."""

    endpoints: tuple[Endpoint, ...]
    next_token: str | None


def create_translation(
    video: str | Mapping[str, Any], output_languages: Sequence[str], options: Mapping[str, Any]
) -> Operation[tuple[str, ...]]:
    """Start one job per language; the answer is their ids."""
    source = {"type": "url", "url": video} if isinstance(video, str) else dict(video)
    body = {"video": source, "output_languages": list(output_languages), **options}
    return Operation("create_translation", "POST", "/v3/video-translations", _read_ids, body=body)


def get_job(job_id: str) -> Operation[JobSnapshot]:
    """Read one job."""
    path = f"/v3/video-translations/{quote(job_id, safe='')}"
    return Operation("get_job", "GET", path, lambda answer: read_job(_data(answer)), repeatable=True)


def get_status(job_id: str | None = None) -> Operation[JobSnapshot]:
    """Ask `/status` for a job, or for the newest one."""
    query = {} if job_id is None else {"video_translation_id": job_id}
    return Operation("get_status", "GET", "/status", read_job, query=query, repeatable=True)


def create_endpoint(url: str, *, ttl_seconds: int | None, plain: bool = False) -> Operation[Endpoint]:
    """Register a URL for every type of event.

    Args:
        url: where the deliveries go.
        ttl_seconds: after how long without renewal the service forgets it; None means never.
        plain: only the real service's fields.
    """
    body: dict[str, Any] = {"url": url, "events": None}
    if not plain:
        body["description"] = MARKER
        if ttl_seconds is not None:
            body["ttl_seconds"] = ttl_seconds
    return Operation(
        "create_endpoint", "POST", "/v3/webhooks/endpoints", lambda answer: _read_endpoint(_data(answer)), body=body
    )


def list_endpoints(token: str | None = None) -> Operation[EndpointPage]:
    """Read one page of the workspace's endpoints."""
    query: dict[str, str | int] = {"limit": PAGE_SIZE}
    if token is not None:
        query["token"] = token
    return Operation("list_endpoints", "GET", "/v3/webhooks/endpoints", _read_endpoints, query=query, repeatable=True)


def delete_endpoint(endpoint_id: str) -> Operation[None]:
    """Remove an endpoint."""
    return Operation("delete_endpoint", "DELETE", _endpoint_path(endpoint_id), lambda _: None, repeatable=True)


def renew_endpoint(endpoint_id: str) -> Operation[None]:
    """Start an endpoint's time to live anew."""
    path = _endpoint_path(endpoint_id) + "/renew"
    return Operation("renew_endpoint", "POST", path, lambda _: None, repeatable=True)


def list_events(after: str | None = None, *, job_id: str | None = None, limit: int = PAGE_SIZE) -> Operation[EventPage]:
    """Read the event log forward from just behind `after`; without it, the newest events."""
    query: dict[str, str | int] = {"limit": limit}
    if after is not None:
        query["after"] = after
    if job_id is not None:
        query["video_translate_id"] = job_id
    return Operation("list_events", "GET", "/v3/webhooks/events", _read_events, query=query, repeatable=True)


def interpret(operation: Operation[T], status: int, headers: Mapping[str, str], content: bytes) -> T:
    """Read an HTTP answer: the operation's result, or the error of the tree that fits.

    Args:
        operation: what was asked.
        status: HTTP status code.
        headers: with lower-case names, or a mapping that ignores case.
        content: the body.

    Raises:
        APIError: the service answered with an error.
        UnexpectedResponseError: the answer is not of the API's shape.
    """
    request_id = headers.get("x-request-id")
    if status >= _FIRST_ERROR:
        raise _error(operation, status, headers, content)
    place = f"{operation.method} {operation.path}"
    if status not in _SUCCESS:
        raise UnexpectedResponseError(
            f"{place} was answered with {status}: is the base URL right? (request {request_id})"
        )
    try:
        return operation.parse(json.loads(content) if content.strip() else {})
    except (ValueError, RecursionError) as error:
        shown = content[:_SHOWN].decode("utf-8", "replace")
        raise UnexpectedResponseError(
            f"{place} was answered with something that is not of the API's shape ({error}): {shown!r}"
        ) from error


def _error(operation: Operation[Any], status: int, headers: Mapping[str, str], content: bytes) -> APIError:
    try:
        found = json.loads(content)["error"]
        details = found if isinstance(found, dict) else {}
    except (ValueError, RecursionError, KeyError, TypeError):
        details = {}
    code, param, request_id = details.get("code"), details.get("param"), headers.get("x-request-id")
    message = details.get("message") or content[:_SHOWN].decode("utf-8", "replace").strip() or "no message"
    where = f" (field {param})" if param else ""
    trace = f" [request {request_id}]" if request_id else ""
    return api_error_class(status)(
        f"{operation.method} {operation.path} was refused with {status} {code or ''}: {message}{where}{trace}",
        status=status,
        code=code,
        param=param,
        request_id=request_id,
        retry_after=_seconds(headers.get("retry-after")),
    )


def _seconds(value: str | None) -> float | None:
    # Only the form in seconds: our service and the real one send no dates.
    return float(value) if value is not None and value.isascii() and value.isdigit() else None


def _endpoint_path(endpoint_id: str) -> str:
    return f"/v3/webhooks/endpoints/{quote(endpoint_id, safe='')}"


def _data(answer: Any) -> Any:
    if not isinstance(answer, Mapping) or "data" not in answer:
        raise ValueError("the envelope has no `data`")
    return answer["data"]


def _list(answer: Any) -> list[Any]:
    items = _data(answer)
    if not isinstance(items, list):
        raise ValueError("`data` is not a list")  # noqa: TRY004 - the reader's callers catch one type
    return items


def _read_ids(answer: Any) -> tuple[str, ...]:
    ids = _data(answer).get("video_translation_ids") if isinstance(_data(answer), Mapping) else None
    if not isinstance(ids, list) or not all(isinstance(job_id, str) and job_id for job_id in ids):
        raise ValueError("`video_translation_ids` is not a list of ids")
    return tuple(ids)


def _read_endpoint(data: Any) -> Endpoint:
    if not isinstance(data, Mapping) or not isinstance(data.get("endpoint_id"), str):
        raise ValueError("an endpoint needs an `endpoint_id`")  # noqa: TRY004 - as above
    ttl = data.get("ttl_seconds")
    return Endpoint(
        endpoint_id=data["endpoint_id"],
        url=str(data.get("url", "")),
        secret=data.get("secret") or None,
        cursor=data.get("cursor") or None,
        ttl_seconds=float(ttl) if isinstance(ttl, int | float) else None,
        description=data.get("description"),
        has_description="description" in data,
    )


def _read_endpoints(answer: Any) -> EndpointPage:
    endpoints = tuple(_read_endpoint(item) for item in _list(answer))
    return EndpointPage(endpoints, (answer.get("next_token") or None) if answer.get("has_more") else None)


def _read_events(answer: Any) -> EventPage:
    events = tuple(event for item in _list(answer) if (event := _readable(item)) is not None)
    cursor = answer.get("cursor") or (events[-1].id if events else None)
    return EventPage(events, bool(answer.get("has_more")), cursor)


def _readable(item: Any) -> Event | None:
    try:
        return read_event(item)
    except ValueError as error:
        # One item that nobody can read must not hide all that follow it in the log.
        logger.warning("an item of the event log is skipped: %s", error)
        return None
