"""What a call to the service is as data, and how any HTTP answer to one is read. No I/O.

Which calls there are is left to the modules beside this one; sending is the transport's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from video_translation_client._errors import APIError, UnexpectedResponseError, api_error_class
from video_translation_client._retry import read_retry_after

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""How many items are asked for at once: the most that the service gives."""
_FIRST_ERROR: Final = 400
_SUCCESS: Final = range(200, 300)
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file that is sent as the part `file` of a form, read from disk anew for each try.

    Attributes:
        path: where it is.
        size: bytes.
        media_type: told by its name.
        progress: called with the bytes sent so far and the size, after each piece of each try.
    """

    path: Path
    size: int
    media_type: str
    progress: Callable[[int, int], object] | None = None


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
        heed: works a successful answer's `Retry-After` (seconds) into the result; None ignores it.
        keyed: it makes something; an `Idempotency-Key` lets the service see a repetition.
        headers: of this call alone.
        file: sent as a form, instead of a body.
        patience: seconds that one try may take where the caller says nothing; None: as the client's.
    """

    name: str
    method: str
    path: str
    parse: Callable[[Any], T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeatable: bool = False
    heed: Callable[[T, float], T] | None = None
    keyed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    file: FilePart | None = None
    patience: float | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the token of the next one (None on the last)."""

    items: tuple[T, ...]
    next_token: str | None = None


def interpret(
    operation: Operation[T],
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    now: Callable[[], float] = time.time,
) -> T:
    """Read an HTTP answer: the operation's result, or the error of the tree that fits.

    Args:
        operation: what was asked.
        status: HTTP status code.
        headers: with lower-case names, or a mapping that ignores case.
        content: the body.
        now: the wall clock, unix seconds.

    Raises:
        APIError: the service answered with an error.
        UnexpectedResponseError: the answer is not of the API's shape.
    """
    request_id = headers.get("x-request-id")
    if status >= _FIRST_ERROR:
        raise _error(operation, status, headers, content, now())
    place = f"{operation.method} {operation.path}"
    if status not in _SUCCESS:
        raise UnexpectedResponseError(
            f"{place} was answered with {status}: is the base URL right? (request {request_id})"
        )
    try:
        result = operation.parse(json.loads(content) if content.strip() else {})
    except (ValueError, RecursionError) as error:
        shown = content[:_SHOWN].decode("utf-8", "replace")
        raise UnexpectedResponseError(
            f"{place} was answered with something that is not of the API's shape ({error}): {shown!r}"
        ) from error
    pause = read_retry_after(headers.get("retry-after"), now=now())
    return result if operation.heed is None or pause is None else operation.heed(result, pause)


def error_details(content: bytes) -> Mapping[str, Any]:
    """Read an error's body: `code`, `message`, `param`; nothing where it is in a foreign shape."""
    try:
        found = json.loads(content)["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _error(operation: Operation[Any], status: int, headers: Mapping[str, str], content: bytes, now: float) -> APIError:
    details = error_details(content)
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
        retry_after=read_retry_after(headers.get("retry-after"), now=now),
    )


def read_data(answer: Any) -> Any:
    """Return what the envelope holds.

    Raises:
        ValueError: there is no envelope.
    """
    if not isinstance(answer, Mapping) or "data" not in answer:
        raise ValueError("the envelope has no `data`")
    return answer["data"]


def read_list(answer: Any) -> list[Any]:
    """Return the items that the envelope holds.

    Raises:
        ValueError: there is no envelope, or no list in it.
    """
    items = read_data(answer)
    if not isinstance(items, list):
        raise ValueError("`data` is not a list")  # noqa: TRY004 - the reader's callers catch one type
    return items


def read_page(answer: Any, read: Callable[[Any], T | None]) -> Page[T]:
    """Read a page with one reader for its items; an item read as None is left out.

    Raises:
        ValueError: there is no envelope, no list in it, or an item that cannot be read.
    """
    items = tuple(item for found in read_list(answer) if (item := read(found)) is not None)
    return Page(items, next_token(answer))


def next_token(answer: Mapping[str, Any]) -> str | None:
    """Return the token of the page after this one, or None."""
    return (answer.get("next_token") or None) if answer.get("has_more") else None


def page_query(token: str | None = None, **filters: str | int | None) -> dict[str, str | int]:
    """Build the query of a list: as much as one page can hold, from `token` on, only what the filters say."""
    given = {"limit": PAGE_SIZE, "token": token, **filters}
    return {name: value for name, value in given.items() if value is not None}
