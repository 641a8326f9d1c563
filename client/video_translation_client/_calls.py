"""Each door's call about jobs, events and who calls, with what the client makes of the answer. For both clients.

Sending, and waiting for the answer, is left to the clients; what a call is on the wire is in `_operations`; assets and
batches are in modules of their own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from video_translation_client._async_transport import AsyncTransport
from video_translation_client._call import Call, itself
from video_translation_client._download import Download, drive_async
from video_translation_client._engine import Engine
from video_translation_client._exchange import Terms
from video_translation_client._group import JobGroup
from video_translation_client._handle import Job
from video_translation_client._landing import Wish
from video_translation_client._models import PENDING, Event, JobSnapshot
from video_translation_client._operations import (
    PAGE_SIZE,
    BatchSnapshot,
    EventPage,
    Operation,
    Page,
    User,
    Video,
    cancel_job,
    check_job_id,
    create_batch,
    create_translation,
    delete_job,
    get_batch,
    get_job,
    get_status,
    get_statuses,
    get_user,
    languages_of,
    list_events,
    list_jobs,
    list_languages,
    rename_job,
)
from video_translation_client._options import Options
from video_translation_client._paging import Listing


class Calls:
    """The calls of one client."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def translate(
        self,
        video: Video,
        output_languages: Sequence[str] | str,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Call[tuple[str, ...], JobGroup]:
        """Start one translation per language, and follow the jobs."""
        operation = create_translation(video, output_languages, options)
        start = Start(self._engine, (operation.body or {})["output_languages"])
        sent = Options(timeout=timeout, idempotency_key=idempotency_key)
        return Call(operation, start.follow, sent, before=start.prepare)

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

    def rename_job(self, job_id: str, title: str, *, timeout: float | None = None) -> Call[JobSnapshot, JobSnapshot]:
        """Give a job another title."""
        return Call(rename_job(job_id, title), self._learned, Options(timeout))

    def delete_job(self, job_id: str, *, timeout: float | None = None) -> Call[None, None]:
        """Delete a job."""
        return Call(delete_job(job_id), itself, Options(timeout))

    def create_batch(
        self,
        translations: Sequence[Mapping[str, Any]],
        *,
        title: str | None = None,
        options: Options | None = None,
        **fields: Any,
    ) -> tuple[Start, Call[BatchSnapshot, BatchSnapshot]]:
        """Start several translations; the answer names the first jobs, and `Start` follows all of them."""
        operation = create_batch(translations, title=title, **fields)
        start = Start(self._engine, languages_of(operation))
        return start, Call(operation, itself, options or Options(), before=start.prepare)

    def get_batch(self, batch_id: str, *, timeout: float | None = None) -> Call[BatchSnapshot, BatchSnapshot]:
        """Read a batch."""
        return Call(get_batch(batch_id), itself, Options(timeout))

    def me(self, *, timeout: float | None = None) -> Call[User, User]:
        """Read whose key it is."""
        return Call(get_user(), itself, Options(timeout))

    def languages(self, *, timeout: float | None = None) -> Call[tuple[str, ...], list[str]]:
        """Read the names that `output_languages` takes."""
        return Call(list_languages(), list, Options(timeout))

    def jobs_page(
        self, token: str | None = None, *, status: str | None = None, timeout: float | None = None
    ) -> Call[Page[JobSnapshot], Page[JobSnapshot]]:
        """Read one page of jobs."""
        return Call(list_jobs(token, status=status), itself, Options(timeout))

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
        return Call(operation, itself, Options(timeout))

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


class Start:
    """Jobs about to be made: the client begins to listen before they are, so that it misses nothing of them.

    Args:
        engine: the client's.
        languages: of the jobs, in their order.
    """

    def __init__(self, engine: Engine, languages: Sequence[str]) -> None:
        self._engine = engine
        self._languages = languages
        self._era = -1

    def prepare(self) -> None:
        """Begin to listen; it may block."""
        self._era = self._engine.modes.ready()

    def follow(self, ids: Sequence[str]) -> JobGroup:
        """Follow the jobs that were made."""
        engine = self._engine
        pairs = itertools.zip_longest(ids, self._languages[: len(ids)])
        states = [JobSnapshot(id_, PENDING, PENDING, output_language=language) for id_, language in pairs]
        jobs = JobGroup(engine.registry.attach(state.id, state) for state in states)
        for job in jobs:
            engine.reconciler.watch(job.id, era=self._era)
        return jobs


class AsyncJobCalls:
    """What an async handle asks: with the client's options, on the event loop of whoever asks."""

    def __init__(self, calls: Calls, transport: AsyncTransport, terms: Terms) -> None:
        self._calls = calls
        self._transport = transport
        self._terms = terms

    async def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""
        return await self._run(self._calls.refresh(job_id))

    async def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel the job, and let every handle and waiter learn of the answer."""
        return await self._run(self._calls.cancel(job_id))

    async def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        """Bring one of the job's files, and return where it lies."""
        return await drive_async(
            Download(job_id, wish, self._terms).steps(known),
            read=functools.partial(self.read_job, job_id),
            fetch=self._transport.fetch,
        )

    async def _run(self, call: Call[JobSnapshot, JobSnapshot]) -> JobSnapshot:
        return call.read(await self._transport.exchange(call.operation, call.options))


def _statuses(ids: Sequence[str], options: Options) -> Listing[Page[JobSnapshot], JobSnapshot]:
    return Listing(
        first=get_statuses(ids),
        items=lambda page: page.items,
        after=lambda page: None if page.next_token is None else get_statuses(ids, page.next_token),
        options=options,
    )
