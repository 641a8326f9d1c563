"""The jobs of one request, one per language, as a sequence that can be waited for as a whole.

Each job has its own handle; here is no state. Waiting for several jobs is in `_waiting`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Generic, Self, TypeVar, overload

from video_translation_client._async_handle import AsyncJob
from video_translation_client._errors import VideoTranslationError, WaitTimeoutError
from video_translation_client._handle import Job
from video_translation_client._models import JobSnapshot
from video_translation_client._waiting import (
    ALL_COMPLETED,
    FIRST_EXCEPTION,
    Completions,
    DoneAndNotDone,
    as_completed,
    core,
    expired,
    wait,
    wait_async,
)

JobT = TypeVar("JobT", bound=Job | AsyncJob)


class _Group(Sequence[JobT], Generic[JobT]):
    """What both kinds share."""

    __slots__ = ("_jobs",)

    def __init__(self, jobs: Iterable[JobT]) -> None:
        self._jobs: tuple[JobT, ...] = tuple(jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, index: int) -> JobT: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> JobT | Self:
        return type(self)(self._jobs[index]) if isinstance(index, slice) else self._jobs[index]

    def __add__(self, other: Iterable[JobT]) -> Self:
        """Return a group of these jobs and the others."""
        return type(self)((*self._jobs, *other))

    def __repr__(self) -> str:
        statuses = Counter(job.snapshot.status if job.snapshot else "unknown" for job in self._jobs)
        counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
        return f"<{type(self).__name__} of {len(self)}{': ' + counts if counts else ''}>"

    @property
    def by_language(self) -> dict[str, JobT]:
        """The jobs by output language; those whose language is not known yet are left out."""
        named = ((job.snapshot.output_language, job) for job in self._jobs if job.snapshot)
        return {language: job for language, job in named if language}

    def done(self) -> bool:
        """Whether every job has ended, as far as is known; never asks the service."""
        return all(job.done() for job in self._jobs)

    def as_completed(self, timeout: float | None = None) -> Completions[JobT]:
        """Return the jobs as they end, for `for` or `async for`; `timeout`: seconds for all together.

        Raises:
            WaitTimeoutError: while iterating: the time ran out.
        """
        return as_completed(self._jobs, timeout)

    def _results(self, state: DoneAndNotDone[JobT], timeout: float | None) -> list[JobSnapshot]:
        for job in self._jobs:
            if job.done():
                core(job).result()
        if state.not_done:
            raise self._timed_out(timeout)
        return [core(job).result() for job in self._jobs]

    def _exceptions(self, state: DoneAndNotDone[JobT], timeout: float | None) -> list[BaseException | None]:
        if state.not_done:
            raise self._timed_out(timeout)
        return [core(job).exception() for job in self._jobs]

    def _timed_out(self, timeout: float | None) -> WaitTimeoutError:
        return expired(self._jobs, timeout)


class JobGroup(_Group[Job]):
    """The jobs of one `client.translate()`, in the order of the languages. A sequence: index it, iterate over it."""

    __slots__ = ()

    def result(self, timeout: float | None = None) -> list[JobSnapshot]:
        """Wait for every job and return the final states in order; raise as soon as one job fails.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            JobFailedError: a job failed; the others go on.
            WaitTimeoutError: the time ran out; `.snapshots` has each job that has not ended.
            ClientClosedError: the client was closed meanwhile.
        """
        return self._results(self.wait(timeout, FIRST_EXCEPTION), timeout)

    def exceptions(self, timeout: float | None = None) -> list[BaseException | None]:
        """Wait for every job and return in order what its `result()` would raise, or None.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            WaitTimeoutError: the time ran out.
        """
        return self._exceptions(self.wait(timeout), timeout)

    def wait(self, timeout: float | None = None, return_when: str = ALL_COMPLETED) -> DoneAndNotDone[Job]:
        """Wait like the function `wait`; return the jobs that have ended, and those that have not."""
        return wait(self._jobs, timeout, return_when)

    def cancel(self) -> list[bool]:
        """Have the service cancel every job; return in order whether each is cancelled now.

        Raises:
            APIError: the service refused, or cannot cancel; raised once all the others were tried.
            ServerUnreachableError: it gave no answer; as above.
        """
        return _outcomes([_cancel(job) for job in self._jobs])

    def __await__(self) -> Generator[Any, None, list[JobSnapshot]]:
        """Wait like `result()`, without blocking the event loop."""
        return self._join().__await__()

    async def _join(self) -> list[JobSnapshot]:
        return self._results(await wait_async(self._jobs, None, FIRST_EXCEPTION), None)


class AsyncJobGroup(_Group[AsyncJob]):
    """The async twin of `JobGroup`: what waits is awaited."""

    __slots__ = ()

    async def result(self, timeout: float | None = None) -> list[JobSnapshot]:  # noqa: ASYNC109 - as the twin
        """Wait for every job and return the final states in order; raise as soon as one job fails.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            JobFailedError: a job failed; the others go on.
            WaitTimeoutError: the time ran out; `.snapshots` has each job that has not ended.
            ClientClosedError: the client was closed meanwhile.
        """
        return self._results(await self.wait(timeout, FIRST_EXCEPTION), timeout)

    async def exceptions(self, timeout: float | None = None) -> list[BaseException | None]:  # noqa: ASYNC109 - as above
        """Wait for every job and return in order what its `result()` would raise, or None.

        Args:
            timeout: seconds for all of them together; None waits as long as it takes.

        Raises:
            WaitTimeoutError: the time ran out.
        """
        return self._exceptions(await self.wait(timeout), timeout)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        return_when: str = ALL_COMPLETED,
    ) -> DoneAndNotDone[AsyncJob]:
        """Wait like the function `wait_async`; return the jobs that have ended, and those that have not."""
        return await wait_async(self._jobs, timeout, return_when)

    async def cancel(self) -> list[bool]:
        """Have the service cancel every job; return in order whether each is cancelled now.

        Raises:
            APIError: the service refused, or cannot cancel; raised once all the others were tried.
            ServerUnreachableError: it gave no answer; as above.
        """
        return _outcomes(await asyncio.gather(*(job.cancel() for job in self._jobs), return_exceptions=True))

    def __await__(self) -> Generator[Any, None, list[JobSnapshot]]:
        """Wait like `result()`."""
        return self.result().__await__()


def _cancel(job: Job) -> bool | BaseException:
    try:
        return job.cancel()
    except VideoTranslationError as error:
        return error


def _outcomes(outcomes: Sequence[bool | BaseException]) -> list[bool]:
    cancelled = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        cancelled.append(outcome)
    return cancelled
