"""What is known of one job, and who waits for its end: the state behind a handle.

It neither polls nor listens: whoever learns something about the job calls `_update`, and a small port (`JobPort`) does
what needs the network or another thread. What users call is in `_handle`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from video_translation_client._errors import JobCancelledError, JobFailedError, WaitTimeoutError
from video_translation_client._job_events import call_in
from video_translation_client._landing import Wish
from video_translation_client._models import FAILED, JobSnapshot
from video_translation_client._transitions import Transitions

Notice = Callable[[], object]


class JobPort(Protocol):
    """What a handle needs from its client."""

    def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for the job, and let every handle and waiter learn of the answer."""

    def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel the job, and let every handle and waiter learn of the answer."""

    def defer(self, work: Callable[[], object]) -> None:
        """Run `work` soon on the client's callback thread."""

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        """Bring one of the job's files, and return where it lies."""

    def wake(self, job_id: str) -> None:
        """Somebody begins to wait: where nothing pushes, the job is asked for soon."""

    def events_come(self) -> bool:
        """Whether each transition comes as an event by itself."""

    def seek_events(self) -> None:
        """Have the event log read soon, by another thread."""

    def seek_beginning(self, job_id: str) -> None:
        """Have the job's first events looked for, by another thread."""


class JobState:
    """A job as far as it is known. Every method may be called from any thread."""

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
            notices = self._end(failure_of(self._id, snapshot)) if snapshot.terminal else ()
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


def failure_of(job_id: str, snapshot: JobSnapshot) -> JobFailedError | None:
    """Return what the end of a job in this state raises; None where it has not failed."""
    if snapshot.status != FAILED:
        return None
    kind = JobFailedError if snapshot.cancelled_at is None else JobCancelledError
    message = snapshot.failure_message or "the service gave no reason"
    return kind(f"job {job_id} failed: {message}", job_id=job_id, snapshot=snapshot)
