"""A job's handle: what is known of one job, and doors to wait for its end.

The handle neither polls nor listens; whoever learns something about the job calls `_update`, and a small
port (`JobPort`) does what needs the network or another thread.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

from video_translation_client._cancelling import is_refusal, judge_refusal
from video_translation_client._dispatcher import check_callback
from video_translation_client._errors import APIError, JobCancelledError, JobFailedError, WaitTimeoutError
from video_translation_client._job_events import EventStream, Transitions, call_in
from video_translation_client._models import FAILED, RUNNING, JobSnapshot
from video_translation_client._timeouts import bearable

logger = logging.getLogger("video_translation_client")

Notice = Callable[[], object]


class JobPort(Protocol):
    """What a handle needs from its client."""

    def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""

    def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel the job, and let every handle and waiter learn of the answer."""

    def defer(self, work: Callable[[], object]) -> None:
        """Run `work` soon on the client's callback thread."""

    def wake(self, job_id: str) -> None:
        """Somebody begins to wait: where nothing pushes, the job is asked for soon."""

    def events_come(self) -> bool:
        """Whether each transition comes as an event by itself."""

    def seek_events(self) -> None:
        """Have the event log read soon, by another thread."""

    def seek_beginning(self, job_id: str) -> None:
        """Have the job's first events looked for, by another thread."""


class Job:
    """A translation job in one language. Made by `client.translate()` and `client.job()`.

    `result()` blocks; `await job` waits without blocking the event loop. Every method may be called from any
    thread, callbacks included. A job costs no thread, however many are waited for.
    """

    __slots__ = ("__weakref__", "_ended", "_error", "_id", "_lock", "_notices", "_port", "_snapshot", "_transitions")

    def __init__(
        self, job_id: str, port: JobPort, snapshot: JobSnapshot | None = None, transitions: Transitions | None = None
    ) -> None:
        self._id = job_id
        self._port = port
        self._lock = threading.Lock()
        self._snapshot: JobSnapshot | None = None
        self._transitions = transitions or Transitions()
        self._ended = False
        self._error: BaseException | None = None
        self._notices: tuple[Notice, ...] = ()
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

    async def _wait_async(self, timeout: float | None) -> bool:  # noqa: ASYNC109 - the blocking twin's argument
        loop, bell = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            call_in(loop, bell.set)

        if not self._notify(ring):
            return True
        try:
            await asyncio.wait_for(bell.wait(), timeout)
        except TimeoutError:
            return self._ended
        finally:
            self._forget(ring)
        return self._ended

    def _outcome(self) -> JobSnapshot:
        if self._error is not None:
            raise self._error
        assert self._snapshot is not None  # noqa: S101 - only a terminal state or an error ends the wait
        return self._snapshot

    def _notify(self, notice: Notice) -> bool:
        """Have `notice()` called once by whoever ends the wait; return False where it is over already.

        It must be quick and must not raise. It is called outside every lock.
        """
        with self._lock:
            if self._ended:
                return False
            self._notices = (*self._notices, notice)
        self._port.wake(self._id)
        return True

    def _forget(self, notice: Notice) -> None:
        with self._lock:
            self._notices = tuple(other for other in self._notices if other != notice)

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
            if self._ended or not snapshot.supersedes(self._snapshot):
                return
            self._snapshot = snapshot = snapshot.keeping(self._snapshot)
            notices = self._end(_failure(self._id, snapshot)) if snapshot.terminal else ()
        for notice in notices:
            notice()

    def _abandon(self, error: BaseException) -> None:
        """End the wait with `error`: nothing can be learned about this job any more."""
        with self._lock:
            notices = () if self._ended else self._end(error)
        for notice in notices:
            notice()
        self._transitions.close(error)

    def _end(self, error: BaseException | None) -> tuple[Notice, ...]:
        self._error, self._ended = error, True
        notices, self._notices = self._notices, ()
        return notices


def _failure(job_id: str, snapshot: JobSnapshot) -> JobFailedError | None:
    if snapshot.status != FAILED:
        return None
    kind = JobFailedError if snapshot.cancelled_at is None else JobCancelledError
    message = snapshot.failure_message or "the service gave no reason"
    return kind(f"job {job_id} failed: {message}", job_id=job_id, snapshot=snapshot)
