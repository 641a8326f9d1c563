"""When a job that stands in line will run and end, from the plans of those before it; pure.

Where it stands is the store's to tell. Who comes later with a higher priority, and who fails and comes back, are not
foreseen.
"""

import heapq

import msgspec

from video_translation_server.model import Job, Place


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a job in line may expect.

    Attributes:
        position: 1 for the job that runs next.
        starts_at: When it will run, Unix seconds.
        ends_at: When it will have ended, Unix seconds.
    """

    position: int
    starts_at: float
    ends_at: float


def forecast(job: Job, place: Place, *, workers: int | None, now: float) -> Forecast:
    """What a job in line may expect, where `workers` jobs of its lane run at once (None: any number)."""
    position = len(place.ahead) + place.beyond + 1
    starts_at = now if workers is None else _start(place, workers, now)
    plan, run = job.plan, job.runs + 1
    came_at = plan.head_start + (now if job.rank is None else job.rank)
    # A run that fails goes to the back of a line that will then be about as long as it was.
    again = sum(plan.run_seconds(one) + starts_at - came_at for one in range(run + 1, plan.retries + 2))
    return Forecast(position=position, starts_at=starts_at, ends_at=starts_at + plan.run_seconds(run) + again)


def _start(place: Place, workers: int, now: float) -> float:
    """When a worker is free for whoever comes behind all of `ahead`."""
    ends = sorted(max(now, job.run_ends_at or now) for job in place.busy)
    idle = min(max(workers - len(ends), 0), len(place.ahead) + 1)
    free = ends[max(len(ends) - workers, 0) :] + [now] * idle
    heapq.heapify(free)
    for seconds in place.ahead:
        heapq.heapreplace(free, free[0] + seconds)
    mean = sum(place.ahead) / len(place.ahead) if place.ahead else 0.0
    return free[0] + place.beyond * mean / workers
