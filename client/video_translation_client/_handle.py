"""A job's handle: one `concurrent.futures.Future` that a terminal snapshot resolves, and doors to wait on it.

The handle neither polls nor listens; whoever learns something about the job calls `_update`, and a small
port (`JobPort`) does what needs the network or another thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

from video_translation_client._errors import JobCancelledError, JobFailedError, WaitTimeoutError
from video_translation_client._models import FAILED, JobSnapshot

logger = logging.getLogger("video_translation_client")


class JobPort(Protocol):
    """What a handle needs from its client."""

    def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""

    def defer(self, work: Callable[[], object]) -> None:
        """Run `work` soon on the client's callback thread."""


class Job:
    """A translation job in one language. Made by `client.translate()` and `client.job()`.

    `result()` blocks; `await job` waits without blocking the event loop. Every method may be called from any
    thread, callbacks included.
    """

    def __init__(self, job_id: str, port: JobPort, snapshot: JobSnapshot | None = None) -> None:
        self._id = job_id
        self._port = port
        self._lock = threading.Lock()
        self._snapshot: JobSnapshot | None = None
        self._future: concurrent.futures.Future[JobSnapshot] = concurrent.futures.Future()
        # Nobody outside may cancel the future: cancelling a wait must not cancel the job's handle.
        self._future.set_running_or_notify_cancel()
        if snapshot is not None:
            self._update(snapshot)

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
        """Whether the job has ended, as far as is known; never asks the service."""
        return self._future.done()

    def status(self) -> str:
        """Return the newest known status; asks the service only when nothing is known yet.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        snapshot = self._snapshot or self.refresh()
        return snapshot.status

    def refresh(self) -> JobSnapshot:
        """Ask the service now, and return the job's state.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return self._port.read_job(self._id)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, at most `timeout` seconds; return whether it has."""
        concurrent.futures.wait([self._future], timeout)
        return self._future.done()

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
        return self._future.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job's end and return what `result()` would raise, or None.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            WaitTimeoutError: the time ran out; the job goes on.
        """
        if not self.wait(timeout):
            raise self._timed_out(timeout)
        return self._future.exception()

    def add_done_callback(self, callback: Callable[[Job], object]) -> None:
        """Call `callback(job)` on the client's callback thread once the job has ended.

        On a job that has ended it is called at once, by the caller's thread. What it raises is logged.
        """
        if self._future.done():
            self._call(callback)
        else:
            self._future.add_done_callback(lambda _: self._port.defer(functools.partial(self._call, callback)))

    def __await__(self) -> Generator[Any, None, JobSnapshot]:
        """Wait for the job's end like `result()`, without blocking the event loop."""
        return asyncio.shield(asyncio.wrap_future(self._future)).__await__()

    def _call(self, callback: Callable[[Job], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("the done callback %r of job %s raised", callback, self._id)

    def _timed_out(self, timeout: float | None) -> WaitTimeoutError:
        snapshot = self._snapshot
        state = f"{snapshot.status} (sequence {snapshot.sequence})" if snapshot else "unknown"
        return WaitTimeoutError(
            f"job {self._id} has not ended after {timeout} s; its last known state is {state}",
            job_id=self._id,
            snapshot=snapshot,
        )

    def _update(self, snapshot: JobSnapshot) -> None:
        """Take in a state from wherever it came; what is older than the known one changes nothing."""
        with self._lock:
            if self._future.done() or not snapshot.supersedes(self._snapshot):
                return
            self._snapshot = snapshot
            if not snapshot.terminal:
                return
            error = _failure(self._id, snapshot)
            if error is None:
                self._future.set_result(snapshot)
            else:
                self._future.set_exception(error)

    def _abandon(self, error: BaseException) -> None:
        """End the wait with `error`: nothing can be learned about this job any more."""
        with self._lock:
            if not self._future.done():
                self._future.set_exception(error)


def _failure(job_id: str, snapshot: JobSnapshot) -> JobFailedError | None:
    if snapshot.status != FAILED:
        return None
    kind = JobFailedError if snapshot.cancelled_at is None else JobCancelledError
    message = snapshot.failure_message or "the service gave no reason"
    return kind(f"job {job_id} failed: {message}", job_id=job_id, snapshot=snapshot)
