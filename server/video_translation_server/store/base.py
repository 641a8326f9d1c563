"""The Store protocol: the verbs, and the promises that every engine keeps.

tests/server/store is the conformance suite for them; a new promise goes into that suite first.

Promises for all verbs:
1. A verb that has returned is on disk; one that raises has changed nothing.
2. Verbs that take a batch treat each member by itself and answer for each; one transaction holds them all.
3. A verb with `keep` raises InProgressError and changes nothing where the mark is no longer the key's.
4. Log order is commit order: a reader of `events_after` never misses an event that commits late (decision 0008).
5. A bell rings after the commit. It is a hint: whoever waits must also look by itself from time to time.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from video_translation_server.clock import ClockState
from video_translation_server.model import (
    Asset,
    Attempt,
    Batch,
    Change,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Job,
    JobStatus,
    Kept,
    Key,
    Mark,
    Place,
    Settlement,
    Sweep,
    Workers,
    Workspace,
)

T = TypeVar("T")

UNLIMITED = Workers()
"""Every job runs as soon as it may."""

ANSWERS_KEPT = 86_400.0
"""Seconds for which the answer to a request with a key is kept."""


class Bell:
    """Wakes those who listen when something was committed; used from the event loop only."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Wake every listener."""
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listen(self, listener: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """An event (the given one, or a new one) that each ring sets, until the block ends; the listener clears it."""
        listener = listener or asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


@dataclass(frozen=True, slots=True)
class Bells:
    """One bell per kind of waiter.

    `jobs` for new due times, `deliveries` for new work, `events` for the log, `sweeps` for new sweeps.
    """

    jobs: Bell = field(default_factory=Bell)
    deliveries: Bell = field(default_factory=Bell)
    events: Bell = field(default_factory=Bell)
    sweeps: Bell = field(default_factory=Bell)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds.

    Attributes:
        delivered: Deliveries that arrived.
        dead: Deliveries that did not, also those still held for a disabled endpoint; and events.
        bodies: What receivers answered, in the attempt log.
        assets: Uploaded files.
    """

    delivered: float = 7 * 86400
    dead: float = 30 * 86400
    bodies: float = 7 * 86400
    assets: float = 30 * 86400


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a workspace a reader wants; None does not narrow.

    Attributes:
        created_after: Unix seconds.
    """

    status: JobStatus | None = None
    created_after: float | None = None


EVERY_JOB = JobFilter()


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries of a workspace a reader wants; None does not narrow."""

    event_id: str | None = None
    endpoint_id: str | None = None
    job_id: str | None = None
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of a workspace a reader wants; None does not narrow. `entity_id` is a job's or a batch's id."""

    type: str | None = None
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class Keep(Generic[T]):
    """What a verb commits besides what it does: the answer to the request that asked for it.

    Attributes:
        mark: What `start_request` gave to the request.
        answer: Makes the answer of what the verb returns; pure, and run inside the transaction. None keeps nothing,
            and the request goes on.
    """

    mark: Mark
    answer: Callable[[T], Kept | None]


class Store(Protocol):
    """What the rest of the server may ask of an engine. Times are Unix seconds of the server's clock."""

    @property
    def bells(self) -> Bells:
        """The bells that commits ring."""
        ...

    async def close(self) -> None:
        """Finish the verbs that were asked for, then let go of the database."""
        ...

    async def ping(self) -> None:
        """Return when the database can commit.

        Raises:
            StoreError: It cannot.
        """
        ...

    # Jobs and the log

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
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: JobFilter = EVERY_JOB
    ) -> tuple[list[Job], int | None]:
        """A page of jobs, newest first, and the token of the next page (None: the last)."""
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

    async def create_asset(self, asset: Asset, *, keep: Keep[None] | None = None) -> None:
        """Keep what is known of an uploaded file.

        Raises:
            ConflictError: One of that id exists.
        """
        ...

    async def asset(self, workspace_id: str, asset_id: str) -> Asset:
        """One asset.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def old_assets(self, before: float, *, limit: int) -> list[str]:
        """The ids of at most `limit` assets of all workspaces that were created before a time, the oldest first."""
        ...

    async def delete_assets(self, asset_ids: Sequence[str]) -> None:
        """Forget assets, of whichever workspace; what is unknown is passed over."""
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

    async def next_job_due(self) -> float | None:
        """When the next planned move is due, or None."""
        ...

    async def events_after(
        self, workspace_id: str | None, position: int, *, limit: int, wanted: EventFilter
    ) -> tuple[list[Event], int]:
        """Events behind a log position in log order, and the position up to which the log was read.

        Without a workspace, those of all of them.
        """
        ...

    async def events_before(
        self, workspace_id: str, position: int | None, *, limit: int, wanted: EventFilter
    ) -> list[Event]:
        """Events before a log position (None: the end), the newest first."""
        ...

    async def first_position(self) -> int:
        """The log position of the oldest event that is kept, of all workspaces; 0 for a log that begins there."""
        ...

    async def event_position(self, workspace_id: str, event_id: str) -> int:
        """Where an event stands in the log.

        Raises:
            NotFoundError: The workspace has no such event.
        """
        ...

    async def last_position(self) -> int:
        """The log position of the newest event of all workspaces, 0 for an empty log."""
        ...

    # Endpoints

    async def create_endpoint(self, endpoint: Endpoint, *, keep: Keep[int] | None = None) -> int:
        """Keep a new endpoint; the answer is the log position of its commit: it gets what is behind it.

        Raises:
            ConflictError: An endpoint of that id exists or has existed, in whatever workspace.
        """
        ...

    async def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """One endpoint.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def endpoints(
        self, workspace_id: str, *, limit: int, token: int | None = None
    ) -> tuple[list[Endpoint], int | None]:
        """A page of endpoints, newest first, and the token of the next page (None: the last)."""
        ...

    async def delete_endpoint(self, workspace_id: str, endpoint_id: str, *, now: float) -> None:
        """Forget an endpoint; what was on its way to it is dead, also an attempt in flight.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def change_endpoint(
        self,
        workspace_id: str,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        *,
        now: float,
        keep: Keep[Endpoint] | None = None,
    ) -> Endpoint:
        """Replace an endpoint by what `change` (pure) makes of it, as one step; what it raises changes nothing.

        What was held for a disabled endpoint is due once it is enabled again; so is what was paused.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def expire_endpoints(self, now: float) -> list[str]:
        """Delete the endpoints whose ttl has run out; the answer is their ids."""
        ...

    async def workspace_secret(self, workspace_id: str) -> str:
        """The secret that signs deliveries to the workspace's callback URLs; made at the first call."""
        ...

    # Workspaces and keys

    async def create_workspace(self, workspace: Workspace) -> None:
        """Keep a new workspace.

        Raises:
            ConflictError: One of that id exists.
        """
        ...

    async def workspaces(self, *, limit: int, token: int | None = None) -> tuple[list[Workspace], int | None]:
        """A page of workspaces, newest first, and the token of the next page (None: the last)."""
        ...

    async def create_key(self, key: Key, digest: bytes) -> None:
        """Keep a new key by its SHA-256.

        Raises:
            NotFoundError: There is no such workspace.
            ConflictError: A key of that id, or of that digest, exists.
        """
        ...

    async def keys(self, workspace_id: str, *, limit: int, token: int | None = None) -> tuple[list[Key], int | None]:
        """A page of the workspace's keys, newest first, revoked ones too, and the token of the next page.

        Raises:
            NotFoundError: There is no such workspace.
        """
        ...

    async def revoke_key(self, key_id: str, *, now: float) -> Key:
        """Mark a key revoked; one that is already keeps its time.

        Raises:
            NotFoundError: There is no key of that id.
        """
        ...

    async def key_of(self, digest: bytes) -> Key | None:
        """The key of that SHA-256, revoked or not; None where there never was one."""
        ...

    async def has_keys(self) -> bool:
        """True once a key was created, also after it was revoked."""
        ...

    # Deliveries

    async def claim(self, now: float, *, limit: int, per_endpoint: int, lease: float) -> list[Claim]:
        """Lease due deliveries to the caller for `lease` real seconds, also those whose lease ran out.

        1. Of one job, an endpoint has one open delivery at a time, in sequence (decision 0009), unless it asked
           for `ordering` none.
        2. At most `max_in_flight` (where the endpoint has none: `per_endpoint`) are leased per endpoint, fewer
           where it is strained; `rate_limit` spaces them out; a paused or disabled endpoint gets none.
        3. Endpoints take turns when there are more than `limit`.
        4. Fewer than `limit` means that nothing else can be claimed at this instant.
        """
        ...

    async def renew_claims(self, claims: Sequence[Claim], *, lease: float) -> list[bool]:
        """Extend leases to `lease` real seconds from now; False where the claim was lost."""
        ...

    async def settle(self, settlements: Sequence[Settlement], *, now: float) -> list[bool]:
        """Log each attempt and carry out its verdict, if the claim still holds; False where it was lost.

        1. A settled delivery releases the next one of the same job and endpoint.
        2. A transition that is not the job's last and has failed 3 times is superseded once a later one waits.
        3. A strained endpoint gets fewer attempts at once and growing pauses; the first success after failures
           ends that, and makes its waiting retries due.
        4. `Gone`, and a failure 3 days (the store's `disable_after`) after the first since the last success,
           disable the endpoint.
        5. Notices (`endpoint.disabled`, `endpoint.recovered`, `delivery.exhausted`) are appended to the log in
           the same transaction; none is ever sent to the endpoint that it is about.
        """
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give leases back unused: the deliveries are due again at once, no attempt is counted."""
        ...

    async def next_delivery_due(self, now: float) -> float | None:
        """When something can be claimed next, later than `now`; None when nothing is planned."""
        ...

    async def delivery(self, workspace_id: str, delivery_id: int) -> Delivery:
        """One delivery.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def deliveries(
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: DeliveryFilter
    ) -> tuple[list[Delivery], int | None]:
        """A page of deliveries, newest first, and the token of the next page (None: the last)."""
        ...

    async def attempts(self, delivery_id: int) -> list[Attempt]:
        """The attempts of one delivery, the oldest first."""
        ...

    async def resend(
        self, workspace_id: str, delivery_id: int, *, now: float, keep: Keep[Delivery] | None = None
    ) -> Delivery:
        """Make a delivery due now, with a new run of the retry schedule.

        Raises:
            NotFoundError: There is none of that id in the workspace.
            ConflictError: Its endpoint was deleted, or it waits for an earlier event of its job.
        """
        ...

    async def send_to(self, event: Event, endpoint_id: str, *, keep: Keep[Delivery] | None = None) -> Delivery:
        """Append an event to the log that only one endpoint gets; the answer is the delivery.

        Raises:
            NotFoundError: The event's workspace has no such endpoint (code `webhook_not_found`).
        """
        ...

    async def start_sweep(self, sweep: Sweep, *, keep: Keep[Sweep] | None = None) -> Sweep:
        """Keep the order to sweep the log as it is now for an endpoint; `advance_sweeps` carries it out.

        Raises:
            NotFoundError: There is no such endpoint in the workspace (code `webhook_not_found`).
        """
        ...

    async def sweep(self, workspace_id: str, sweep_id: str) -> Sweep:
        """One sweep.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def advance_sweeps(self, now: float, *, chunk: int, backlog: int) -> bool:
        """Move every running sweep by at most `chunk` events, except where `backlog` deliveries wait already.

        What is made due again keeps its order within the sweep. True while a sweep could go on at once.
        """
        ...

    # Requests with a key

    async def start_request(self, workspace_id: str, scope: str, key: str, *, now: float, lease: float) -> Mark | Kept:
        """Begin a request: the mark to carry it out under, or the answer that the key has had within 24 hours.

        The mark keeps others away for `lease` real seconds; nothing that a crash leaves behind lasts longer.

        Raises:
            InProgressError: A request with this key is under way.
        """
        ...

    async def drop_request(self, mark: Mark) -> None:
        """Free the key of a request that ends without an answer to keep."""
        ...

    async def prune_requests(self, now: float, *, limit: int) -> int:
        """Delete at most `limit` answers that are kept no longer; how many."""
        ...

    # The simulator

    async def clock(self) -> ClockState | None:
        """The state of the clock that was kept last, if any."""
        ...

    async def keep_clock(self, state: ClockState) -> None:
        """Keep the state of the clock; a power failure may undo it, together with everything that came after it."""
        ...

    async def is_delivering(self, now: float) -> bool:
        """True while a delivery is leased, or one can be claimed at this instant."""
        ...

    async def next_endpoint_expiry(self) -> float | None:
        """When the first endpoint's ttl runs out, or None."""
        ...

    async def erase(self) -> None:
        """Delete everything but workspaces, their keys and the clock; positions and ids are not used again.

        Claims are lost, also those under way.
        """
        ...

    # Upkeep

    async def prune(self, now: float, *, retention: Retention, after: int, chunk: int) -> int | None:
        """Delete what retention no longer keeps, among the `chunk` deliveries behind id `after`.

        Returns:
            The id to go on behind, or None at the end: then old events without deliveries are deleted too.
        """
        ...
