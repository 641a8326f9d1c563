"""The nouns of the server as frozen values: job, event, endpoint, delivery, attempt, claim, outcome, verdict.

Behaviour lives elsewhere: `lifecycle` moves jobs, `retry` judges outcomes, `store` keeps everything.
All times are Unix seconds (float) unless a name says otherwise.
"""

from enum import StrEnum
from typing import Any

import msgspec

DEFAULT_WORKSPACE = "ws_default"
DEFAULT_PRIORITY = 5

MAIN, FAST = 0, 1
"""The lanes of the queue."""


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A room of its own: nothing in one is seen from another."""

    id: str
    name: str
    created_at: float


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key: everything but the key.

    Attributes:
        label: What its owner calls it.
        revoked_at: When it stopped to open its workspace; None while it does.
    """

    id: str
    workspace_id: str
    label: str | None
    created_at: float
    revoked_at: float | None = None


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
    video_url: str | None = None
    failure_message: str | None = None
    cancelled_at: float | None = None
    runs: int = 0
    batch_id: str | None = None
    item_index: int | None = None
    rank: float | None = None

    @property
    def step(self) -> int:
        """How many steps of its progress the present run has made."""
        return round(self.progress * self.plan.steps / 100)

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


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were asked for together.

    Attributes:
        counts: How many of its jobs are in each status; those in none are left out.
        callback: The one-off endpoint of its `callback_url`, which a new batch may bring.
    """

    id: str
    workspace_id: str
    title: str | None
    created_at: float
    counts: dict[JobStatus, int]
    callback: "Endpoint | None" = None


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an uploaded file.

    Attributes:
        media_type: What its first bytes say that it is.
        size: Bytes.
    """

    id: str
    workspace_id: str
    media_type: str
    size: int
    created_at: float


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


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the event log; `body` is the exact text that every attempt sends.

    Attributes:
        position: Place in the log, in commit order (decision 0008); 0 until the store has recorded it.
        job_id: The job that the event is about; None for a notice about an endpoint or a delivery.
        batch_id: The batch that it is about instead, where it is about one.
        sequence: The job's sequence at this event, 0 for a notice.
    """

    id: str
    workspace_id: str
    type: str
    created_at: float
    body: bytes
    job_id: str | None = None
    sequence: int = 0
    position: int = 0
    batch_id: str | None = None

    @property
    def entity_id(self) -> str | None:
        """What it is about: a job or a batch."""
        return self.job_id or self.batch_id


class EndpointStatus(StrEnum):
    """Whether deliveries to an endpoint are sent or held."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Ordering(StrEnum):
    """Whether an endpoint gets the events of one job in sequence (the default) or as they come."""

    JOB = "job"
    NONE = "none"


class RetiredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that was rotated away and still signs beside the new one until `until`."""

    secret: str
    until: float


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook URL: registered, or the `callback_url` of one job or batch.

    Attributes:
        secret: Signs every delivery.
        retired: Older secrets in their overlap.
        private_key: An ed25519 key (`whsk_...`) that signs too, where the endpoint asked for one.
        events: The event types it wants; None means all but those that must be asked for by name.
        entity_id: Narrows it to the events of one job, or of one batch.
        headers: The user's own headers, sent with every delivery.
        max_in_flight: Attempts under way at once; None is the server's setting.
        rate_limit: Attempts per second; None is unlimited.
        is_callback: It belongs to one job or batch and is not listed.
        ttl_seconds: Its life without renewal; None lives until it is deleted.
        expires_at: When it is deleted unless renewed.
        disabled_reason: Why it is disabled, where it is.
        failing_since: When the first attempt after the last success failed; None while it answers.
    """

    id: str
    workspace_id: str
    url: str
    created_at: float
    secret: str
    retired: tuple[RetiredSecret, ...] = ()
    private_key: str | None = None
    events: tuple[str, ...] | None = None
    entity_id: str | None = None
    description: str | None = None
    headers: dict[str, str] = {}
    ordering: Ordering = Ordering.JOB
    max_in_flight: int | None = None
    rate_limit: float | None = None
    is_callback: bool = False
    ttl_seconds: float | None = None
    expires_at: float | None = None
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: str | None = None
    failing_since: float | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A job's move and its event; recorded together or not at all.

    `job.version` is the version after the move: 1 creates the job, n replaces version n - 1. A new job may bring
    the one-off endpoint of its `callback_url`.
    """

    job: Job
    event: Event
    callback: Endpoint | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The right to carry out the request that a caller's key names.

    Attributes:
        scope: Method and path: a key means something within one workspace and scope.
        number: The fence: an answer under a mark that is no longer the key's is not kept.
    """

    workspace_id: str
    scope: str
    key: str
    number: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, kept so that a repetition gets it too."""

    status: int
    body: bytes


class DeliveryState(StrEnum):
    """Where one event stands on its way to one endpoint (docs/state_machines.md).

    WAITING means that an earlier event of the same job is not settled yet at this endpoint; SUPERSEDED that this
    one failed until a later snapshot of the job took its place.
    """

    WAITING = "waiting"
    DUE = "due"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    DEAD = "dead"

    @property
    def is_open(self) -> bool:
        """True while attempts are still to come."""
        return self in (DeliveryState.WAITING, DeliveryState.DUE)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: int
    event_id: str
    event_type: str
    endpoint_id: str
    job_id: str | None
    sequence: int
    state: DeliveryState
    attempts: int
    due_at: float | None
    first_attempt_at: float | None
    settled_at: float | None


class SweepKind(StrEnum):
    """Which of an endpoint's events a sweep takes up again.

    RECOVER: what failed for good or was never sent. REPLAY: only what was never sent.
    """

    RECOVER = "recover"
    REPLAY = "replay"


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A walk through the log that makes missed events due again; durable, so that a crash only pauses it.

    Attributes:
        since: Events before this time are passed over.
        position: The log position up to which it has come.
        until: The log position at which it ends: the log's end when it was asked for.
        found: How many deliveries it has made due.
        finished_at: When it was done; None while it runs.
    """

    id: str
    workspace_id: str
    endpoint_id: str
    kind: SweepKind
    since: float
    created_at: float
    position: int = 0
    until: int = 0
    found: int = 0
    finished_at: float | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery leased to one worker, with all that an attempt needs.

    Attributes:
        claim_id: The fence: settling with a claim that is no longer the delivery's changes nothing.
        attempt: The number of the attempt that this claim is for, from 1, over the delivery's whole life.
        tries: Its number in the present run of the retry schedule, from 1; a resend starts a new run.
        first_attempt_at: When attempt 1 started, or None when this is it.
        secrets: Every valid signing secret, the newest first.
        headers: The endpoint's own headers.
    """

    delivery_id: int
    claim_id: int
    attempt: int
    tries: int
    first_attempt_at: float | None
    event_id: str
    event_type: str
    job_id: str | None
    sequence: int
    body: bytes
    endpoint_id: str
    url: str
    secrets: tuple[str, ...]
    private_key: str | None
    headers: dict[str, str]


class OutcomeKind(StrEnum):
    """What became of one POST, by the phase in which it ended."""

    STATUS = "status"
    BLOCKED = "blocked"
    DNS = "dns"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_FAILED = "connect_failed"
    TLS = "tls"
    RESET = "reset"
    READ_TIMEOUT = "read_timeout"
    SLOW_BODY = "slow_body"
    PROTOCOL = "protocol"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one POST came to: a value, not an exception (decision 0010).

    Attributes:
        kind: `status` when an answer arrived; otherwise the phase that ended the attempt.
        status: The HTTP status code, for kind `status`; also where the headers came and the body broke.
        detail: A sentence for the attempt log, "" where the status says it all.
        retry_after: The receiver's `Retry-After` header as it came, or None.
        body: The first bytes of the answer (at most 2 KiB), for the attempt log.
        address: The IP address that was connected to, where one was.
    """

    kind: OutcomeKind
    status: int | None = None
    detail: str = ""
    retry_after: str | None = None
    body: bytes = b""
    address: str | None = None


class Delivered(msgspec.Struct, frozen=True):
    """Verdict: the receiver has it."""


class RetryAt(msgspec.Struct, frozen=True):
    """Verdict: try again at `due_at`."""

    due_at: float


class Dead(msgspec.Struct, frozen=True):
    """Verdict: the retry window has ended; the delivery is kept and can be replayed."""


class Gone(msgspec.Struct, frozen=True):
    """Verdict: the receiver wants no more (410); the endpoint is disabled, its deliveries are kept."""


Verdict = Delivered | RetryAt | Dead | Gone


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the attempt log.

    Attributes:
        started_at: Unix seconds.
        duration: Seconds.
    """

    number: int
    started_at: float
    duration: float
    outcome: Outcome


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker hands back for a claim: the attempt it made and the verdict on it.

    `strained` tells that the receiver is overloaded (429, 502, 503, 504, a time-out): it is to be slowed down.
    """

    claim: Claim
    attempt: Attempt
    verdict: Verdict
    strained: bool = False
