"""Each door's call: what is sent, how, and what the client makes of the answer. One place for both clients.

Sending, and waiting for the answer, is left to the clients; what a call is on the wire is in `_operations`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from video_translation_client._engine import Engine
from video_translation_client._exchange import Answer
from video_translation_client._group import JobGroup
from video_translation_client._handle import Job
from video_translation_client._models import PENDING, Event, JobSnapshot
from video_translation_client._operations import (
    PAGE_SIZE,
    EventPage,
    Operation,
    Page,
    cancel_job,
    check_job_id,
    create_translation,
    get_job,
    get_status,
    get_statuses,
    interpret,
    list_events,
    list_jobs,
    list_languages,
)
from video_translation_client._options import Options
from video_translation_client._paging import Listing

SaidT = TypeVar("SaidT")
MadeT = TypeVar("MadeT")
_AS_IT_IS: Final = Options()


@dataclass(frozen=True, slots=True)
class Call(Generic[SaidT, MadeT]):
    """One call.

    Attributes:
        operation: what is sent.
        finish: makes the caller's result of the answer, and tells the client's other parts.
        options: what the caller said about this call.
        before: done before it is sent; it may block.
    """

    operation: Operation[SaidT]
    finish: Callable[[SaidT], MadeT]
    options: Options = _AS_IT_IS
    before: Callable[[], object] | None = None

    def read(self, answer: Answer) -> MadeT:
        """Make the result of an answer.

        Raises:
            APIError: the service answered with an error.
            UnexpectedResponseError: the answer is not of the API's shape.
        """
        return self.finish(interpret(self.operation, answer.status, answer.headers, answer.content))


class Calls:
    """The calls of one client."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def translate(
        self,
        video: str | Mapping[str, Any],
        output_languages: Sequence[str] | str,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Call[tuple[str, ...], JobGroup]:
        """Start one translation per language, and follow the jobs."""
        languages = [output_languages] if isinstance(output_languages, str) else list(output_languages)
        engine, eras = self._engine, [-1]

        def follow(ids: tuple[str, ...]) -> JobGroup:
            pairs = itertools.zip_longest(ids, languages[: len(ids)])
            states = [JobSnapshot(id_, PENDING, PENDING, output_language=language) for id_, language in pairs]
            jobs = JobGroup(engine.registry.attach(state.id, state) for state in states)
            for job in jobs:
                engine.reconciler.watch(job.id, era=eras[-1])
            return jobs

        sent = Options(timeout=timeout, idempotency_key=idempotency_key)
        operation = create_translation(video, languages, options)
        return Call(operation, follow, sent, before=lambda: eras.append(engine.modes.ready()))

    def job(self, job_id: str) -> Job:
        """Return a job's handle; nothing is sent by the caller's thread."""
        check_job_id(job_id)
        registry = self._engine.registry
        followed = registry.get(job_id)
        if followed is not None:
            return followed
        job = registry.attach(job_id, late=True)
        if not job.done():
            self._engine.modes.ready_soon()
            self._engine.reconciler.look(job_id)
        return job

    def get_job(self, job_id: str, *, timeout: float | None = None) -> Call[JobSnapshot, JobSnapshot]:
        """Read one job."""
        return Call(get_job(job_id), self._learned, Options(timeout))

    def refresh(self, job_id: str) -> Call[JobSnapshot, JobSnapshot]:
        """Read a job for its handle."""
        return Call(get_job(job_id), functools.partial(self._engine.refreshed, job_id))

    def get_status(self, job_id: str | None = None, *, timeout: float | None = None) -> Call[JobSnapshot, JobSnapshot]:
        """Ask `/status`."""
        return Call(get_status(job_id), self._glanced, Options(timeout))

    def ask(self, question: Operation[JobSnapshot]) -> Call[JobSnapshot, JobSnapshot]:
        """Ask about a job as the classic polling does."""
        return Call(question, self._glanced)

    def cancel(self, job_id: str, *, timeout: float | None = None) -> Call[JobSnapshot, JobSnapshot]:
        """Cancel a job."""
        return Call(cancel_job(job_id), self._learned, Options(timeout))

    def languages(self, *, timeout: float | None = None) -> Call[tuple[str, ...], list[str]]:
        """Read the names that `output_languages` takes."""
        return Call(list_languages(), list, Options(timeout))

    def jobs_page(
        self, token: str | None = None, *, status: str | None = None, timeout: float | None = None
    ) -> Call[Page[JobSnapshot], Page[JobSnapshot]]:
        """Read one page of jobs."""
        return Call(list_jobs(token, status=status), _itself, Options(timeout))

    def events_page(
        self,
        after: str | None = None,
        *,
        job_id: str | None = None,
        event_type: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
    ) -> Call[EventPage, EventPage]:
        """Read one page of the event log."""
        operation = list_events(after, job_id=job_id, event_type=event_type, token=token)
        return Call(operation, _itself, Options(timeout))

    @staticmethod
    def list_jobs(
        status: str | None = None, *, timeout: float | None = None
    ) -> Listing[Page[JobSnapshot], JobSnapshot]:
        """Read all jobs, page by page."""
        return Listing(
            first=list_jobs(status=status),
            items=lambda page: page.items,
            after=lambda page: None if page.next_token is None else list_jobs(page.next_token, status=status),
            options=Options(timeout),
        )

    @staticmethod
    def list_events(
        after: str | None = None,
        *,
        job_id: str | None = None,
        event_type: str | None = None,
        timeout: float | None = None,
    ) -> Listing[EventPage, Event]:
        """Read the event log, page by page: forward from `after`, otherwise back from the newest."""

        def following(page: EventPage) -> Operation[EventPage] | None:
            if after is None:
                token = page.next_token
                return None if token is None else list_events(job_id=job_id, event_type=event_type, token=token)
            more = page.has_more and page.cursor is not None
            return list_events(page.cursor, job_id=job_id, event_type=event_type) if more else None

        first = list_events(after, job_id=job_id, event_type=event_type)
        return Listing(first=first, items=lambda page: page.events, after=following, options=Options(timeout))

    @staticmethod
    def get_statuses(
        job_ids: Iterable[str] | str, *, timeout: float | None = None
    ) -> list[Listing[Page[JobSnapshot], JobSnapshot]]:
        """Ask for many statuses, at most 100 per request."""
        ids = [job_ids] if isinstance(job_ids, str) else list(dict.fromkeys(job_ids))
        for job_id in ids:
            check_job_id(job_id)
        chunks = [ids[start : start + PAGE_SIZE] for start in range(0, len(ids), PAGE_SIZE)]
        return [_statuses(chunk, Options(timeout)) for chunk in chunks]

    def _learned(self, snapshot: JobSnapshot) -> JobSnapshot:
        self._engine.intake.learn(snapshot)
        return snapshot

    def _glanced(self, snapshot: JobSnapshot) -> JobSnapshot:
        self._engine.intake.glance(snapshot)
        return snapshot


class AsyncJobCalls:
    """What an async handle asks: with the client's options, on the event loop of whoever asks."""

    def __init__(self, calls: Calls, exchange: Callable[[Operation[Any], Options], Awaitable[Answer]]) -> None:
        self._calls = calls
        self._exchange = exchange

    async def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""
        return await self._run(self._calls.refresh(job_id))

    async def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel the job, and let every handle and waiter learn of the answer."""
        return await self._run(self._calls.cancel(job_id))

    async def _run(self, call: Call[JobSnapshot, JobSnapshot]) -> JobSnapshot:
        return call.read(await self._exchange(call.operation, call.options))


def _statuses(ids: Sequence[str], options: Options) -> Listing[Page[JobSnapshot], JobSnapshot]:
    return Listing(
        first=get_statuses(ids),
        items=lambda page: page.items,
        after=lambda page: None if page.next_token is None else get_statuses(ids, page.next_token),
        options=options,
    )


def _itself(page: MadeT) -> MadeT:
    return page
