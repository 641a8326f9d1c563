"""The blocking client: one-line doors to the parts that the engine has wired.

What a call sends is in `_operations`, how pushes come in is in `_registrar`, how jobs are followed without
them is in `_reconcile`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from fastapi import APIRouter

from video_translation_client._asking import ask_until_it_ends, drive
from video_translation_client._dispatcher import EventCallback
from video_translation_client._engine import DEFAULT_BASE_URL, Engine, Settings, from_environment
from video_translation_client._handle import Job
from video_translation_client._metrics import Metrics
from video_translation_client._models import PENDING, JobSnapshot
from video_translation_client._operations import create_translation, get_status
from video_translation_client._polling import CLASSIC_POLL, JOB_POLL, SAFETY_NET, PollPolicy
from video_translation_client._receiver import DEFAULT_PATH, Receiver
from video_translation_client._reconcile import Policies
from video_translation_client._registration import Registration
from video_translation_client._signature import DEFAULT_TOLERANCE
from video_translation_client._storage import InboxStorage
from video_translation_client.integrations import fastapi as fastapi_integration
from video_translation_client.integrations.asgi import ReceiverApp


class VideoTranslationClient:
    """A client of a video-translation service. Cheap to make: no network, no thread before it is needed.

    Use it as a context manager, or call `close()`. Every method may be called from any thread.

    Args:
        base_url: of the service. None: `VIDEO_TRANSLATION_BASE_URL`, then `HEYGEN_API_BASE`, then
            http://localhost:8000.
        api_key: None: `VIDEO_TRANSLATION_API_KEY`, then `HEYGEN_API_KEY`, then no key.
        webhook_host: the interface that the receiver binds. With every interface (0.0.0.0) say `public_url`.
        webhook_port: 0 takes a free one.
        public_url: what the service is told to deliver to, instead of the bound address.
        timeout: seconds that any single request may take to connect, send or answer.
        max_retries: how often a read that met no server is repeated.
        ttl_seconds: the service forgets the webhook endpoint after so long without renewal, which happens by
            itself; None means never.
        signature_tolerance: seconds by which a delivery's signed time may differ from this host's clock.
        poll: how often a job is asked for while nothing is registered for pushes.
        safety_net: how often the event log is read behind the pushes, once for all jobs.
        inbox: where events are stored until a callback has handled them: a file's path, or an `InboxStorage` of
            your own. None: in memory.

    Raises:
        ValueError: an argument makes no sense; the message says which.
        InboxError: the inbox cannot be opened.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        webhook_host: str = "localhost",
        webhook_port: int = 0,
        public_url: str | None = None,
        timeout: float = 10.0,
        max_retries: int = 2,
        ttl_seconds: int | None = 3600,
        signature_tolerance: float = DEFAULT_TOLERANCE,
        poll: PollPolicy = JOB_POLL,
        safety_net: PollPolicy = SAFETY_NET,
        inbox: str | Path | InboxStorage | None = None,
    ) -> None:
        where = from_environment(base_url, "VIDEO_TRANSLATION_BASE_URL", "HEYGEN_API_BASE") or DEFAULT_BASE_URL
        self._engine = Engine(
            Settings(
                base_urls=(where,),
                api_key=from_environment(api_key, "VIDEO_TRANSLATION_API_KEY", "HEYGEN_API_KEY"),
                webhook_host=webhook_host,
                webhook_port=webhook_port,
                public_url=public_url,
                timeout=timeout,
                max_retries=max_retries,
                ttl_seconds=ttl_seconds,
                tolerance=signature_tolerance,
                policies=Policies(job=poll, net=safety_net),
                inbox=inbox,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<VideoTranslationClient {self.base_url}>"

    @property
    def base_url(self) -> str:
        """The service's URL."""
        return self._engine.transport.base_url

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
        """
        return self._engine.registrar.register(callback, url)

    def webhook_router(self, path: str = DEFAULT_PATH) -> APIRouter:
        """Make a FastAPI router that takes this client's deliveries in a service that you run.

        Tell the service of it with `register_webhook(url=...)`. A delivery that comes before that is asked
        to come again.
        """
        return fastapi_integration.webhook_router(self._engine.receiver, path)

    def webhook_app(self) -> ReceiverApp:
        """Make an ASGI application that takes this client's deliveries, to mount where you like; any path will do.

        Tell the service of it with `register_webhook(url=...)`.
        """
        return ReceiverApp(self._engine.receiver)

    @property
    def webhook_receiver(self) -> Receiver:
        """What every receiver of this client is made of: `handle(method, headers, body)` gives a `Reply`.

        For Flask and Django pass it to `webhook_view` of `video_translation_client.integrations.flask` or `.django`;
        for another framework call it yourself. It does no I/O.
        """
        return self._engine.receiver

    def on_event(self, callback: EventCallback) -> EventCallback:
        """Call `callback(event)` for each event, once and in order per job. Also a decorator.

        Callbacks run one after the other on one thread of this client; what they raise is logged. Events
        come once `register_webhook()` was called.
        """
        self._engine.dispatcher.add(callback)
        return callback

    def translate(
        self, video: str | Mapping[str, Any], output_languages: Sequence[str] | str, **options: Any
    ) -> list[Job]:
        """Start one translation per language.

        Args:
            video: a URL, or the API's own form, for example `{"type": "asset_id", "asset_id": "..."}`.
            output_languages: names as the service lists them, for example `["Spanish (Spain)", "French"]`.
            options: further fields of the request, for example `title="Demo"`.

        Raises:
            InvalidRequestError: the service refused a field; `.param` names it.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer; whether the jobs were made is not known.
        """
        languages = [output_languages] if isinstance(output_languages, str) else output_languages
        engine = self._engine
        era = engine.reconciler.era
        ids = engine.transport.send(create_translation(video, languages, options))
        jobs = [engine.registry.attach(job_id, JobSnapshot(job_id, PENDING, PENDING)) for job_id in ids]
        for job in jobs:
            engine.reconciler.watch(job.id, era=era)
        return jobs

    def job(self, job_id: str) -> Job:
        """Return the handle of a job by its id, for example after a restart."""
        registry = self._engine.registry
        followed = registry.get(job_id)
        if followed is not None:
            return followed
        job = registry.attach(job_id)
        if not job.done():
            self._engine.reconciler.look(job_id)
        return job

    def get_status(self, job_id: str | None = None) -> JobSnapshot:
        """Ask `/status` for a job, or for the newest one; `.result` is pending, completed or error.

        Raises:
            NotFoundError: there is no such job, or none at all.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        snapshot = self._engine.transport.send(get_status(job_id))
        self._engine.intake.glance(snapshot)
        return snapshot

    def poll_status(
        self,
        job_id: str | None = None,
        policy: PollPolicy = CLASSIC_POLL,
        *,
        timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> JobSnapshot:
        """Ask again and again until the job has ended: the classic way, on this thread and without any push.

        Args:
            job_id: the job; None takes the one that is the newest now, and stays with it.
            policy: when to ask: by default after 1 s, 2 s, 4 s, ... up to 30 s, 150 times and for an hour at most.
            timeout: seconds in all, instead of the policy's.
            clock: monotonic seconds.
            sleep: sleeps so many seconds.

        Returns:
            The final state: `.result` is completed or error.

        Raises:
            WaitTimeoutError: the time or the questions are used up; it has the last known state.
            APIError: the service refused the question, and would again.
        """
        asking = ask_until_it_ends(job_id, policy, timeout=timeout, clock=clock)
        return drive(asking, self._engine.ask, sleep)

    def metrics(self) -> Metrics:
        """Return what this client has sent and received so far."""
        return self._engine.meter.snapshot()

    def close(self, timeout: float = 5.0) -> None:
        """Delete the endpoint, stop the receiver, run the callbacks that are queued, close the connections.

        Safe to call again. Never raises on a server that cannot be reached. Handles that still wait raise
        `ClientClosedError`.

        Args:
            timeout: seconds that queued callbacks may take.
        """
        self._engine.close(timeout)
