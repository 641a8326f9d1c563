"""Waits for several jobs at once, like `concurrent.futures.wait` and `as_completed`; jobs of several clients may mix.

A job's own doors are in `_handle`. No thread and no polling: each unfinished job is left one notice, and an
abandoned wait takes its notices back.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from video_translation_client._async_handle import AsyncJob
from video_translation_client._errors import WaitTimeoutError
from video_translation_client._handle import Job
from video_translation_client._job_events import call_in
from video_translation_client._job_state import Notice
from video_translation_client._timeouts import bearable

FIRST_COMPLETED: Final = "FIRST_COMPLETED"
FIRST_EXCEPTION: Final = "FIRST_EXCEPTION"
ALL_COMPLETED: Final = "ALL_COMPLETED"
_WISHES: Final = (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED)

JobT = TypeVar("JobT", bound=Job | AsyncJob)


class DoneAndNotDone(NamedTuple, Generic[JobT]):
    """What `wait` returns: two sets of jobs."""

    done: set[JobT]
    not_done: set[JobT]


def wait(jobs: Iterable[JobT], timeout: float | None = None, return_when: str = ALL_COMPLETED) -> DoneAndNotDone[JobT]:
    """Wait for jobs; a job that is given twice counts once. Like `concurrent.futures.wait`, it raises no timeout.

    Args:
        jobs: of one client or of several.
        timeout: seconds; None waits as long as it takes.
        return_when: `ALL_COMPLETED`, `FIRST_COMPLETED`, or `FIRST_EXCEPTION`, which is the first failure or,
            without one, the end of all.

    Returns:
        The jobs that have ended, and those that have not.

    Raises:
        ValueError: `return_when` is none of the three.
    """
    bell = threading.Event()
    watch = _Watch(jobs, return_when, bell.set)
    try:
        bell.wait(bearable(timeout))
    finally:
        watch.leave()
    return watch.sorted()


async def wait_async(
    jobs: Iterable[JobT],
    timeout: float | None = None,  # noqa: ASYNC109 - the blocking twin's argument
    return_when: str = ALL_COMPLETED,
) -> DoneAndNotDone[JobT]:
    """Wait like `wait`, without blocking the event loop.

    Args:
        jobs: of one client or of several.
        timeout: seconds; None waits as long as it takes.
        return_when: as for `wait`.

    Raises:
        ValueError: `return_when` is none of the three.
    """
    loop, bell = asyncio.get_running_loop(), asyncio.Event()
    watch = _Watch(jobs, return_when, functools.partial(call_in, loop, bell.set))
    try:
        await asyncio.wait_for(bell.wait(), timeout)
    except TimeoutError:
        pass  # what has not ended is in the answer
    finally:
        watch.leave()
    return watch.sorted()


def as_completed(jobs: Iterable[JobT], timeout: float | None = None) -> Completions[JobT]:
    """Return the jobs as they end, for `for` or `async for`; a job that is given twice comes once.

    Args:
        jobs: of one client or of several.
        timeout: seconds for all of them together, from this call on; None waits as long as it takes.

    Raises:
        WaitTimeoutError: while iterating: the time ran out; `.snapshots` names every job that has not ended.
    """
    return Completions(jobs, timeout)


class Completions(Generic[JobT]):
    """Jobs in the order in which they end; made by `as_completed`."""

    def __init__(self, jobs: Iterable[JobT], timeout: float | None) -> None:
        self._jobs: tuple[JobT, ...] = tuple(dict.fromkeys(jobs))
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def __iter__(self) -> Iterator[JobT]:
        ended: queue.SimpleQueue[JobT] = queue.SimpleQueue()
        notices = _leave_notices(self._jobs, lambda job: functools.partial(ended.put, job))
        try:
            for _ in self._jobs:
                try:
                    yield ended.get(timeout=bearable(self._left()))
                except queue.Empty:
                    raise expired(self._jobs, self._timeout) from None
        finally:
            _take_back(notices)

    async def __aiter__(self) -> AsyncIterator[JobT]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Queue[JobT] = asyncio.Queue()

        def make(job: JobT) -> Notice:
            return functools.partial(call_in, loop, functools.partial(ended.put_nowait, job))

        notices = _leave_notices(self._jobs, make)
        try:
            for _ in self._jobs:
                try:
                    job = await asyncio.wait_for(ended.get(), self._left())
                except TimeoutError:
                    raise expired(self._jobs, self._timeout) from None
                yield job
        finally:
            _take_back(notices)

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())


def expired(jobs: Iterable[Job | AsyncJob], timeout: float | None) -> WaitTimeoutError:
    """Make the error of a wait for several jobs; it carries those that have not ended."""
    every = list(jobs)
    late = {job.id: job.snapshot for job in every if not job.done()}
    first = next(iter(late), every[0].id if every else "")
    named = ", ".join(list(late)[:3]) + (", ..." if len(late) > 3 else "")  # noqa: PLR2004 - a line's worth
    return WaitTimeoutError(
        f"{len(late)} of {len(every)} jobs have not ended after {timeout} s: {named}",
        job_id=first,
        snapshot=late.get(first),
        snapshots=late,
    )


class _Watch(Generic[JobT]):
    """Calls `ring()` once the wish is fulfilled."""

    def __init__(self, jobs: Iterable[JobT], wish: str, ring: Notice) -> None:
        if wish not in _WISHES:
            raise ValueError(f"return_when is one of {', '.join(_WISHES)}, not {wish!r}")
        self._jobs: tuple[JobT, ...] = tuple(dict.fromkeys(jobs))
        self._wish = wish
        self._ring = ring
        self._lock = threading.Lock()
        self._missing = len(self._jobs)
        if not self._jobs:
            ring()
        self._notices = _leave_notices(self._jobs, lambda job: functools.partial(self._ended, job))

    def leave(self) -> None:
        _take_back(self._notices)

    def sorted(self) -> DoneAndNotDone[JobT]:
        done = {job for job in self._jobs if job.done()}
        return DoneAndNotDone(done, set(self._jobs) - done)

    def _ended(self, job: JobT) -> None:
        with self._lock:
            self._missing -= 1
            over = self._missing == 0
        failed = self._wish == FIRST_EXCEPTION and core(job).exception() is not None
        if over or failed or self._wish == FIRST_COMPLETED:
            self._ring()


def core(job: Job | AsyncJob) -> Job:
    """Return the handle behind a view.

    Raises:
        TypeError: it is none.
    """
    handle = job._job if isinstance(job, AsyncJob) else job  # noqa: SLF001 - the two are one
    if not isinstance(handle, Job):
        raise TypeError(f"{job!r} is no job; a group is a list of jobs, and groups can be added: wait(group + other)")
    return handle


def _leave_notices(jobs: Iterable[JobT], make: Callable[[JobT], Notice]) -> list[tuple[Job, Notice]]:
    """Leave each job a notice; on one that has ended it is called at once."""
    left: list[tuple[Job, Notice]] = []
    for job in jobs:
        notice = make(job)
        if core(job)._notify(notice):  # noqa: SLF001 - waiting is the handle's inner door
            left.append((core(job), notice))
        else:
            notice()
    return left


def _take_back(notices: Iterable[tuple[Job, Notice]]) -> None:
    for job, notice in notices:
        if not job.done():
            job._forget(notice)  # noqa: SLF001 - as above
