"""Follow jobs to their end and hand out each change, whichever way the client learns of it.

How changes are shown is the business of `display`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from video_translation_client import Event, Job, JobSnapshot, VideoTranslationClient

_TICK: Final = 0.2


class Follower:
    """Hears of every change of a client's jobs; made before the jobs, so that it misses none.

    Args:
        client: the client that follows them.
    """

    def __init__(self, client: VideoTranslationClient) -> None:
        self._heard: queue.SimpleQueue[JobSnapshot] = queue.SimpleQueue()
        client.on_event(self._take)

    def changes(self, jobs: Sequence[Job], timeout: float | None) -> Iterator[JobSnapshot | None]:
        """Yield each job's changes until all have ended, and None now and then so that a display can move.

        Raises:
            WaitTimeoutError: the time ran out first.
            VideoTranslationError: a job cannot be followed, for example because there is none of that id.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        shown: dict[str, JobSnapshot] = {}
        while True:
            ended = all(job.done() for job in jobs)
            yield from self._news(jobs, shown)
            if ended:
                return
            if deadline is not None and time.monotonic() >= deadline:
                self._give_up(jobs, timeout)
            yield None

    def _news(self, jobs: Sequence[Job], shown: dict[str, JobSnapshot]) -> Iterator[JobSnapshot]:
        # Events first, because they tell every step; then what was only asked for.
        heard = [*self._drain(), *(_state(job) for job in jobs)]
        followed = {job.id for job in jobs}
        for snapshot in heard:
            if snapshot is None or snapshot.id not in followed:
                continue
            last = shown.get(snapshot.id)
            if last is None or (snapshot.supersedes(last) and _differs(snapshot, last)):
                shown[snapshot.id] = snapshot
                yield snapshot

    def _drain(self) -> Iterator[JobSnapshot]:
        try:
            yield self._heard.get(timeout=_TICK)
            while True:
                yield self._heard.get_nowait()
        except queue.Empty:
            return

    def _take(self, event: Event) -> None:
        self._heard.put(event.job)

    @staticmethod
    def _give_up(jobs: Sequence[Job], timeout: float | None) -> None:
        from video_translation_client._errors import WaitTimeoutError  # noqa: PLC0415 - see the package

        open_jobs = [job for job in jobs if not job.done()]
        names = ", ".join(job.id for job in open_jobs)
        raise WaitTimeoutError(
            f"after {timeout:g} s not ended: {names}; the work goes on, come back with: "
            f"video-translation watch {' '.join(job.id for job in open_jobs)}",
            job_id=open_jobs[0].id,
            snapshot=open_jobs[0].snapshot,
        )


def _state(job: Job) -> JobSnapshot | None:
    """Return what is known of a job; raise why nothing can be."""
    from video_translation_client._errors import JobFailedError  # noqa: PLC0415 - see the package

    error = job.exception(0) if job.done() else None
    if error is not None and not isinstance(error, JobFailedError):
        raise error
    return job.snapshot


def _differs(new: JobSnapshot, old: JobSnapshot) -> bool:
    return (new.status, new.sequence, new.progress) != (old.status, old.sequence, old.progress)
