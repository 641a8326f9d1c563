"""The async client's doors to single jobs, and how it sends: on the event loop of whoever calls.

What a call sends, and what becomes of its answer, is in `_calls`; the client's other doors are in `_async_client`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from video_translation_client._asking import ask_until_it_ends, drive_async
from video_translation_client._async_handle import AsyncJob
from video_translation_client._async_transport import AsyncHttpClient, AsyncTransport
from video_translation_client._base_client import BaseClient
from video_translation_client._call import Call
from video_translation_client._calls import AsyncJobCalls
from video_translation_client._exchange import Answer
from video_translation_client._models import JobSnapshot
from video_translation_client._operations import Operation
from video_translation_client._options import Options
from video_translation_client._paging import walk_async
from video_translation_client._polling import CLASSIC_POLL, PollPolicy

SaidT = TypeVar("SaidT")
MadeT = TypeVar("MadeT")


class AsyncJobDoors(BaseClient[AsyncHttpClient]):
    """The half of the async client that is about jobs, by their ids."""

    def job(self, job_id: str) -> AsyncJob:
        """Return the handle of a job by its id, for example after a restart.

        Raises:
            ValueError: `job_id` is empty, or no text.
        """
        return AsyncJob(self._calls.job(job_id), self._jobs)

    async def get_job(self, job_id: str, *, timeout: float | None = None) -> JobSnapshot:
        """Read one job.

        Args:
            job_id: the job.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.get_job(job_id, timeout=timeout))

    async def get_status(self, job_id: str | None = None, *, timeout: float | None = None) -> JobSnapshot:
        """Ask `/status` for a job, or for the newest one; `.result` is pending, completed or error.

        Args:
            job_id: the job; None takes the newest.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job, or none at all.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.get_status(job_id, timeout=timeout))

    async def get_statuses(
        self, job_ids: Iterable[str] | str, *, timeout: float | None = None
    ) -> dict[str, JobSnapshot]:
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
        return {job.id: job for listing in listings async for job in walk_async(listing, self._send)}

    async def poll_status(
        self,
        job_id: str | None = None,
        policy: PollPolicy = CLASSIC_POLL,
        *,
        timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> JobSnapshot:
        """Ask again and again until the job has ended: the classic way, in this task and without any push.

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
        return await drive_async(asking, lambda question: self._run(self._calls.ask(question)), sleep)

    def list_jobs(self, status: str | None = None, *, timeout: float | None = None) -> AsyncIterator[JobSnapshot]:
        """Iterate over the workspace's jobs, newest first; pages are read as they are needed.

        Args:
            status: only jobs with it: `pending`, `running`, `completed` or `failed`.
            timeout: seconds that one try of a request may take, instead of the client's.

        Raises:
            APIError: the service refused; also in the middle of the iteration.
            ServerUnreachableError: the service gave no answer; as above.
        """
        return walk_async(self._calls.list_jobs(status, timeout=timeout), self._send)

    async def cancel(self, job_id: str, *, timeout: float | None = None) -> JobSnapshot:
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
        return await self._run(self._calls.cancel(job_id, timeout=timeout))

    async def rename_job(self, job_id: str, title: str, *, timeout: float | None = None) -> JobSnapshot:
        """Give a job another title, and return it; nothing is pushed for that.

        Args:
            job_id: the job.
            title: the new one.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        return await self._run(self._calls.rename_job(job_id, title, timeout=timeout))

    async def delete_job(self, job_id: str, *, timeout: float | None = None) -> None:
        """Delete a job for good; one that has not ended is cancelled first.

        Args:
            job_id: the job.
            timeout: seconds that one try may take, instead of the client's.

        Raises:
            NotFoundError: there is no such job (any more: a try whose answer was lost may have deleted it).
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer.
        """
        await self._run(self._calls.delete_job(job_id, timeout=timeout))

    async def _run(self, call: Call[Any, MadeT]) -> MadeT:
        return call.read(await self._exchange(call))

    async def _exchange(self, call: Call[Any, Any]) -> Answer:
        if call.files:
            call = call.over([await self._run(upload) for upload in await asyncio.to_thread(call.uploads)])
        if call.before is not None:
            await asyncio.to_thread(call.before)
        return await self._http.exchange(call.operation, call.options.over(self._options))

    async def _send(self, operation: Operation[SaidT], options: Options | None = None) -> SaidT:
        said = self._options if options is None else options.over(self._options)
        return await self._http.send(operation, options=said)

    def _connect(self, http_client: AsyncHttpClient | None) -> None:
        if http_client is not None and not isinstance(http_client, AsyncHttpClient):
            raise TypeError(f"http_client must be an httpx.AsyncClient, not {type(http_client).__name__}")
        self._http = AsyncTransport(self._engine.terms, http_client)
        self._jobs = AsyncJobCalls(self._calls, self._http, self._engine.terms)
