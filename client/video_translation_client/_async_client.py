"""The async client: the blocking client's doors, awaited. Nothing it awaits blocks the event loop.

What a call sends, and what becomes of its answer, is in `_calls`; receiving, polling and renewing go on in the
background threads of the same engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from video_translation_client._assets import AsyncAssets
from video_translation_client._async_handle import AsyncJob
from video_translation_client._async_job_doors import AsyncJobDoors
from video_translation_client._async_registration import AsyncRegistration
from video_translation_client._batches import AsyncBatches
from video_translation_client._dispatcher import EventCallback
from video_translation_client._endpoints import AsyncClientWebhooks
from video_translation_client._group import AsyncJobGroup
from video_translation_client._models import Event
from video_translation_client._operations import User, Video
from video_translation_client._paging import walk_async
from video_translation_client._raw import AsyncRawCalls


class AsyncVideoTranslationClient(AsyncJobDoors):
    """The async twin of `VideoTranslationClient`: the same calls, to be awaited.

    Use it as an async context manager, or await `close()`. The arguments are described at `__init__`; an
    `http_client` is an `httpx.AsyncClient`, and sends what you call; what goes on in the background has a
    client of its own. Awaiting a call may be cancelled at any time.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def register_webhook(
        self, callback: EventCallback | None = None, url: str | None = None
    ) -> AsyncRegistration:
        """Have every transition of every job pushed here, from now on.

        Starts a receiver on a thread, registers it, asks `/status` once and reads from the event log what
        happened meanwhile. Called again it adds the callback to the registration that is there.

        Args:
            callback: called with each `Event`, like those of `on_event`.
            url: where a router of `webhook_router()` is reachable in a service that you run; then no
                receiver is started. One process registers per URL.

        Raises:
            OSError: the receiver's port is taken.
            ServerUnreachableError: the service gave no answer.
            APIError: the service refused.
            ValueError: this client is registered at another URL.
            TypeError: the callback cannot be called, or is a coroutine function.
        """
        registrar = self._engine.registrar
        return AsyncRegistration(await asyncio.to_thread(registrar.register, callback, url))

    async def translate(
        self,
        video: Video,
        output_languages: Sequence[str] | str,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> AsyncJobGroup:
        """Start one translation per language.

        A request that is repeated (`max_retries`) makes no second job: every try carries the same key.

        Args:
            video: a URL, a `pathlib.Path` of a file that is uploaded first (32 MiB at most), or the API's own form,
                for example `{"type": "asset_id", "asset_id": "..."}`. Text is never taken for a path.
            output_languages: names as the service lists them, for example `["Spanish (Spain)", "French"]`.
            timeout: seconds that one try may take, instead of the client's.
            idempotency_key: of your own, so that a program that starts over makes no second job either.
            options: further fields of the request, for example `title="Demo"`; a `Path` among them is uploaded too.

        Raises:
            OSError: a file is not there, or cannot be read.
            ValueError: a file is empty, or too large.
            InvalidRequestError: the service refused a field; `.param` names it.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer; whether the jobs were made is not known.
        """
        call = self._calls.translate(
            video, output_languages, timeout=timeout, idempotency_key=idempotency_key, **options
        )
        return AsyncJobGroup(AsyncJob(job, self._jobs) for job in await self._run(call))

    async def me(self, *, timeout: float | None = None) -> User:
        """Return whose key it is; `timeout`: seconds that one try may take.

        Raises:
            AuthenticationError: the key is missing or wrong.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.me(timeout=timeout))

    async def languages(self, *, timeout: float | None = None) -> list[str]:
        """Return the names that `output_languages` takes; `timeout`: seconds that one try may take.

        Raises:
            APIError: the service refused.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.languages(timeout=timeout))

    def list_events(
        self,
        after: str | None = None,
        *,
        job_id: str | None = None,
        event_type: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Event]:
        """Iterate over the event log; pages are read as they are needed.

        Args:
            after: an event id or a cursor: read forward from just behind it. None: back from the newest.
            job_id: only this job's events.
            event_type: only events of this type.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            GoneError: the log no longer goes back to `after`.
            APIError: the service refused; also in the middle of the iteration.
            ServerUnreachableError: the service gave no answer; as above.
        """
        listing = self._calls.list_events(after, job_id=job_id, event_type=event_type, timeout=timeout)
        return walk_async(listing, self._send)

    @property
    def assets(self) -> AsyncAssets:
        """Upload files, to translate them by their asset's id."""
        return AsyncAssets(self._run)

    @property
    def batches(self) -> AsyncBatches:
        """Start many translations together, and follow them as a whole."""
        return AsyncBatches(self._calls, self._run, self._send, self._jobs)

    @property
    def webhooks(self) -> AsyncClientWebhooks:
        """Verify deliveries (`unwrap`, `verify`, `sign`), manage endpoints, look into their `deliveries`."""
        engine = self._engine
        return AsyncClientWebhooks(
            self._send,
            secret=engine.webhook_secret,
            registered=lambda: engine.receiver.secrets,
            tolerance=engine.receiver.tolerance,
        )

    @property
    def with_raw_response(self) -> AsyncRawCalls:
        """The same calls, each handing back status, headers and request id beside its result."""
        return AsyncRawCalls(self._calls, self._exchange)

    async def close(self, timeout: float = 5.0) -> None:
        """Delete the endpoint, stop the receiver, run the callbacks that are queued, close the connections.

        Safe to call again. Never raises on a server that cannot be reached. Handles that still wait raise
        `ClientClosedError`.

        Args:
            timeout: seconds that queued callbacks may take.
        """
        await self._http.aclose()
        await asyncio.to_thread(self._engine.close, timeout)
