"""`client.batches`: many translations started together, and followed as a whole, for both clients.

What each call is on the wire is in `_operations`; the jobs of a batch have handles like any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from video_translation_client._async_handle import AsyncJob
from video_translation_client._call import AsyncRun, Run
from video_translation_client._calls import AsyncJobCalls, Calls
from video_translation_client._endpoints import AsyncSend, Send
from video_translation_client._errors import VideoTranslationError
from video_translation_client._group import AsyncJobGroup, JobGroup
from video_translation_client._operations import BatchItem, BatchSnapshot, get_batch
from video_translation_client._options import Options
from video_translation_client._paging import Listing, walk, walk_async

GroupT = TypeVar("GroupT", JobGroup, AsyncJobGroup)


@dataclass(frozen=True, slots=True)
class Batch(Generic[GroupT]):
    """A batch, and handles of its jobs.

    Attributes:
        id: its id: keep it to come back with `client.batches.follow(id)`.
        jobs: the handles, in the order in which the jobs were asked for: wait for them as for those of `translate`.
        snapshot: the batch as it was when this was made.
    """

    id: str
    jobs: GroupT
    snapshot: BatchSnapshot = field(repr=False)


class Batches:
    """Starts batches, and reads them. The end of one is an event, `batch.finished`.

    Callbacks of `on_event` get that event, and `BatchSnapshot.from_event` reads it.
    """

    def __init__(self, calls: Calls, run: Run, send: Send) -> None:
        self._calls = calls
        self._run = run
        self._send = send

    def create(
        self,
        translations: Sequence[Mapping[str, Any]],
        *,
        title: str | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Batch[JobGroup]:
        """Start several translations, one job per language; all of them, or none.

        A request that is repeated (`max_retries`) makes no second batch: every try carries the same key.

        Args:
            translations: each a mapping with `video` (as `translate` takes it), `output_languages`, and whatever else
                a single translation may have.
            title: a name of the whole.
            timeout: seconds that one try may take, instead of the client's.
            idempotency_key: of your own, so that a program that starts over makes no second batch either.
            fields: further fields of the request, for example `callback_url`.

        Raises:
            InvalidRequestError: the service refused a field; `.param` begins with its place.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer. Where the error has a note, the batch was started.
            OSError: a file is not there, or cannot be read.
            ValueError: a translation lacks a field, or a file is empty or too large.
        """
        options = Options(timeout, idempotency_key=idempotency_key)
        start, call = self._calls.create_batch(translations, title=title, options=options, **fields)
        batch = self._run(call)
        with _noting(batch):
            items = self._all_items(batch, Options(timeout))
        return Batch(batch.id, start.follow(_ids(items)), batch)

    def follow(self, batch_id: str, *, timeout: float | None = None) -> Batch[JobGroup]:
        """Read a batch by its id and follow its jobs, for example after a restart.

        Args:
            batch_id: the batch.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        batch = self.get(batch_id, timeout=timeout)
        items = self._all_items(batch, Options(timeout))
        return Batch(batch.id, JobGroup(self._calls.job(job_id) for job_id in _ids(items)), batch)

    def get(self, batch_id: str, *, timeout: float | None = None) -> BatchSnapshot:
        """Read a batch, with its first 100 jobs; `timeout`: seconds that one try may take.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return self._run(self._calls.get_batch(batch_id, timeout=timeout))

    def items(self, batch_id: str, *, timeout: float | None = None) -> Iterator[BatchItem]:
        """Iterate over a batch's jobs, in the order in which they were asked for; pages are read as they are needed.

        Args:
            batch_id: the batch.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused; also in the middle of the iteration.
            ServerUnreachableError: the service gave no answer; as above.
        """
        return walk(_listing(batch_id, None, Options(timeout)), self._send)

    def _all_items(self, batch: BatchSnapshot, options: Options) -> list[BatchItem]:
        if batch.next_token is None:
            return [*batch.items]
        return [*batch.items, *walk(_listing(batch.id, batch.next_token, options), self._send)]


class AsyncBatches:
    """The twin of `Batches`, to be awaited.

    Callbacks of `on_event` get the event `batch.finished`, and `BatchSnapshot.from_event` reads it.
    """

    def __init__(self, calls: Calls, run: AsyncRun, send: AsyncSend, jobs: AsyncJobCalls) -> None:
        self._calls = calls
        self._run = run
        self._send = send
        self._jobs = jobs

    async def create(
        self,
        translations: Sequence[Mapping[str, Any]],
        *,
        title: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as the twin
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Batch[AsyncJobGroup]:
        """Start several translations, one job per language; all of them, or none.

        A request that is repeated (`max_retries`) makes no second batch: every try carries the same key.

        Args:
            translations: each a mapping with `video` (as `translate` takes it), `output_languages`, and whatever else
                a single translation may have.
            title: a name of the whole.
            timeout: seconds that one try may take, instead of the client's.
            idempotency_key: of your own, so that a program that starts over makes no second batch either.
            fields: further fields of the request, for example `callback_url`.

        Raises:
            InvalidRequestError: the service refused a field; `.param` begins with its place.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer. Where the error has a note, the batch was started.
            OSError: a file is not there, or cannot be read.
            ValueError: a translation lacks a field, or a file is empty or too large.
        """
        options = Options(timeout, idempotency_key=idempotency_key)
        start, call = self._calls.create_batch(translations, title=title, options=options, **fields)
        batch = await self._run(call)
        with _noting(batch):
            items = await self._all_items(batch, Options(timeout))
        return Batch(batch.id, AsyncJobGroup(AsyncJob(job, self._jobs) for job in start.follow(_ids(items))), batch)

    async def follow(self, batch_id: str, *, timeout: float | None = None) -> Batch[AsyncJobGroup]:  # noqa: ASYNC109
        """Read a batch by its id and follow its jobs, for example after a restart.

        Args:
            batch_id: the batch.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        batch = await self.get(batch_id, timeout=timeout)
        items = await self._all_items(batch, Options(timeout))
        jobs = AsyncJobGroup(AsyncJob(self._calls.job(job_id), self._jobs) for job_id in _ids(items))
        return Batch(batch.id, jobs, batch)

    async def get(self, batch_id: str, *, timeout: float | None = None) -> BatchSnapshot:  # noqa: ASYNC109 - as above
        """Read a batch, with its first 100 jobs; `timeout`: seconds that one try may take.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.get_batch(batch_id, timeout=timeout))

    def items(self, batch_id: str, *, timeout: float | None = None) -> AsyncIterator[BatchItem]:
        """Iterate over a batch's jobs, in the order in which they were asked for; pages are read as they are needed.

        Args:
            batch_id: the batch.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            NotFoundError: there is no such batch.
            APIError: the service refused; also in the middle of the iteration.
            ServerUnreachableError: the service gave no answer; as above.
        """
        return walk_async(_listing(batch_id, None, Options(timeout)), self._send)

    async def _all_items(self, batch: BatchSnapshot, options: Options) -> list[BatchItem]:
        if batch.next_token is None:
            return [*batch.items]
        rest = walk_async(_listing(batch.id, batch.next_token, options), self._send)
        return [*batch.items, *[item async for item in rest]]


def _listing(batch_id: str, token: str | None, options: Options) -> Listing[BatchSnapshot, BatchItem]:
    return Listing(
        first=get_batch(batch_id, token),
        items=lambda page: page.items,
        after=lambda page: None if page.next_token is None else get_batch(batch_id, page.next_token),
        options=options,
    )


def _ids(items: Iterable[BatchItem]) -> list[str]:
    return [item.job_id for item in items if item.job_id is not None]


@contextlib.contextmanager
def _noting(batch: BatchSnapshot) -> Iterator[None]:
    """Say of an error that the batch was started all the same, and how to come back to it."""
    try:
        yield
    except VideoTranslationError as error:
        error.add_note(f"the batch {batch.id} was started: come back to it with client.batches.follow({batch.id!r})")
        raise
