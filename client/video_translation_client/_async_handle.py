"""The async view of a job's handle: what waits is awaited.

The handle behind it is the one that the engine resolves; here is no state.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

from video_translation_client._cancelling import is_refusal, judge_refusal
from video_translation_client._dispatcher import check_callback
from video_translation_client._errors import APIError
from video_translation_client._handle import Job
from video_translation_client._job_events import EventStream
from video_translation_client._landing import FileKind, Wish
from video_translation_client._models import JobSnapshot

logger = logging.getLogger("video_translation_client")


class AsyncJobPort(Protocol):
    """What a view needs from its client."""

    async def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""

    async def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel the job, and let every handle and waiter learn of the answer."""

    async def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        """Bring one of the job's files, and return where it lies."""


class AsyncJob:
    """A translation job in one language. Made by `await client.translate()` and `client.job()`.

    Two views of the same job are equal. What asks the service does so on the running event loop.
    """

    __slots__ = ("_job", "_port")

    def __init__(self, job: Job, port: AsyncJobPort) -> None:
        self._job = job
        self._port = port

    def __repr__(self) -> str:
        return f"<Async{repr(self._job)[1:]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncJob) and other._job is self._job

    def __hash__(self) -> int:
        return hash(self._job)

    @property
    def id(self) -> str:
        """The job's id: keep it to come back with `client.job(id)`."""
        return self._job.id

    @property
    def snapshot(self) -> JobSnapshot | None:
        """The newest state known, without asking; None when nothing is known yet."""
        return self._job.snapshot

    def done(self) -> bool:
        """Whether the wait is over, as far as is known; never asks the service."""
        return self._job.done()

    def running(self) -> bool:
        """Whether the service works on the job, as far as is known; never asks the service."""
        return self._job.running()

    def cancelled(self) -> bool:
        """Whether the job has ended because somebody cancelled it; never asks the service."""
        return self._job.cancelled()

    async def status(self) -> str:
        """Return the newest known status; asks the service only when nothing is known yet.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return (self._job.snapshot or await self.refresh()).status

    async def refresh(self) -> JobSnapshot:
        """Ask the service now, and return the job's state.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return await self._port.read_job(self.id)

    async def cancel(self) -> bool:
        """Have the service cancel the job. Cancelling a task that awaits the job does not do that.

        Returns:
            Whether the job is cancelled now; False where it had ended before.

        Raises:
            APIError: the service refused, or cannot cancel (the message says so); the job goes on.
            ServerUnreachableError: it gave no answer; whether the job goes on is not known.
        """
        if self.done():
            return self.cancelled()
        try:
            await self._port.cancel_job(self.id)
        except APIError as error:
            if not is_refusal(error):
                raise
            judge_refusal(error, await self.refresh())
        return self.cancelled()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, at most `timeout` seconds; return whether it has."""
        return await self._job._wait_async(timeout)  # noqa: SLF001 - the two are one

    async def result(self, timeout: float | None = None) -> JobSnapshot:
        """Wait for the job's end and return its final state, which has the `video_url`.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            JobFailedError: the job failed (`JobCancelledError` where it was cancelled).
            WaitTimeoutError: the time ran out; the job goes on.
            ClientClosedError: the client was closed meanwhile.
        """
        await self._reach_end(timeout)
        return self._job.result()

    async def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job's end and return what `result()` would raise, or None.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            WaitTimeoutError: the time ran out; the job goes on.
        """
        await self._reach_end(timeout)
        return self._job.exception()

    async def download(
        self,
        path: str | os.PathLike[str],
        kind: FileKind = "video",
        *,
        overwrite: bool = False,
        timeout: float | None = None,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> Path:
        """Download a file of the completed job, and return where it lies: whole, or not at all.

        Goes on where a connection broke off (`max_retries`), and gets a new URL where the signed one has expired.
        A completed job whose URLs are not there yet is asked for them. Your API key is not sent.

        Args:
            path: a file; or a folder, in which the file is named after the job's id.
            kind: `video`, `audio`, `srt` or `vtt`.
            overwrite: replace a file that is there already.
            timeout: seconds for everything together. None: as long as it takes, and 300 for the URLs.
            progress: called with the bytes that have come, and the size where it is known.

        Raises:
            DownloadError: the job has not ended, has no such file, or whoever holds it refuses.
            JobFailedError: the job failed.
            FileExistsError: there is a file already.
            OSError: it cannot be written, for example because there is no such folder.
            WaitTimeoutError: the time ran out.
            ServerUnreachableError: the connection broke off too often, or nobody answered.
            APIError: the service refused to tell of the job.
        """
        wish = Wish(path, kind, overwrite, timeout, progress)
        return await self._port.download(self.id, self._job.snapshot, wish)

    def events(self, timeout: float | None = None) -> EventStream:
        """Return the job's transitions, for `async for`: each once, in order, up to its end.

        Begins with the job's first, also after a restart; without an event log, with the first that this client
        knows of. Keeps the newest 64, without progress. One learned by asking has an empty `id` and `raw`.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            WaitTimeoutError: while iterating: the time ran out; the job goes on.
            ClientClosedError: while iterating: the client was closed before the job's end.
        """
        return self._job.events(timeout)

    def add_done_callback(self, callback: Callable[[AsyncJob], object]) -> None:
        """Call `callback(job)` on the running event loop once the job has ended.

        On a job that has ended it is called at once. What it raises is logged. A coroutine function is a
        TypeError.
        """
        check_callback(callback)
        loop = asyncio.get_running_loop()
        call = functools.partial(self._call, callback)

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(call)
            except RuntimeError:
                logger.warning("the done callback %r of job %s is lost: its event loop has closed", callback, self.id)

        if not self._job._notify(tell):  # noqa: SLF001 - the two are one
            call()

    def __await__(self) -> Generator[Any, None, JobSnapshot]:
        """Wait for the job's end, and return its final state or raise its failure."""
        return self._job.__await__()

    async def _reach_end(self, timeout: float | None) -> None:
        if not await self.wait(timeout):
            raise self._job._timed_out(timeout)  # noqa: SLF001 - the two are one

    def _call(self, callback: Callable[[AsyncJob], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("the done callback %r of job %s raised", callback, self.id)
