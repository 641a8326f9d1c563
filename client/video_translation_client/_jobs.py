"""What is known of every job: the handles to resolve, and the statuses that have been seen.

`observe` is the only way in; where a snapshot came from, and whether a callback is due, is decided above.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from video_translation_client._errors import VideoTranslationError
from video_translation_client._handle import Job
from video_translation_client._job_state import JobPort
from video_translation_client._models import KNOWN_STATUSES, Event, JobSnapshot
from video_translation_client._timeouts import bearable
from video_translation_client._transitions import Transitions

logger = logging.getLogger("video_translation_client")

_MOST_STATUSES_NAMED: Final = 100
_MOST_UNCLAIMED: Final = 1_000


@dataclass(slots=True)
class _Seen:
    newest: JobSnapshot
    by_status: dict[str, tuple[int, JobSnapshot]] = field(default_factory=dict)


class JobRegistry:
    """Handles by id, and a board of seen statuses that threads can wait on.

    Args:
        port: given to every handle.
        remember: how many jobs without a waiting handle are remembered, oldest forgotten first.
    """

    def __init__(self, port: JobPort, *, remember: int = 10_000) -> None:
        self._port = port
        self._remember = remember
        self._lock = threading.Lock()
        self._waiters: defaultdict[tuple[str, str | None], list[threading.Event]] = defaultdict(list)
        self._waiting: dict[str, Job] = {}
        self._ended: weakref.WeakValueDictionary[str, Job] = weakref.WeakValueDictionary()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        # Events that came before the handle, for example while the answer to its creation was on the way.
        self._unclaimed: OrderedDict[str, Transitions] = OrderedDict()
        self._latest: dict[str, tuple[int, JobSnapshot]] = {}
        self._moment = 0
        self._unknown_statuses: set[str] = set()
        self._closed: VideoTranslationError | None = None

    def attach(self, job_id: str, snapshot: JobSnapshot | None = None, *, late: bool = False) -> Job:
        """Return the job's handle, made anew where there is none.

        Args:
            job_id: the job.
            snapshot: what is known of it; something newer that was seen meanwhile wins.
            late: it may have begun before this client.
        """
        with self._lock:
            job = self._waiting.get(job_id) or self._ended.get(job_id)
            if job is not None:
                return job
            seen = self._seen.get(job_id)
            newest = seen.newest.keeping(snapshot) if seen and seen.newest.supersedes(snapshot) else snapshot
            job = Job(job_id, self._port, newest, self._unclaimed.pop(job_id, None))
            if late:
                job._transitions.expect_beginning()  # noqa: SLF001 - the registry is what resolves handles
            if seen:
                self._tell(job, seen.newest)
            if self._closed is not None:
                job._abandon(self._closed)  # noqa: SLF001 - the registry is what resolves handles
            (self._ended if job.done() else self._waiting)[job_id] = job
            return job

    def observe(self, snapshot: JobSnapshot, *, by_event: bool = False) -> bool:
        """Take in a job's state: resolve its handle, wake waiters.

        Args:
            snapshot: the state.
            by_event: an event brought it, which `record` gets when it is its turn.

        Returns:
            Whether this is the first terminal state seen of the job.
        """
        with self._lock:
            self._name_unknown(snapshot.status)
            ends = self._note(snapshot)
            job = self._waiting.get(snapshot.id)
            if job is not None and snapshot.terminal:
                self._ended[snapshot.id] = self._waiting.pop(snapshot.id)
            for waiter in self._waiters_of(snapshot):
                waiter.set()
        if job is not None:
            if not by_event:
                self._tell(job, snapshot)
            job._update(snapshot)  # noqa: SLF001 - the registry is what resolves handles
        return ends

    def record(self, event: Event) -> None:
        """Take in an event that the inbox has released: readers of `job.events()` get it."""
        job_id = event.job.id
        with self._lock:
            job = self._waiting.get(job_id) or self._ended.get(job_id)
            transitions = self._claim(job_id) if job is None else job._transitions  # noqa: SLF001 - as above
        transitions.take(event)

    def begin(self, job_id: str, earlier: Iterable[Event]) -> None:
        """Give the readers of `job.events()` what the log held of the job, oldest first."""
        with self._lock:
            job = self._waiting.get(job_id) or self._ended.get(job_id)
        if job is not None:
            job._transitions.begin_with(earlier)  # noqa: SLF001 - as above

    def abandon(self, job_id: str, error: BaseException) -> None:
        """Fail a handle: nothing can be learned about its job any more."""
        with self._lock:
            job = self._waiting.pop(job_id, None)
        if job is not None:
            job._abandon(error)  # noqa: SLF001 - the registry is what resolves handles

    def waiting(self) -> list[Job]:
        """Return the handles that have not been resolved."""
        with self._lock:
            return list(self._waiting.values())

    def get(self, job_id: str) -> Job | None:
        """Return the handle that still waits for this job's end, if there is one."""
        with self._lock:
            return self._waiting.get(job_id)

    def mark(self) -> int:
        """Return this moment, for `wait_for(since=...)`."""
        with self._lock:
            return self._moment

    def wait_for(
        self, status: str, *, since: int, job_id: str | None = None, timeout: float | None = None
    ) -> JobSnapshot | None:
        """Wait until a state with `status` has been seen since `since`; None when the time runs out.

        Args:
            status: the resource's word.
            since: a moment from `mark()`.
            job_id: only this job; None means any.
            timeout: seconds; None waits as long as it takes.

        Raises:
            ClientClosedError: the client was closed meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        bell = threading.Event()
        with self._lock:
            self._waiters[status, job_id].append(bell)
        try:
            while True:
                bell.clear()
                found = self._look(status, job_id, since)
                remaining = None if deadline is None else deadline - time.monotonic()
                if found is not None or (remaining is not None and remaining <= 0):
                    return found
                bell.wait(bearable(remaining))
        finally:
            self._leave((status, job_id), bell)

    def close(self, error: VideoTranslationError) -> None:
        """Fail every waiting handle, reader and waiter with `error`."""
        with self._lock:
            self._closed = error
            jobs = [*self._waiting.values(), *self._ended.values()]  # of those that ended, readers may wait
            self._waiting.clear()
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.set()
        for job in jobs:
            job._abandon(error)  # noqa: SLF001 - the registry is what resolves handles

    def _tell(self, job: Job, snapshot: JobSnapshot) -> None:
        if snapshot.id:
            job._transitions.observe(snapshot, hold=self._port.events_come())  # noqa: SLF001 - as above

    def _claim(self, job_id: str) -> Transitions:
        transitions = self._unclaimed.setdefault(job_id, Transitions())
        self._unclaimed.move_to_end(job_id)
        if len(self._unclaimed) > _MOST_UNCLAIMED:
            self._unclaimed.popitem(last=False)
        return transitions

    def _waiters_of(self, snapshot: JobSnapshot) -> list[threading.Event]:
        waiters = self._waiters
        return [*waiters.get((snapshot.status, snapshot.id), ()), *waiters.get((snapshot.status, None), ())]

    def _look(self, status: str, job_id: str | None, since: int) -> JobSnapshot | None:
        with self._lock:
            moment, snapshot = self._find(status, job_id)
            if moment > since:
                return snapshot
            if self._closed is not None:
                raise self._closed
            return None

    def _leave(self, key: tuple[str, str | None], bell: threading.Event) -> None:
        with self._lock:
            self._waiters[key].remove(bell)
            if not self._waiters[key]:
                del self._waiters[key]

    def _find(self, status: str, job_id: str | None) -> tuple[int, JobSnapshot | None]:
        if job_id is None:
            return self._latest.get(status, (0, None))
        seen = self._seen.get(job_id)
        return seen.by_status.get(status, (0, None)) if seen else (0, None)

    def _note(self, snapshot: JobSnapshot) -> bool:
        self._moment += 1
        seen = self._seen.get(snapshot.id)
        ends = snapshot.terminal and not (seen and any(past.terminal for _, past in seen.by_status.values()))
        if seen is None:
            seen = self._seen[snapshot.id] = _Seen(snapshot)
        elif snapshot.supersedes(seen.newest):
            seen.newest = snapshot
        seen.by_status[snapshot.status] = self._latest[snapshot.status] = (self._moment, snapshot)
        self._seen.move_to_end(snapshot.id)
        while len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return ends

    def _name_unknown(self, status: str) -> None:
        unknown = status not in KNOWN_STATUSES and status not in self._unknown_statuses
        if unknown and len(self._unknown_statuses) < _MOST_STATUSES_NAMED:
            self._unknown_statuses.add(status)
            logger.warning("status %r is new to this client; it is taken as not final", status)
