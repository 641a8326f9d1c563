"""Long polls: an answer about a job that waits until the job has moved on (`?wait=`, or `Prefer: wait=`, RFC 7240).

The log is read once for all who wait (`tail`), and a job is read again only when its own line was in it. The waiting
is in real time, whatever the server's clock says.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.model import Job

LONGEST = 60
"""Seconds."""

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,20})"?', re.IGNORECASE)


class Patience:
    """How long one request may wait, and for what.

    Attributes:
        headers: What the answer says of it.
    """

    def __init__(self, request: Request, context: Context, workspace: str) -> None:
        """Waits for nothing until `wait_for` says so."""
        self.headers: dict[str, str] = {}
        self._request = request
        self._context = context
        self._workspace = workspace
        self._seconds = 0.0
        self._after: int | None = None

    def wait_for(self, seconds: float, after: int | None) -> None:
        """Wait so long for a sequence beyond `after`; None: beyond the one that the job has now."""
        self._seconds = seconds
        self._after = after

    async def job(self, job_id: str) -> Job:
        """The job, at once where it has moved on or has ended; else at its next move or when the time is over.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        store = self._context.store
        found = await store.job(self._workspace, job_id)
        job = await self._context.polls.seen(found)
        after = found.sequence if self._after is None else self._after
        if not self._seconds or _has_news(job, after):
            return job
        time = asyncio.get_running_loop().time
        end = time() + self._seconds
        with self._context.waiters.waiter(job_id) as woken:
            async with self._ending(woken) as ending:
                while True:
                    # In this order: what happens while the job is read wakes us again.
                    woken.clear()
                    is_over = time() >= end or any(task.done() for task in ending)
                    job = await store.job(self._workspace, job_id)
                    if is_over or _has_news(job, after):
                        return job
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(end):
                            await woken.wait()

    @asynccontextmanager
    async def _ending(self, woken: asyncio.Event) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
        """Tasks of which one is done, and `woken` is set, when the caller leaves or the server stops."""
        tasks = [asyncio.create_task(self._left()), asyncio.create_task(self._stopping())]
        for task in tasks:
            task.add_done_callback(lambda _: woken.set())
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _left(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def _stopping(self) -> None:
        await self._context.stopping.wait()


def _has_news(job: Job, after: int) -> bool:
    return job.sequence > after or job.status.is_terminal


def _patience(
    *,
    request: Request,
    workspace: Workspace,
    context: Surroundings,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST, allow_inf_nan=False, description="Seconds to wait for the job's next move"),
    ] = None,
    after_sequence: Annotated[
        int | None, Query(ge=0, lt=2**63, description="Wait until the job is beyond this one; else: beyond the present")
    ] = None,
    prefer: Annotated[list[str] | None, Header(description="`wait=N`, as the parameter and weaker (RFC 7240)")] = None,
) -> Patience:
    patience = Patience(request, context, workspace)
    preferred = preferred_wait(prefer or ())
    if wait is None and preferred is not None:
        wait = preferred
        patience.headers = {"Preference-Applied": f"wait={preferred}"}
    patience.wait_for(wait or 0, after_sequence)
    return patience


def preferred_wait(lines: Sequence[str]) -> int | None:
    """The seconds that `Prefer` headers ask for, at most LONGEST; what is no wait counts as not said (RFC 7240)."""
    for preference in ",".join(lines).split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found:
            return min(int(found[1]), LONGEST)
    return None


Patient = Annotated[Patience, Depends(_patience)]
"""Parameter type of a route whose answer about a job may wait."""
