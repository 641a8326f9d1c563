"""Sends operations over HTTP, and turns every way in which that can fail into an error of the tree.

The only module that knows httpx; what is sent, and what an answer means, is `_operations`' business.
"""

from __future__ import annotations

import importlib.metadata
import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx

from video_translation_client._errors import ClientClosedError, ServerUnreachableError
from video_translation_client._metrics import Meter
from video_translation_client._operations import Operation, interpret

logger = logging.getLogger("video_translation_client")

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.2
# Below the 5 s after which servers commonly close an idle connection, so that no request meets a closing one.
_KEEPALIVE: Final = 4.0
_CONNECT_TIMEOUT: Final = 5.0


class Transport:
    """A lazy httpx client: nothing is opened before the first request. Usable from any thread.

    Args:
        base_url: of the service, without a path of the API.
        api_key: sent as `X-Api-Key`; None sends none.
        timeout: seconds for each phase of a request (connecting takes at most 5).
        max_retries: how often a request that may be repeated is, when no server answered it.
        meter: counts requests.
        jitter: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        timeout: float,
        max_retries: int,
        meter: Meter,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout
        self._max_retries = max_retries
        self._meter = meter
        self._jitter = jitter
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._leaving = threading.Event()
        self._closed = False

    @property
    def base_url(self) -> str:
        """The service's URL."""
        return self._base_url

    def send(self, operation: Operation[T], *, timeout: float | None = None) -> T:
        """Send one operation and return what its answer says.

        Args:
            operation: what to send.
            timeout: seconds, instead of the client's.

        Raises:
            APIError: the service answered with an error.
            ServerUnreachableError: no answer came.
            UnexpectedResponseError: the answer is not of the API's shape.
            ClientClosedError: the client is closed.
        """
        tries = 1 + (self._max_retries if operation.repeatable else 0)
        for number in range(1, tries + 1):
            try:
                answer = self._request(operation, timeout or self._timeout)
            except httpx.RequestError as error:
                if number == tries or self._leaving.is_set():
                    raise self._unreachable(error) from error
                self._pause(operation, number, error)
            else:
                return interpret(operation, answer.status_code, answer.headers, answer.content)
        raise AssertionError("the loop returns or raises")  # pragma: no cover

    def hurry(self) -> None:
        """Repeat nothing from now on: the client is about to close."""
        self._leaving.set()

    def close(self) -> None:
        """Close every connection; later requests raise `ClientClosedError`."""
        self.hurry()
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _request(self, operation: Operation[Any], timeout: float) -> httpx.Response:
        client = self._open()
        self._meter.request(operation.name)
        limit = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_TIMEOUT))
        try:
            return client.request(
                operation.method,
                self._base_url + operation.path,
                params=dict(operation.query) or None,
                json=operation.body,
                timeout=limit,
            )
        except RuntimeError as error:
            if self._closed:  # httpx's word for a client that another thread has just closed
                raise ClientClosedError("the client was closed during a request") from error
            raise
        except httpx.InvalidURL as error:
            raise ServerUnreachableError(f"{self._base_url} is no URL to send to: {error}") from error

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed: make a new one")
            if self._client is None:
                self._client = httpx.Client(
                    headers=self._headers(),
                    follow_redirects=False,
                    limits=httpx.Limits(keepalive_expiry=_KEEPALIVE),
                )
            return self._client

    def _headers(self) -> dict[str, str]:
        try:
            version = importlib.metadata.version("video-translation-client")
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
        headers = {"user-agent": f"video-translation-client/{version}", "accept": "application/json"}
        return headers | ({"x-api-key": self._api_key} if self._api_key else {})

    def _pause(self, operation: Operation[Any], number: int, error: httpx.RequestError) -> None:
        seconds = _FIRST_PAUSE * 2 ** (number - 1) * (1 + self._jitter() / 4)
        self._meter.count("retries")
        logger.warning(
            "%s got no answer from %s (%s); attempt %d follows in %.1f s",
            operation.name,
            self._base_url,
            _reason(error),
            number + 1,
            seconds,
        )
        self._leaving.wait(seconds)

    def _unreachable(self, error: httpx.RequestError) -> ServerUnreachableError:
        return ServerUnreachableError(
            f"no answer from {self._base_url} ({_reason(error)}): is the server running there? "
            "Start it, or say where it is with base_url or VIDEO_TRANSLATION_BASE_URL"
        )


def _reason(error: httpx.RequestError) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name
