"""A job's handle: the doors to what is known of one job, to its end and to its files.

What is known, and who waits, is kept by `_job_state`; a handle neither polls nor listens.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from video_translation_client._cancelling import is_refusal, judge_refusal
from video_translation_client._dispatcher import check_callback
from video_translation_client._errors import APIError, JobCancelledError
from video_translation_client._job_events import EventStream
from video_translation_client._job_state import JobState
from video_translation_client._landing import FileKind, Wish
from video_translation_client._models import RUNNING, JobSnapshot
from video_translation_client._timeouts import bearable

logger = logging.getLogger("video_translation_client")


class Job(JobState):
    """A translation job in one language. Made by `client.translate()` and `client.job()`.

    `result()` blocks; `await job` waits without blocking the event loop. Every method may be called from any
    thread, callbacks included. A job costs no thread, however many are waited for.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Job {self._id} {self._snapshot.status if self._snapshot else 'unknown'}>"

    @property
    def id(self) -> str:
        """The job's id: keep it to come back with `client.job(id)`."""
        return self._id

    @property
    def snapshot(self) -> JobSnapshot | None:
        """The newest state known, without asking; None when nothing is known yet."""
        return self._snapshot

    def done(self) -> bool:
        """Whether the wait is over, as far as is known; never asks the service."""
        return self._ended

    def running(self) -> bool:
        """Whether the service works on the job, as far as is known; never asks the service."""
        return self._snapshot is not None and self._snapshot.status == RUNNING

    def cancelled(self) -> bool:
        """Whether the job has ended because somebody cancelled it; never asks the service."""
        return isinstance(self._error, JobCancelledError)

    def status(self) -> str:
        """Return the newest known status; asks the service only when nothing is known yet.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return (self._snapshot or self.refresh()).status

    def refresh(self) -> JobSnapshot:
        """Ask the service now, and return the job's state.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return self._port.read_job(self._id)

    def cancel(self) -> bool:
        """Have the service cancel the job. Unlike a future's, this cancels the work, for every client.

        Returns:
            Whether the job is cancelled now; False where it had ended before. `done()` holds in both cases,
            and `result()` raises `JobCancelledError` in the first.

        Raises:
            APIError: the service refused, or cannot cancel (the message says so); the job goes on.
            ServerUnreachableError: it gave no answer; whether the job goes on is not known.
        """
        if self._ended:
            return self.cancelled()
        try:
            self._port.cancel_job(self._id)
        except APIError as error:
            if not is_refusal(error):
                raise
            judge_refusal(error, self.refresh())
        return self.cancelled()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, at most `timeout` seconds; return whether it has."""
        bell = threading.Event()
        if not self._notify(bell.set):
            return True
        try:
            bell.wait(bearable(timeout))
        finally:
            self._forget(bell.set)
        return self._ended

    def result(self, timeout: float | None = None) -> JobSnapshot:
        """Wait for the job's end and return its final state, which has the `video_url`.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            JobFailedError: the job failed (`JobCancelledError` where it was cancelled).
            WaitTimeoutError: the time ran out; the job goes on.
            ClientClosedError: the client was closed meanwhile.
        """
        if not self.wait(timeout):
            raise self._timed_out(timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job's end and return what `result()` would raise, or None.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            WaitTimeoutError: the time ran out; the job goes on.
        """
        if not self.wait(timeout):
            raise self._timed_out(timeout)
        return self._error

    def download(
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
        return self._port.download(self._id, self._snapshot, wish)

    def events(self, timeout: float | None = None) -> EventStream:
        """Return the job's transitions, for `for` or `async for`: each once, in order, up to its end.

        Begins with the job's first, also after a restart; without an event log, with the first that this client
        knows of. Keeps the newest 64, without progress. One learned by asking has an empty `id` and `raw`.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            WaitTimeoutError: while iterating: the time ran out; the job goes on.
            ClientClosedError: while iterating: the client was closed before the job's end.
        """
        return EventStream(
            self._transitions,
            seek=self._port.seek_events,
            begin=functools.partial(self._port.seek_beginning, self._id),
            expired=functools.partial(self._timed_out, timeout),
            timeout=timeout,
        )

    def add_done_callback(self, callback: Callable[[Job], object]) -> None:
        """Call `callback(job)`, no coroutine function, on the client's callback thread once the job has ended.

        On a job that has ended it is called at once, by the caller's thread. What it raises is logged.
        """
        check_callback(callback)
        call = functools.partial(self._call, callback)
        if not self._notify(functools.partial(self._port.defer, call)):
            call()

    def __await__(self) -> Generator[Any, None, JobSnapshot]:
        """Wait for the job's end like `result()`, without blocking the event loop."""
        return self._join().__await__()

    async def _join(self) -> JobSnapshot:
        await self._wait_async(None)
        return self._outcome()

    def _call(self, callback: Callable[[Job], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("the done callback %r of job %s raised", callback, self._id)
