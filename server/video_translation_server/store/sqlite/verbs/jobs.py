"""Jobs, the batches they were asked for in, and the line they stand in: all but recording. In SQLite.

What each verb promises is in `store.base.jobs`, what it does in SQL in the noun modules.
"""

from collections.abc import Sequence

import apsw

from video_translation_server.model import Batch, Job, JobStatus, Place, Workers
from video_translation_server.store.base import EVERY_JOB, UNLIMITED, JobFilter
from video_translation_server.store.sqlite import jobs, line
from video_translation_server.store.sqlite.engine import Engine


class JobVerbs(Engine):
    """Jobs, the batches they were asked for in, and the line they stand in."""

    async def batch(
        self, workspace_id: str, batch_id: str, *, limit: int, token: int | None = None
    ) -> tuple[Batch, list[Job], int | None]:
        """A batch and a page of its jobs."""

        def query(connection: apsw.Connection) -> tuple[Batch, list[Job], int | None]:
            with connection:  # one snapshot for both
                found = jobs.batch(connection, workspace_id, batch_id, limit, token)
            return found  # noqa: RET504  (apsw's type says that its `with` may swallow an error)

        return await self._read(query)

    async def jobs_of_batches(self, workspace_id: str, batch_ids: Sequence[str]) -> dict[str, list[Job]]:
        """All jobs of these batches."""
        return await self._read(lambda connection: jobs.of_batches(connection, workspace_id, batch_ids))

    async def job(self, workspace_id: str | None, job_id: str) -> Job:
        """One job."""
        return await self._read(lambda connection: jobs.get(connection, workspace_id, job_id))

    async def jobs_of(self, workspace_id: str, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids."""
        return await self._read(lambda connection: jobs.get_many(connection, workspace_id, job_ids))

    async def newest_job(self, workspace_id: str) -> Job | None:
        """The job that was created last."""
        page, _ = await self.jobs(workspace_id, limit=1)
        return page[0] if page else None

    async def jobs(
        self, workspace_id: str | None, *, limit: int, token: int | None = None, wanted: JobFilter = EVERY_JOB
    ) -> tuple[list[Job], int | None]:
        """A page of jobs, newest first."""
        return await self._read(lambda connection: jobs.page(connection, workspace_id, limit, token, wanted))

    async def count_jobs(self, workspace_id: str | None) -> dict[JobStatus, int]:
        """How many jobs are in each status."""
        return await self._read(lambda connection: jobs.count(connection, workspace_id))

    async def retitle_job(self, workspace_id: str, job_id: str, title: str, *, now: float) -> Job:
        """Give a job another title."""
        return await self._writer.run(lambda connection: jobs.retitle(connection, workspace_id, job_id, title, now))

    async def delete_job(self, workspace_id: str, job_id: str, *, now: float) -> None:
        """Show a job that has ended no more."""
        await self._writer.run(lambda connection: jobs.delete(connection, workspace_id, job_id, now))

    async def due_jobs(self, now: float, limit: int, *, workers: Workers = UNLIMITED) -> list[Job]:
        """Jobs whose next move is due, and those in line for whom a worker is free."""
        return await self._glance(lambda connection: line.due(connection, now, limit, workers))

    async def place(self, job: Job) -> Place | None:
        """Where a job stands in line."""
        return await self._read(lambda connection: line.place(connection, job))

    async def jobs_in_preflight(self, limit: int) -> list[Job]:
        """Jobs whose video has not been looked at."""
        return await self._glance(lambda connection: jobs.in_preflight(connection, limit))

    async def next_job_due(self) -> float | None:
        """When the next planned move is due."""
        return await self._glance(jobs.next_due)
