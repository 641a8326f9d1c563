"""Verbs of the store: jobs, the batches they were asked for in, and the line they stand in.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from collections.abc import Sequence
from typing import Protocol

from video_translation_server.model import Batch, Change, Job, JobStatus, Place, Workers
from video_translation_server.store.base.filters import EVERY_JOB, JobFilter
from video_translation_server.store.base.keeping import Keep

UNLIMITED = Workers()
"""Every job runs as soon as it may."""


class JobVerbs(Protocol):
    """Jobs, the batches they were asked for in, and the line they stand in."""

    async def record(
        self,
        changes: Sequence[Change],
        *,
        batch: Batch | None = None,
        at_most: int | None = None,
        keep: Keep[list[bool]] | None = None,
    ) -> list[bool]:
        """Commit job moves, their events and one delivery per matching endpoint, together.

        1. A change of version 1 creates its job; a later one applies only while the stored job has the version
           before it. For a lost race the answer is False and nothing of that change is kept.
        2. `batch` is kept before the jobs that name it.
        3. When the last job of a batch ends, `batch.finished` is appended behind its event; once in a batch's life.
        4. With `at_most`, no workspace that the changes are about has more jobs than that which have not ended.

        Raises:
            BusyError: One would have; nothing of the call is kept.
            ConflictError: A job id to be created exists, or an event id, or the batch's; nothing of the call is kept.
        """
        ...

    async def batch(
        self, workspace_id: str, batch_id: str, *, limit: int, token: int | None = None
    ) -> tuple[Batch, list[Job], int | None]:
        """A batch, a page of its jobs in their order, deleted ones too, and the next page's token (None: the last).

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def jobs_of_batches(self, workspace_id: str, batch_ids: Sequence[str]) -> dict[str, list[Job]]:
        """All jobs of these batches, each batch's in their order; batches that the workspace has not are left out."""
        ...

    async def job(self, workspace_id: str | None, job_id: str) -> Job:
        """One job; without a workspace, of whichever.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def jobs_of(self, workspace_id: str, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids, by id, as they are at one instant; those that the workspace has not are left out."""
        ...

    async def newest_job(self, workspace_id: str) -> Job | None:
        """The job that was created last, if any."""
        ...

    async def jobs(
        self, workspace_id: str | None, *, limit: int, token: int | None = None, wanted: JobFilter = EVERY_JOB
    ) -> tuple[list[Job], int | None]:
        """A page of jobs, newest first, and the token of the next page (None: the last).

        `workspace_id` None: of whichever workspace.
        """
        ...

    async def count_jobs(self, workspace_id: str | None) -> dict[JobStatus, int]:
        """How many jobs are in each status (0 where none is), deleted ones left out; None: of all workspaces."""
        ...

    async def retitle_job(self, workspace_id: str, job_id: str, title: str, *, now: float) -> Job:
        """Give a job another title: its version grows, its sequence does not, and no event tells of it.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def delete_job(self, workspace_id: str, job_id: str, *, now: float) -> None:
        """Show a job that has ended no more; its events, and what is on its way of them, stay.

        Raises:
            NotFoundError: There is none of that id in the workspace.
            ConflictError: It has not ended.
        """
        ...

    async def due_jobs(self, now: float, limit: int, *, workers: Workers = UNLIMITED) -> list[Job]:
        """Jobs whose next move is due, the longest due first; then those in line for whom a worker is free.

        1. Of a lane, as many are given as its workers have free; those who run count, however they came to.
        2. The lowest rank is next; of equals, the job that was created first.
        """
        ...

    async def place(self, job: Job) -> Place | None:
        """Where a job stands in line, exactly for the first thousand; None where it does not stand in line."""
        ...

    async def jobs_in_preflight(self, limit: int) -> list[Job]:
        """At most `limit` jobs of all workspaces whose video has not been looked at, the oldest first."""
        ...

    async def next_job_due(self) -> float | None:
        """When the next planned move is due, or None."""
        ...
