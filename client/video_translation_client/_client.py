"""The blocking client: one-line doors to the parts that the engine has wired.

What a call sends, and what becomes of its answer, is in `_calls`; what both clients share is in `_base_client`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from video_translation_client._asking import ask_until_it_ends, drive
from video_translation_client._base_client import BaseClient
from video_translation_client._calls import Call
from video_translation_client._dispatcher import EventCallback
from video_translation_client._endpoints import ClientWebhooks
from video_translation_client._exchange import Answer
from video_translation_client._group import JobGroup
from video_translation_client._handle import Job
from video_translation_client._models import Event, JobSnapshot
from video_translation_client._operations import Operation
from video_translation_client._options import Options
from video_translation_client._paging import walk
from video_translation_client._polling import CLASSIC_POLL, PollPolicy
from video_translation_client._raw import RawCalls
from video_translation_client._registration import Registration
from video_translation_client._transport import HttpClient

SaidT = TypeVar("SaidT")
MadeT = TypeVar("MadeT")


class VideoTranslationClient(BaseClient[HttpClient]):
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
        video: str | Mapping[str, Any],
        output_languages: Sequence[str] | str,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> JobGroup:
        """Start one translation per language.

        A request that is repeated (`max_retries`) makes no second job: every try carries the same key.

        Args:
            video: a URL, or the API's own form, for example `{"type": "asset_id", "asset_id": "..."}`.
            output_languages: names as the service lists them, for example `["Spanish (Spain)", "French"]`.
            timeout: seconds that one try may take, instead of the client's.
            idempotency_key: of your own, so that a program that starts over makes no second job either.
            options: further fields of the request, for example `title="Demo"`.

        Raises:
            InvalidRequestError: the service refused a field; `.param` names it.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer; whether the jobs were made is not known.
        """
        call = self._calls.translate(
            video, output_languages, timeout=timeout, idempotency_key=idempotency_key, **options
        )
        return self._run(call)

    def job(self, job_id: str) -> Job:
        """Return the handle of a job by its id, for example after a restart.

        Raises:
            ValueError: `job_id` is empty, or no text.
        """
        return self._calls.job(job_id)

    def get_job(self, job_id: str, *, timeout: float | None = None) -> JobSnapshot:
        """Read one job.

        Args:
            job_id: the job.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.get_job(job_id, timeout=timeout))

    def get_status(self, job_id: str | None = None, *, timeout: float | None = None) -> JobSnapshot:
        """Ask `/status` for a job, or for the newest one; `.result` is pending, completed or error.

        Args:
            job_id: the job; None takes the newest.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job, or none at all.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.get_status(job_id, timeout=timeout))

    def get_statuses(self, job_ids: Iterable[str] | str, *, timeout: float | None = None) -> dict[str, JobSnapshot]:
        """Ask for many statuses with one request per 100 jobs; unknown jobs are left out.

        The answer knows little more than the status: read a completed job's `video_url` with `get_job`.

        Args:
            job_ids: the jobs.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            APIError: the service refused.
            ServerUnreachableError: the service gave no answer.
        """
        listings = self._calls.get_statuses(job_ids, timeout=timeout)
        return {job.id: job for listing in listings for job in walk(listing, self._send)}

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
        return drive(asking, lambda question: self._run(self._calls.ask(question)), sleep)

    def list_jobs(self, status: str | None = None, *, timeout: float | None = None) -> Iterator[JobSnapshot]:
        """Iterate over the workspace's jobs, newest first; pages are read as they are needed.

        Args:
            status: only jobs with it: `pending`, `running`, `completed` or `failed`.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            APIError: the service refused; also in the middle of the iteration.
            ServerUnreachableError: the service gave no answer; as above.
        """
        return walk(self._calls.list_jobs(status, timeout=timeout), self._send)

    def cancel(self, job_id: str, *, timeout: float | None = None) -> JobSnapshot:
        """Cancel a job, and return it as it is then: failed, with `cancelled_at`.

        Args:
            job_id: the job.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            ConflictError: it has ended already.
            NotFoundError: there is no such job, or the service cannot cancel.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.cancel(job_id, timeout=timeout))

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

    def _run(self, call: Call[Any, MadeT]) -> MadeT:
        return call.read(self._exchange(call))

    def _exchange(self, call: Call[Any, Any]) -> Answer:
        if call.before is not None:
            call.before()
        return self._engine.transport.exchange(call.operation, call.options.over(self._options))

    def _send(self, operation: Operation[SaidT], options: Options | None = None) -> SaidT:
        said = self._options if options is None else options.over(self._options)
        return self._engine.transport.send(operation, options=said)
