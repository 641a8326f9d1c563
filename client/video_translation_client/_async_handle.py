"""The async view of a job's handle: what waits is awaited.

The handle behind it is the one that the engine resolves; here is no state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from video_translation_client._handle import Job
from video_translation_client._models import JobSnapshot


class AsyncJob:
    """A translation job in one language. Made by `await client.translate()` and `client.job()`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __repr__(self) -> str:
        return f"<Async{repr(self._job)[1:]}"

    @property
    def id(self) -> str:
        """The job's id: keep it to come back with `client.job(id)`."""
        return self._job.id

    @property
    def snapshot(self) -> JobSnapshot | None:
        """The newest state known, without asking; None when nothing is known yet."""
        return self._job.snapshot

    def done(self) -> bool:
        """Whether the job has ended, as far as is known; never asks the service."""
        return self._job.done()

    async def refresh(self) -> JobSnapshot:
        """Ask the service now, and return the job's state.

        Raises:
            APIError: the service refused the question.
            ServerUnreachableError: it gave no answer.
        """
        return await asyncio.to_thread(self._job.refresh)

    def __await__(self) -> Generator[Any, None, JobSnapshot]:
        """Wait for the job's end, and return its final state or raise its failure."""
        return self._job.__await__()
