"""Jobs, the batches they were asked for in, and the line they stand in. In PostgreSQL.

What each verb promises is in `store.base.jobs`, what it does in SQL in the noun modules.
"""

from collections.abc import Sequence

from video_translation_server.model import Batch, Change, Job, JobStatus, Place, Workers
from video_translation_server.store.base import EVERY_JOB, UNLIMITED, JobFilter, Keep
from video_translation_server.store.postgres import line, reading
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.engine import Engine
from video_translation_server.store.postgres.jobs import Recording


class JobVerbs(Engine):
    """Jobs, the batches they were asked for in, and the line they stand in."""

    async def record(
        self,
        changes: Sequence[Change],
        *,
        batch: Batch | None = None,
        at_most: int | None = None,
        keep: Keep[list[bool]] | None = None,
    ) -> list[bool]:
        """Commit job moves with their events and deliveries."""
        movers = [self._mover_of(change) for change in changes]
        recording = Recording(changes, movers, batch, at_most, keep)
        # What gives way to an event is settled when that one happens.
        times = (change.event.created_at for change in changes)
        recorded = await self._log.run(self._recording, recording, *(bells := self._record_bells), settling_at=times)
        self._doorbell.ring(bells)
        return recorded

    def _mover_of(self, change: Change) -> int | None:
        """This server's number, where the change is the move that it was given the job for."""
        given = self._given.pop(change.job.id, None)
        return self._server.number if given == change.job.version - 1 else None

    async def batch(
        self, workspace_id: str, batch_id: str, *, limit: int, token: int | None = None
    ) -> tuple[Batch, list[Job], int | None]:
        """A batch and a page of its jobs."""

        async def query(connection: Connection) -> tuple[Batch, list[Job], int | None]:
            async with connection.transaction(isolation="repeatable_read", readonly=True):  # one snapshot for both
                return await reading.batch(connection, workspace_id, batch_id, limit, token)

        return await self._read(query)

    async def jobs_of_batches(self, workspace_id: str, batch_ids: Sequence[str]) -> dict[str, list[Job]]:
        """All jobs of these batches."""
        return await self._read(lambda connection: reading.of_batches(connection, workspace_id, batch_ids))

    async def job(self, workspace_id: str | None, job_id: str) -> Job:
        """One job."""
        return await self._read(lambda connection: reading.get(connection, workspace_id, job_id))

    async def jobs_of(self, workspace_id: str, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids."""
        return await self._read(lambda connection: reading.get_many(connection, workspace_id, job_ids))

    async def newest_job(self, workspace_id: str) -> Job | None:
        """The job that was created last."""
        page, _ = await self.jobs(workspace_id, limit=1)
        return page[0] if page else None

    async def jobs(
        self, workspace_id: str | None, *, limit: int, token: int | None = None, wanted: JobFilter = EVERY_JOB
    ) -> tuple[list[Job], int | None]:
        """A page of jobs, newest first."""
        return await self._read(lambda connection: reading.page(connection, workspace_id, limit, token, wanted))

    async def count_jobs(self, workspace_id: str | None) -> dict[JobStatus, int]:
        """How many jobs are in each status."""
        return await self._read(lambda connection: reading.count(connection, workspace_id))

    async def retitle_job(self, workspace_id: str, job_id: str, title: str, *, now: float) -> Job:
        """Give a job another title."""
        return await self._write(lambda connection: reading.retitle(connection, workspace_id, job_id, title, now))

    async def delete_job(self, workspace_id: str, job_id: str, *, now: float) -> None:
        """Show a job that has ended no more."""
        await self._write(lambda connection: reading.delete(connection, workspace_id, job_id, now))

    async def due_jobs(self, now: float, limit: int, *, workers: Workers = UNLIMITED) -> list[Job]:
        """Jobs whose next move is due, and those in line for whom a worker is free."""
        wish = line.Wish(self._server, now, limit, workers)
        found = await self._lease(lambda connection: line.due(connection, wish))
        self._given = {job.id: job.version for job in found}
        return found

    async def place(self, job: Job) -> Place | None:
        """Where a job stands in line."""
        return await self._read(lambda connection: line.place(connection, job))

    async def jobs_in_preflight(self, limit: int) -> list[Job]:
        """Jobs whose video has not been looked at."""
        return await self._lease(lambda connection: line.in_preflight(connection, self._server, limit))

    async def next_job_due(self) -> float | None:
        """When the next planned move is due."""
        return await self._read(reading.next_due)
