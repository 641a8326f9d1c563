"""Sends operations over HTTP from an event loop: what `_transport` does for threads, by the same rules.

When a request is sent again and where is the exchange's business; here is only what has to be awaited.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import httpx

from video_translation_client._errors import ClientClosedError
from video_translation_client._exchange import Answer, Exchange, Lost, Terms
from video_translation_client._http import KEEPALIVE, bare, lost, prepared, tls
from video_translation_client._operations import Operation, interpret
from video_translation_client._options import Options
from video_translation_client._transfer import Fetch, finish_in_thread

T = TypeVar("T")

AsyncHttpClient = httpx.AsyncClient
"""What a user may bring to send requests with."""


class AsyncTransport:
    """A lazy httpx client per event loop. Its coroutines may be cancelled at any point.

    Args:
        terms: what all requests have in common; the same as the blocking transport's.
        http_client: used instead of a client of our own, and never closed by us.
    """

    def __init__(self, terms: Terms, http_client: AsyncHttpClient | None = None) -> None:
        self._terms = terms
        self._given = http_client
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def send(self, operation: Operation[T], *, options: Options | None = None) -> T:
        """Send one operation and return what its answer says.

        Raises:
            APIError: the service answered with an error.
            ServerUnreachableError: no answer came.
            UnexpectedResponseError: the answer is not of the API's shape.
            ClientClosedError: the client is closed.
        """
        answer = await self.exchange(operation, options)
        return interpret(operation, answer.status, answer.headers, answer.content)

    async def exchange(self, operation: Operation[Any], options: Options | None = None) -> Answer:
        """Send one operation and return the last try's answer, whatever it says.

        Raises:
            ServerUnreachableError: no answer came.
            ClientClosedError: the client is closed.
        """
        course = self._terms.begin(operation, options)
        pause: float | None = 0.0
        while pause is not None:
            if pause:
                await asyncio.sleep(pause)
            pause = course.settle(await self._try(course), leaving=self._closed)
        return course.answer

    async def fetch(self, file: Fetch) -> Lost | None:
        """Carry out one GET of a file, at whatever host; return None where an answer came and ended, else why not.

        Raises:
            ClientClosedError: the client is closed.
            VideoTranslationError: what the file's transfer raises.
        """
        client = self._open()
        try:
            response = await client.send(bare(file), stream=True, follow_redirects=False, auth=None)
            try:
                if await finish_in_thread(file.begin, response.status_code, response.headers):
                    async for piece in response.aiter_bytes():
                        await finish_in_thread(file.transfer.take, piece)
                        file.transfer.report()
            finally:
                await response.aclose()
        except httpx.RequestError as error:
            return lost(error)
        except RuntimeError as error:
            raise self._told_of(error) from error
        return None

    async def aclose(self) -> None:
        """Close every connection of our own; later requests raise `ClientClosedError`."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _try(self, course: Exchange) -> Answer | Lost:
        await self._take_turn()
        client, request, began = self._open(), course.request(), self._terms.clock()
        try:
            async with asyncio.timeout(request.timeout):
                with prepared(client, request) as ready:
                    response = await client.send(ready, stream=True, follow_redirects=False)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            return lost(error)
        except TimeoutError:
            return Lost("the answer did not end in time")
        except RuntimeError as error:
            raise self._told_of(error) from error
        return Answer(response.status_code, response.headers, content, self._terms.clock() - began)

    def _told_of(self, error: RuntimeError) -> Exception:
        """Return what to raise for httpx's word for a client that another task has just closed."""
        return ClientClosedError("the client was closed during a request") if self._closed else error

    async def _take_turn(self) -> None:
        wait = self._terms.limiter.reserve()
        if not wait:
            return
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._terms.limiter.give_back()
            raise

    def _open(self) -> httpx.AsyncClient:
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that has ended are of no use.
            self._client = httpx.AsyncClient(verify=tls(), limits=httpx.Limits(keepalive_expiry=KEEPALIVE))
            self._loop = loop
        return self._client
