"""The embedded engine: SQLite through apsw, one writer thread, a few readers. The verbs as one-liners.

What each verb does in SQL is in the noun modules beside this one; how commits are grouped is in `writer`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from threading import local
from typing import TypeVar

import apsw

from video_translation_server.clock import ClockState
from video_translation_server.errors import StoreError
from video_translation_server.ids import Ids, random_id
from video_translation_server.model import (
    Asset,
    Attempt,
    Batch,
    Change,
    Claim,
    Delivery,
    Endpoint,
    Event,
    Job,
    Kept,
    Key,
    Mark,
    Place,
    Settlement,
    Sweep,
    Workers,
    Workspace,
)
from video_translation_server.probe import Probe, unobserved
from video_translation_server.store.base import (
    EVERY_JOB,
    UNLIMITED,
    Bell,
    Bells,
    DeliveryFilter,
    EventFilter,
    JobFilter,
    Keep,
    Retention,
)
from video_translation_server.store.sqlite import (
    assets,
    batches,
    claims,
    deliveries,
    endpoints,
    jobs,
    line,
    log,
    pruning,
    requests,
    settlements,
    simulator,
    sweeps,
    workspaces,
)
from video_translation_server.store.sqlite.database import Database
from video_translation_server.store.sqlite.health import Rules
from video_translation_server.store.sqlite.writer import Writer

T = TypeVar("T")

READERS = 2
LOOK_EVERY = 10.0
"""Real seconds between two looks for leases that ran out, when none is expected to."""

DISABLE_AFTER = 3 * 86400.0


class SqliteStore:
    """The Store on one SQLite file; what each verb promises is in `store.base.Store`."""

    def __init__(self, database: Database, rules: Rules, real_time: Callable[[], float], probe: Probe) -> None:
        """Start the threads; needs a running event loop. `open` is the door."""
        self._database = database
        self._rules = rules
        self._real_time = real_time
        self._looked_at = float("-inf")
        self._first_lease_ends = float("inf")
        self._bells = Bells()
        self._fences = SystemRandom()
        self._connections: list[apsw.Connection] = []
        self._reader = local()
        self._readers = ThreadPoolExecutor(READERS, "store-reader", initializer=self._start_reader)
        self._writer = Writer(database.connect(readonly=False), probe)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        ids: Ids = random_id,
        disable_after: float = DISABLE_AFTER,
        real_time: Callable[[], float] = time.time,
        probe: Probe = unobserved,
    ) -> "SqliteStore":
        """Own, migrate and open a database file.

        Args:
            path: The file; it is created where it does not exist, its folder is not.
            ids: Makes the ids of notices.
            disable_after: Seconds without a success after which a failing endpoint is disabled.
            real_time: Unix seconds for leases.
            probe: Called before and after each commit, on the writer's thread.

        Raises:
            StoreError: It cannot be opened, is not ours, is newer than we are, or has an owner.
        """
        rules = Rules(ids=ids, disable_after=disable_after)
        store = cls(await asyncio.to_thread(Database, path), rules, real_time, probe)
        # Nobody else can hold a lease on a file that we own.
        await store._writer.run(_free_all)
        return store

    def _start_reader(self) -> None:
        self._reader.connection = self._database.connect(readonly=True)
        self._connections.append(self._reader.connection)

    async def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query on a reader's own snapshot: what was committed before this call is in it."""
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._readers, lambda: query(self._reader.connection))
        except RuntimeError:
            raise StoreError("the store is closed") from None
        return await reading

    async def _write(self, verb: Callable[[apsw.Connection], T], *bells: Bell, keep: Keep[T] | None = None) -> T:
        """Run a verb in the next transaction, with the answer to its request where one is to be kept."""
        return await self._writer.run(requests.keeping(verb, keep), *bells)

    @property
    def bells(self) -> Bells:
        """The bells that commits ring."""
        return self._bells

    async def close(self) -> None:
        """Finish the verbs that were asked for, then let go of the file."""
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        # Last, because only the last connection to leave, and one that may write, empties the WAL into the file.
        await self._writer.close()
        self._database.close()

    async def ping(self) -> None:
        """Return when the database can commit."""
        await self._writer.run(log.last_position)

    async def record(
        self,
        changes: Sequence[Change],
        *,
        batch: Batch | None = None,
        at_most: int | None = None,
        keep: Keep[list[bool]] | None = None,
    ) -> list[bool]:
        """Commit job moves with their events and deliveries."""

        def verb(connection: apsw.Connection) -> list[bool]:
            if batch is not None:
                batches.create(connection, batch)
            recorded = jobs.record(connection, changes, self._rules.ids)
            if at_most is not None:
                jobs.check_going_on(connection, changes, at_most)
            return recorded

        bells = (self._bells.jobs, self._bells.deliveries, self._bells.events)
        return await self._write(verb, *bells, keep=keep)

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
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: JobFilter = EVERY_JOB
    ) -> tuple[list[Job], int | None]:
        """A page of jobs, newest first."""
        return await self._read(lambda connection: jobs.page(connection, workspace_id, limit, token, wanted))

    async def retitle_job(self, workspace_id: str, job_id: str, title: str, *, now: float) -> Job:
        """Give a job another title."""
        return await self._writer.run(lambda connection: jobs.retitle(connection, workspace_id, job_id, title, now))

    async def delete_job(self, workspace_id: str, job_id: str, *, now: float) -> None:
        """Show a job that has ended no more."""
        await self._writer.run(lambda connection: jobs.delete(connection, workspace_id, job_id, now))

    async def create_asset(self, asset: Asset, *, keep: Keep[None] | None = None) -> None:
        """Keep what is known of an uploaded file."""
        await self._write(lambda connection: assets.create(connection, asset), keep=keep)

    async def asset(self, workspace_id: str, asset_id: str) -> Asset:
        """One asset."""
        return await self._read(lambda connection: assets.get(connection, workspace_id, asset_id))

    async def old_assets(self, before: float, *, limit: int) -> list[str]:
        """The oldest assets from before a time."""
        return await self._read(lambda connection: assets.old(connection, before, limit))

    async def delete_assets(self, asset_ids: Sequence[str]) -> None:
        """Forget assets."""
        await self._writer.run(lambda connection: assets.delete(connection, asset_ids))

    async def due_jobs(self, now: float, limit: int, *, workers: Workers = UNLIMITED) -> list[Job]:
        """Jobs whose next move is due, and those in line for whom a worker is free."""
        return await self._read(lambda connection: line.due(connection, now, limit, workers))

    async def place(self, job: Job) -> Place | None:
        """Where a job stands in line."""
        return await self._read(lambda connection: line.place(connection, job))

    async def next_job_due(self) -> float | None:
        """When the next planned move is due."""
        return await self._read(jobs.next_due)

    async def events_after(
        self, workspace_id: str | None, position: int, *, limit: int, wanted: EventFilter
    ) -> tuple[list[Event], int]:
        """Events behind a log position."""
        return await self._read(lambda connection: log.events_after(connection, workspace_id, position, limit, wanted))

    async def events_before(
        self, workspace_id: str, position: int | None, *, limit: int, wanted: EventFilter
    ) -> list[Event]:
        """Events before a log position, the newest first."""
        return await self._read(lambda connection: log.events_before(connection, workspace_id, position, limit, wanted))

    async def event_position(self, workspace_id: str, event_id: str) -> int:
        """Where an event stands in the log."""
        return await self._read(lambda connection: log.event_position(connection, workspace_id, event_id))

    async def first_position(self) -> int:
        """The log position of the oldest event that is kept."""
        return await self._read(log.first_position)

    async def last_position(self) -> int:
        """The log position of the newest event."""
        return await self._read(log.last_position)

    async def create_endpoint(self, endpoint: Endpoint, *, keep: Keep[int] | None = None) -> int:
        """Keep a new endpoint."""
        return await self._write(lambda connection: endpoints.create(connection, endpoint), keep=keep)

    async def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """One endpoint."""
        return await self._read(lambda connection: endpoints.get(connection, workspace_id, endpoint_id))

    async def endpoints(
        self, workspace_id: str, *, limit: int, token: int | None = None
    ) -> tuple[list[Endpoint], int | None]:
        """A page of endpoints, newest first."""
        return await self._read(lambda connection: endpoints.page(connection, workspace_id, limit, token))

    async def delete_endpoint(self, workspace_id: str, endpoint_id: str, *, now: float) -> None:
        """Forget an endpoint."""
        await self._writer.run(lambda connection: endpoints.delete(connection, workspace_id, endpoint_id, now))

    async def change_endpoint(
        self,
        workspace_id: str,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        *,
        now: float,
        keep: Keep[Endpoint] | None = None,
    ) -> Endpoint:
        """Replace an endpoint by what `change` makes of it."""
        return await self._write(
            lambda connection: endpoints.change(connection, workspace_id, endpoint_id, change, now),
            self._bells.deliveries,
            keep=keep,
        )

    async def expire_endpoints(self, now: float) -> list[str]:
        """Delete the endpoints whose ttl has run out."""
        return await self._writer.run(lambda connection: endpoints.expire(connection, now))

    async def workspace_secret(self, workspace_id: str) -> str:
        """The secret that signs deliveries to callback URLs."""
        return await self._writer.run(lambda connection: endpoints.workspace_secret(connection, workspace_id))

    async def create_workspace(self, workspace: Workspace) -> None:
        """Keep a new workspace."""
        await self._writer.run(lambda connection: workspaces.create(connection, workspace))

    async def workspaces(self, *, limit: int, token: int | None = None) -> tuple[list[Workspace], int | None]:
        """A page of workspaces, newest first."""
        return await self._read(lambda connection: workspaces.page(connection, limit, token))

    async def create_key(self, key: Key, digest: bytes) -> None:
        """Keep a new key."""
        await self._writer.run(lambda connection: workspaces.create_key(connection, key, digest))

    async def keys(self, workspace_id: str, *, limit: int, token: int | None = None) -> tuple[list[Key], int | None]:
        """A page of the workspace's keys, newest first."""
        return await self._read(lambda connection: workspaces.keys(connection, workspace_id, limit, token))

    async def revoke_key(self, key_id: str, *, now: float) -> Key:
        """Mark a key revoked."""
        return await self._writer.run(lambda connection: workspaces.revoke_key(connection, key_id, now))

    async def key_of(self, digest: bytes) -> Key | None:
        """The key of a SHA-256."""
        return await self._read(lambda connection: workspaces.key_of(connection, digest))

    async def has_keys(self) -> bool:
        """True once a key was created."""
        return await self._read(workspaces.has_keys)

    async def claim(self, now: float, *, limit: int, per_endpoint: int, lease: float) -> list[Claim]:
        """Lease due deliveries."""
        real_now = self._real_time()
        wish = claims.Wish(
            now=now,
            leased_until=real_now + lease,
            claim_id=self._fences.getrandbits(63),
            limit=limit,
            per_endpoint=per_endpoint,
        )

        def verb(connection: apsw.Connection) -> list[Claim]:
            self._expire(connection, real_now)
            claimed = claims.claim(connection, wish)
            if claimed:
                self._first_lease_ends = min(self._first_lease_ends, wish.leased_until)
            return claimed

        # A lease that a power failure undoes is one that its owner, gone as well, cannot miss.
        return await self._writer.run(verb, durable=False)

    def _expire(self, connection: apsw.Connection, real_now: float) -> None:
        """Take back leases that ran out; on the writer's thread only.

        None can have run out before the first one ends. The look every LOOK_EVERY seconds is for what a failed
        commit would make us believe.
        """
        if real_now >= min(self._first_lease_ends, self._looked_at + LOOK_EVERY):
            ends = claims.expire(connection, real_now)
            self._first_lease_ends = float("inf") if ends is None else ends
            self._looked_at = real_now

    async def renew_claims(self, held: Sequence[Claim], *, lease: float) -> list[bool]:
        """Extend leases."""
        return await self._writer.run(lambda connection: claims.renew(connection, held, self._real_time() + lease))

    async def settle(self, batch: Sequence[Settlement], *, now: float) -> list[bool]:
        """Log attempts and carry out verdicts."""
        done = await self._writer.run(
            lambda connection: settlements.settle(connection, batch, now, self._rules), self._bells.deliveries
        )
        if done.notices:
            self._bells.events.ring()
        return done.held

    async def release(self, held: Sequence[Claim]) -> None:
        """Give leases back unused."""
        await self._writer.run(lambda connection: claims.release(connection, held), self._bells.deliveries)

    async def next_delivery_due(self, now: float) -> float | None:
        """When something can be claimed next."""
        return await self._read(lambda connection: claims.next_due(connection, now))

    async def delivery(self, workspace_id: str, delivery_id: int) -> Delivery:
        """One delivery."""
        return await self._read(lambda connection: deliveries.get(connection, workspace_id, delivery_id))

    async def deliveries(
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: DeliveryFilter
    ) -> tuple[list[Delivery], int | None]:
        """A page of deliveries, newest first."""
        return await self._read(lambda connection: deliveries.page(connection, workspace_id, limit, token, wanted))

    async def attempts(self, delivery_id: int) -> list[Attempt]:
        """The attempts of one delivery."""
        return await self._read(lambda connection: deliveries.attempts(connection, delivery_id))

    async def resend(
        self, workspace_id: str, delivery_id: int, *, now: float, keep: Keep[Delivery] | None = None
    ) -> Delivery:
        """Make a delivery due now."""
        return await self._write(
            lambda connection: deliveries.resend(connection, workspace_id, delivery_id, now),
            self._bells.deliveries,
            keep=keep,
        )

    async def send_to(self, event: Event, endpoint_id: str, *, keep: Keep[Delivery] | None = None) -> Delivery:
        """Append an event that only one endpoint gets."""

        def verb(connection: apsw.Connection) -> Delivery:
            number, _ = endpoints.find(connection, event.workspace_id, endpoint_id)
            position = log.insert(connection, event, job=None)
            delivery = deliveries.send_to(connection, event=position, endpoint=number, now=event.created_at)
            return deliveries.get(connection, event.workspace_id, delivery)

        return await self._write(verb, self._bells.deliveries, self._bells.events, keep=keep)

    async def start_sweep(self, sweep: Sweep, *, keep: Keep[Sweep] | None = None) -> Sweep:
        """Keep the order to sweep the log for an endpoint."""
        return await self._write(lambda connection: sweeps.start(connection, sweep), self._bells.sweeps, keep=keep)

    async def sweep(self, workspace_id: str, sweep_id: str) -> Sweep:
        """One sweep."""
        return await self._read(lambda connection: sweeps.get(connection, workspace_id, sweep_id))

    async def advance_sweeps(self, now: float, *, chunk: int, backlog: int) -> bool:
        """Move every running sweep on."""
        return await self._writer.run(
            lambda connection: sweeps.advance(connection, now, chunk=chunk, backlog=backlog), self._bells.deliveries
        )

    async def start_request(self, workspace_id: str, scope: str, key: str, *, now: float, lease: float) -> Mark | Kept:
        """Begin a request with a key."""
        real_now = self._real_time()
        times = requests.Times(now=now, real_now=real_now, leased_until=real_now + lease)
        mark = Mark(workspace_id=workspace_id, scope=scope, key=key, number=self._fences.getrandbits(63))
        # A mark that a power failure undoes is one whose request, gone as well, cannot miss it.
        return await self._writer.run(lambda connection: requests.start(connection, mark, times), durable=False)

    async def drop_request(self, mark: Mark) -> None:
        """Free the key of a request."""
        await self._writer.run(lambda connection: requests.drop(connection, mark), durable=False)

    async def prune_requests(self, now: float, *, limit: int) -> int:
        """Delete answers that are kept no longer."""
        return await self._writer.run(lambda connection: requests.prune(connection, now, self._real_time(), limit))

    async def clock(self) -> ClockState | None:
        """The state of the clock that was kept last."""
        return await self._read(simulator.clock)

    async def keep_clock(self, state: ClockState) -> None:
        """Keep the state of the clock."""
        await self._writer.run(lambda connection: simulator.keep_clock(connection, state), durable=False)

    async def is_delivering(self, now: float) -> bool:
        """Whether anything is leased or could be."""
        return await self._read(lambda connection: claims.is_busy(connection, now))

    async def next_endpoint_expiry(self) -> float | None:
        """When the first endpoint runs out."""
        return await self._read(simulator.next_expiry)

    async def erase(self) -> None:
        """Delete everything but workspaces, keys and the clock."""
        await self._writer.run(simulator.erase, self._bells.jobs, self._bells.deliveries)

    async def prune(self, now: float, *, retention: Retention, after: int, chunk: int) -> int | None:
        """Delete what retention no longer keeps."""
        return await self._writer.run(lambda connection: pruning.prune(connection, now, retention, after, chunk))


def _free_all(connection: apsw.Connection) -> None:
    claims.release_all(connection)
    requests.drop_all(connection)
