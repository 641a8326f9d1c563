"""Sends operations over HTTP from the calling thread, and opens answers that go on (streams).

What is sent, when it is sent again and where is the exchange's business; what an answer means is `_operations`'.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self, TypeVar

import httpx

from video_translation_client._errors import ClientClosedError, ServerUnreachableError
from video_translation_client._exchange import Answer, Exchange, Lost, Request, Terms, user_agent
from video_translation_client._http import KEEPALIVE, bare, lost, prepared, reason, tls
from video_translation_client._operations import Operation, interpret
from video_translation_client._options import Options
from video_translation_client._transfer import Fetch

T = TypeVar("T")

HttpClient = httpx.Client
"""What a user may bring to send requests with."""
_BACKGROUND_PATIENCE: Final = 1.0


class Transport:
    """A lazy httpx client: nothing is opened before the first request. Usable from any thread.

    Args:
        terms: what all requests have in common.
        http_client: used instead of a client of our own, and never closed by us.
    """

    def __init__(self, terms: Terms, http_client: HttpClient | None = None) -> None:
        self._terms = terms
        self._pool = _Pool(http_client)
        self._leaving = threading.Event()

    @property
    def base_url(self) -> str:
        """The service's URL; of several, the one in use."""
        return self._terms.urls.current()

    def send(self, operation: Operation[T], *, timeout: float | None = None, options: Options | None = None) -> T:
        """Send one operation and return what its answer says.

        Args:
            operation: what to send.
            timeout: seconds of one try, instead of the client's.
            options: what else is said about this request.

        Raises:
            APIError: the service answered with an error.
            ServerUnreachableError: no answer came.
            UnexpectedResponseError: the answer is not of the API's shape.
            ClientClosedError: the client is closed.
        """
        answer = self.exchange(operation, Options(timeout=timeout).over(options or Options()))
        return interpret(operation, answer.status, answer.headers, answer.content)

    def exchange(self, operation: Operation[Any], options: Options | None = None) -> Answer:
        """Send one operation and return the last try's answer, whatever it says.

        Raises:
            ServerUnreachableError: no answer came.
            ClientClosedError: the client is closed.
        """
        course = self._terms.begin(operation, options)
        pause: float | None = 0.0
        while pause is not None:
            self._leaving.wait(pause) if pause else None
            pause = course.settle(self._try(course), leaving=self._leaving.is_set())
        return course.answer

    @contextlib.contextmanager
    def stream(self, operation: Operation[Any], *, after: str | None, silence: float) -> Iterator[Incoming]:
        """Open an answer that goes on; within the `with` block its chunks can be read. It is one try, at one server.

        Args:
            operation: what to ask for; it is never repeated here.
            after: the last id that was seen; None begins with what comes next.
            silence: seconds without a byte after which the peer is taken for dead.

        Raises:
            APIError: the service answered with an error.
            ServerUnreachableError: no answer came, or what came broke off.
            UnexpectedResponseError: the answer is no success and no error.
            ClientClosedError: the client is closed.
        """
        headers = {"accept": "text/event-stream", "accept-encoding": "identity", "cache-control": "no-store"}
        headers |= {} if after is None else {"last-event-id": after}
        course = self._terms.begin(operation, Options(headers=headers))
        try:
            response = self._send(course.request(), silence=silence)
        except httpx.RequestError as error:
            course.settle(lost(error), leaving=True)  # raises
            raise
        try:
            course.settle(Answer(response.status_code, response.headers, b""), leaving=True)
            if not response.is_success:
                interpret(operation, response.status_code, response.headers, response.read())
            yield Incoming(response, self.base_url)
        except httpx.RequestError as error:
            raise ServerUnreachableError(f"the answer from {self.base_url} broke off ({reason(error)})") from error
        finally:
            response.close()

    def fetch(self, file: Fetch) -> Lost | None:
        """Carry out one GET of a file, at whatever host; return None where an answer came and ended, else why not.

        Raises:
            ClientClosedError: the client is closed.
            VideoTranslationError: what the file's transfer raises.
        """
        try:
            response = self._deliver(bare(file), auth=None)
            try:
                if file.begin(response.status_code, response.headers):
                    for piece in response.iter_bytes():
                        if self._leaving.is_set():
                            raise ClientClosedError("the client was closed during a download")
                        file.transfer.take(piece)
                        file.transfer.report()
            finally:
                response.close()
        except httpx.RequestError as error:
            return lost(error)
        return None

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            ClientClosedError: the client was closed meanwhile.
        """
        if self._leaving.wait(seconds):
            raise ClientClosedError("the client was closed during a download")

    def in_background(self) -> Transport:
        """Return a view of this transport for a thread that has other things to do than to wait.

        It shares everything, but waits for no `Retry-After` of more than a second: whoever asks again and again
        has a schedule, and puts the hint into that.
        """
        view = copy.copy(self)
        hasty = dataclasses.replace(self._terms.policy, patience=_BACKGROUND_PATIENCE)
        view._terms = dataclasses.replace(self._terms, policy=hasty)  # noqa: SLF001 - it is one of us
        return view

    def hurry(self) -> None:
        """Repeat nothing from now on: the client is about to close."""
        self._leaving.set()

    def close(self) -> None:
        """Close every connection of our own; later requests raise `ClientClosedError`."""
        self.hurry()
        self._pool.close()

    def _try(self, course: Exchange) -> Answer | Lost:
        wait = self._terms.limiter.reserve()
        if wait:
            self._leaving.wait(wait)
        request, began = course.request(), self._terms.clock()
        try:
            response = self._send(request)
            try:
                content = b"".join(self._chunks(response, began + request.timeout))
            finally:
                response.close()
        except httpx.RequestError as error:
            return lost(error)
        return Answer(response.status_code, response.headers, content, self._terms.clock() - began)

    def _send(self, request: Request, silence: float | None = None) -> httpx.Response:
        with prepared(self._pool.open(), request, silence) as ready:
            return self._deliver(ready)

    def _deliver(self, ready: httpx.Request, **how: Any) -> httpx.Response:
        try:
            return self._pool.open().send(ready, stream=True, follow_redirects=False, **how)
        except RuntimeError as error:
            if self._pool.closed:  # httpx's word for a client that another thread has just closed
                raise ClientClosedError("the client was closed during a request") from error
            raise

    def _chunks(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        # httpx times each read; an answer that trickles in would never end.
        for chunk in response.iter_bytes():
            yield chunk
            if self._terms.clock() > deadline:
                raise httpx.ReadTimeout("the answer did not end in time")


class _Pool:
    """The connections of a transport and its views, opened at the first request."""

    def __init__(self, given: HttpClient | None) -> None:
        self._given = given
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self.closed = False

    def open(self) -> httpx.Client:
        with self._lock:
            if self.closed:
                raise ClientClosedError("the client is closed: make a new one")
            if self._given is not None:
                return self._given
            if self._client is None:
                self._client = httpx.Client(verify=tls(), limits=httpx.Limits(keepalive_expiry=KEEPALIVE))
            return self._client

    def close(self) -> None:
        with self._lock:
            self.closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()


class Incoming:
    """An answer that goes on: its headers, and its bytes as they come."""

    def __init__(self, response: httpx.Response, base_url: str) -> None:
        self._response = response
        self._base_url = base_url
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes as they come; ends with the answer.

        Raises:
            ServerUnreachableError: it broke off, or was silent for too long.
        """
        try:
            yield from self._response.iter_bytes()
        except (httpx.RequestError, httpx.StreamError) as error:
            raise ServerUnreachableError(f"the answer from {self._base_url} broke off ({reason(error)})") from error

    def cut(self) -> None:
        """Wake the thread that reads, from any other: closing alone would let it wait on."""
        network = self._response.extensions.get("network_stream")
        found = network.get_extra_info("socket") if network is not None else None
        if found is not None:
            with contextlib.suppress(OSError):  # it ended by itself
                found.shutdown(socket.SHUT_RDWR)


class Forwarder:
    """POSTs deliveries to one URL of the user's own, the way the service would: no redirects, nothing sent again.

    Args:
        url: where to.
        timeout: seconds that the app there may take.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url = url
        # A proxy that the environment names would not find what listens on this machine.
        self._client = httpx.Client(timeout=httpx.Timeout(timeout), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Deliver a body; return the status it was answered with.

        Raises:
            ServerUnreachableError: no answer came.
        """
        ours = {"content-type": "application/json", "user-agent": user_agent()}
        try:
            return self._client.post(self.url, content=body, headers=ours | dict(headers)).status_code
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ServerUnreachableError(f"no answer from {self.url} ({reason(error)})") from error
