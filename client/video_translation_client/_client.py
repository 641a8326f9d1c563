"""The blocking client: one-line doors to the parts that the engine has wired.

What a call sends, and what becomes of its answer, is in `_calls`; what both clients share is in `_base_client`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from video_translation_client._assets import Assets
from video_translation_client._batches import Batches
from video_translation_client._dispatcher import EventCallback
from video_translation_client._endpoints import ClientWebhooks
from video_translation_client._group import JobGroup
from video_translation_client._job_doors import JobDoors
from video_translation_client._models import Event
from video_translation_client._operations import User, Video
from video_translation_client._paging import walk
from video_translation_client._raw import RawCalls
from video_translation_client._registration import Registration


class VideoTranslationClient(JobDoors):
    """A client of a video-translation service. Cheap to make: no network, no thread before it is needed.

    Use it as a context manager, or call `close()`. Every method may be called from any thread. The arguments
    are described at `__init__`.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register_webhook(self, callback: EventCallback | None = None, url: str | None = None) -> Registration:
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
        return self._engine.registrar.register(callback, url)

    def translate(
        self,
        video: Video,
        output_languages: Sequence[str] | str,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobGroup:
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
        return self._run(call)

    def me(self, *, timeout: float | None = None) -> User:
        """Return whose key it is; `timeout`: seconds that one try may take.

        Raises:
            AuthenticationError: the key is missing or wrong.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.me(timeout=timeout))

    def languages(self, *, timeout: float | None = None) -> list[str]:
        """Return the names that `output_languages` takes; `timeout`: seconds that one try may take.

        Raises:
            APIError: the service refused.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.languages(timeout=timeout))

    def list_events(
        self,
        after: str | None = None,
        *,
        job_id: str | None = None,
        event_type: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[Event]:
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
        return walk(listing, self._send)

    @property
    def assets(self) -> Assets:
        """Upload files, to translate them by their asset's id."""
        return Assets(self._run)

    @property
    def batches(self) -> Batches:
        """Start many translations together, and follow them as a whole."""
        return Batches(self._calls, self._run, self._send)

    @property
    def webhooks(self) -> ClientWebhooks:
        """Verify deliveries (`unwrap`, `verify`, `sign`), manage endpoints, look into their `deliveries`."""
        engine = self._engine
        return ClientWebhooks(
            self._send,
            secret=engine.webhook_secret,
            registered=lambda: engine.receiver.secrets,
            tolerance=engine.receiver.tolerance,
        )

    @property
    def with_raw_response(self) -> RawCalls:
        """The same calls, each handing back status, headers and request id beside its result."""
        return RawCalls(self._calls, self._exchange)

    def close(self, timeout: float = 5.0) -> None:
        """Delete the endpoint, stop the receiver, run the callbacks that are queued, close the connections.

        Safe to call again. Never raises on a server that cannot be reached. Handles that still wait raise
        `ClientClosedError`.

        Args:
            timeout: seconds that queued callbacks may take.
        """
        self._engine.close(timeout)
