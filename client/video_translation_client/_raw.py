"""Answers as they came, for those who need more than the result: status, headers, request id, time.

The calls are those of the clients' doors, and do the same; only what is handed back differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

from video_translation_client._assets import upload_call
from video_translation_client._call import Call
from video_translation_client._calls import Calls
from video_translation_client._exchange import Answer

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawResponse(Generic[T]):
    """A successful answer.

    Attributes:
        status: HTTP status code.
        headers: names ignore case.
        content: the body.
        elapsed: seconds from sending the last try to the end of its answer.
        result: what the call itself would have returned.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    elapsed: float
    result: T

    @property
    def request_id(self) -> str | None:
        """`X-Request-Id`: quote it when you ask the operator."""
        return self.headers.get("x-request-id")

    def parse(self) -> T:
        """Return what the call itself would have returned."""
        return self.result


class RawCalls:
    """The blocking client's calls, each returning a `RawResponse`; of a list, its first page."""

    def __init__(self, calls: Calls, exchange: Callable[[Call[Any, Any]], Answer]) -> None:
        def raw(make: Callable[P, Call[Any, T]]) -> Callable[P, RawResponse[T]]:
            def send(*args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
                call = make(*args, **kwargs)
                return _response(call, exchange(call))

            return send

        self.translate = raw(calls.translate)
        self.get_job = raw(calls.get_job)
        self.get_status = raw(calls.get_status)
        self.cancel = raw(calls.cancel)
        self.rename_job = raw(calls.rename_job)
        self.delete_job = raw(calls.delete_job)
        self.upload_asset = raw(upload_call)
        self.get_batch = raw(calls.get_batch)
        self.me = raw(calls.me)
        self.languages = raw(calls.languages)
        self.list_jobs = raw(calls.jobs_page)
        self.list_events = raw(calls.events_page)


class AsyncRawCalls:
    """The async client's calls, each returning a `RawResponse`; of a list, its first page."""

    def __init__(self, calls: Calls, exchange: Callable[[Call[Any, Any]], Awaitable[Answer]]) -> None:
        def raw(make: Callable[P, Call[Any, T]]) -> Callable[P, Coroutine[Any, Any, RawResponse[T]]]:
            async def send(*args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
                call = make(*args, **kwargs)
                return _response(call, await exchange(call))

            return send

        self.translate = raw(calls.translate)
        self.get_job = raw(calls.get_job)
        self.get_status = raw(calls.get_status)
        self.cancel = raw(calls.cancel)
        self.rename_job = raw(calls.rename_job)
        self.delete_job = raw(calls.delete_job)
        self.upload_asset = raw(upload_call)
        self.get_batch = raw(calls.get_batch)
        self.me = raw(calls.me)
        self.languages = raw(calls.languages)
        self.list_jobs = raw(calls.jobs_page)
        self.list_events = raw(calls.events_page)


def _response(call: Call[Any, T], answer: Answer) -> RawResponse[T]:
    return RawResponse(answer.status, answer.headers, answer.content, answer.elapsed, call.read(answer))
