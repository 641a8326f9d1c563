"""A job, what the simulation knows of it and has decided for it, and its place in line.

How a job moves is `lifecycle`'s business, when it does `simulation`'s.
"""

from enum import StrEnum
from typing import Any

import msgspec

DEFAULT_PRIORITY = 5


MAIN, FAST = 0, 1
"""The lanes of the queue."""


class JobStatus(StrEnum):
    """The closed set of a translation's states (contract/README.md)."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """True for `completed` and `failed`: no further transition happens by itself."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED)

    @property
    def result(self) -> str:
        """The mission's word for the status: `pending`, `completed` or `error`."""
        return {JobStatus.COMPLETED: "completed", JobStatus.FAILED: "error"}.get(self, "pending")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulation knows of a job before it plans it."""

    title: str | None = None
    language: str | None = None
    url: str | None = None
    video_seconds: float | None = None
    is_precise: bool = False
    languages: int = 1
    priority: int = DEFAULT_PRIORITY


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs may run at once, per lane of the queue; None is without limit.

    Attributes:
        main: In the lane of everybody.
        fast: In the lane of short jobs; 0: there is none, and whoever still stands in it counts as the others do.
    """

    main: int | None = None
    fast: int = 0

    def of(self, lane: int) -> int | None:
        """How many jobs of a lane may run at once."""
        return self.fast if lane == FAST and self.fast else self.main


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the simulation has decided for one job at its creation; the store keeps it with the job.

    Attributes:
        pending_seconds: How long the job waits before it runs.
        running_seconds: How long it then runs.
        failure_message: Why it fails, or None for a job that completes.
        is_manual: Time does not move it: it waits to be polled or told to.
        polls: Every so many polls it makes a move.
        url_delay: How long it is completed before it has a URL.
        steps: In how many equal parts a run is told of, as progress.
        retries: So many runs end badly and lead back to the queue before the one that decides.
        lane: Where it stands in line before each run; None: nobody stands before it.
        head_start: So many seconds it stands before those who came into line at the same time.
        stalled_runs: The runs (1, 2, ...) that stop half-way and are given up after `stall_timeout` seconds.
        video_seconds: How long the video is, or is taken to be.
        per_video_second: By how much the job takes longer for each second more.
    """

    pending_seconds: float
    running_seconds: float
    failure_message: str | None = None
    is_manual: bool = False
    polls: int | None = None
    url_delay: float = 0
    steps: int = 1
    lane: int | None = None
    head_start: float = 0
    retries: int = 0
    stalled_runs: tuple[int, ...] = ()
    stall_timeout: float = 0
    video_seconds: float | None = None
    per_video_second: float = 0

    def run_seconds(self, run: int, *, step: int = 0) -> float:
        """How long a run lasts, from the `step`-th step of its progress on."""
        part = self.running_seconds / self.steps
        if run in self.stalled_runs:
            return (self.steps // 2 - step) * part + self.stall_timeout
        return (self.steps - step) * part


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One translation of one video into one language.

    Attributes:
        sequence: 1, 2, 3, ... one per status transition, without gaps.
        version: Grows with every write; a writer that saw an older one loses (optimistic locking).
        request: The caller's other fields, as they were accepted.
        due_at: When the simulation moves the job next; None when nothing is planned.
        runs: How often it has begun to run; more than once where a run ended badly.
        batch_id: The batch that it was asked for in, where it was.
        item_index: Its place in the batch, from 0.
        rank: Its place in its lane: the lowest is next; None while it does not stand in line.
        files_at: Since when there are files to fetch; None as long as there are none.
        in_preflight: Its video is still to be fetched and looked at; until then nothing is planned for it.
    """

    id: str
    workspace_id: str
    status: JobStatus
    sequence: int
    version: int
    output_language: str
    request: dict[str, Any]
    plan: Plan
    created_at: float
    updated_at: float
    due_at: float | None
    progress: int = 0
    files_at: float | None = None
    failure_message: str | None = None
    cancelled_at: float | None = None
    runs: int = 0
    batch_id: str | None = None
    item_index: int | None = None
    rank: float | None = None
    in_preflight: bool = False

    @property
    def step(self) -> int:
        """How many steps of its progress the present run has made."""
        return round(self.progress * self.plan.steps / 100)

    @property
    def calls_back_before_its_end(self) -> bool:
        """True where the caller has said what the job's callback gets; otherwise it gets the end only."""
        return "callback_events" in self.request

    @property
    def is_stuck(self) -> bool:
        """True where the present run has come as far as it will, and is not over."""
        return self.runs in self.plan.stalled_runs and self.step >= self.plan.steps // 2

    @property
    def run_ends_at(self) -> float | None:
        """When the present run is over; None where it is not running, or nothing is planned."""
        if self.status is not JobStatus.RUNNING or self.due_at is None or self.is_stuck:
            return self.due_at if self.status is JobStatus.RUNNING else None
        return self.due_at + self.plan.run_seconds(self.runs, step=self.step + 1)

    @property
    def ends_at(self) -> float | None:
        """When its plan will have ended, as far as is known now; None when nothing is planned."""
        if self.due_at is None or self.status.is_terminal:
            return None
        plan, run = self.plan, self.runs
        if self.status is JobStatus.PENDING:
            run += 1
            ends_at = self.due_at + plan.run_seconds(run)
        else:
            ends_at = self.run_ends_at or self.due_at
        return ends_at + sum(plan.pending_seconds + plan.run_seconds(one) for one in range(run + 1, plan.retries + 2))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job stands in line.

    Attributes:
        ahead: How long each job before it will run, the next first; of at most the first thousand.
        beyond: About how many more stand between those and it.
        busy: The jobs of its lane that run.
    """

    ahead: list[float]
    beyond: int
    busy: list[Job]
