"""Any sequence of verbs against a model: claims come in sequence, nothing is lost or held twice, all drains.

The model (`expected`) keeps every delivery; all of them are compared with the store's after each step.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.server.store.builders import (
    NOW,
    PROGRESS,
    WORKSPACE,
    advanced,
    created,
    dead,
    endpoint,
    gone,
    progressed,
    read_log,
    retry,
    settlement,
)
from tests.server.store.engines import Bench, Engine
from tests.server.store.expected import FIRST, Expected, Health, Way
from tests.server.store.taker import Taker
from video_translation_server.errors import ConflictError
from video_translation_server.model import Change, Claim, DeliveryState, Endpoint, EndpointStatus, Job
from video_translation_server.store import DeliveryFilter, Store
from video_translation_server.wire.events import TRANSITION_TYPES

LEASE = 30.0
TRANSITIONS = tuple(TRANSITION_TYPES.values())
ROOM = st.integers(min_value=0, max_value=4)
ENDPOINTS = {"ep_0": TRANSITIONS, "ep_1": (*TRANSITIONS, PROGRESS), "ep_2": (*TRANSITIONS, PROGRESS)}
PICK = st.integers(min_value=0, max_value=1000)
HOW = ["delivered"] * 5 + ["retry"] * 4 + ["strained", "strained", "dead", "gone"]


class StoreMachine(RuleBasedStateMachine):
    """Random callers of one store, one after the other."""

    engine: Engine
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(self.engine, Path(self.folder.name))
        self.store: Store = self.run(self.bench.open())
        self.now = NOW
        self.jobs: dict[str, Job] = {}
        self.expected = Expected()
        self.stale: list[Claim] = []

    def run(self, verb: Any) -> Any:
        return self.loop.run_until_complete(verb)

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.run(self.bench.close())
            self.folder.cleanup()

    # What callers do

    @initialize()
    def register(self) -> None:
        for name, events in ENDPOINTS.items():
            self.run(self.store.create_endpoint(endpoint(name, events=events)))
            self.expected.endpoints[name] = Health(frozenset(events))

    @rule(number=st.integers(min_value=0, max_value=2), lose=st.booleans(), room=ROOM)
    def move_a_job(self, number: int, room: int, *, lose: bool) -> None:
        """A new job takes the number of one that has ended."""
        number += sum(job.status.is_terminal for job in self.jobs.values())
        job = self.jobs.get(f"job_{number}")
        if job is not None and job.status.is_terminal:
            return
        change = created(f"job_{number}", now=self.now) if job is None else advanced(job, now=self.now)
        changes = [change, change] if lose and job is not None else [change]
        with self.taking(room, change):
            assert self.run(self.store.record(changes)) == [True, False][: len(changes)]

    @precondition(lambda self: any(not job.status.is_terminal for job in self.jobs.values()))
    @rule(pick=PICK, room=ROOM)
    def progress(self, pick: int, room: int) -> None:
        living = [job for job in self.jobs.values() if not job.status.is_terminal]
        change = progressed(living[pick % len(living)], 50, now=self.now)
        with self.taking(room, change):
            assert self.run(self.store.record([change])) == [True]

    @contextmanager
    def taking(self, room: int, change: Change) -> Iterator[None]:
        """In the block the change is recorded, with a worker that has room for what comes of it."""
        taker = Taker(room, now=self.now, per_endpoint=2)
        with self.store.handing_over_to(taker):
            yield
        self.keep(change)
        assert (taker.reserved, taker.room + len(taker.claims)) == (0, room)
        ready = self.expected.ready(self.now)
        rooms = {name: max(0, self.expected.room(name, self.now, 2)) for name in self.expected.endpoints}
        self.hold(taker.claims, ready, rooms)

    def keep(self, change: Change) -> None:
        self.jobs[change.job.id] = change.job
        self.expected.record(change, self.now)

    @rule(limit=st.integers(min_value=1, max_value=6), per_endpoint=st.integers(min_value=1, max_value=4))
    def claim(self, limit: int, per_endpoint: int) -> None:
        self.expire()
        ready = self.expected.ready(self.now)
        count = dict.fromkeys(self.expected.endpoints, 0)
        for way in ready:
            count[way.endpoint] += 1
        rooms = {name: max(0, self.expected.room(name, self.now, per_endpoint)) for name in count}
        claims = self.run(self.store.claim(self.now, limit=limit, per_endpoint=per_endpoint, lease=LEASE))
        assert len(claims) == min(limit, sum(min(rooms[name], count[name]) for name in count)), "as many as may be"
        self.hold(claims, ready, rooms)

    def hold(self, claims: Sequence[Claim], ready: Sequence[Way], rooms: Mapping[str, int]) -> None:
        """What was leased might be, and is now in somebody's hands."""
        for one in claims:
            way = self.way(one)
            assert way in ready, "due, and in nobody's hands"
            rest = self.expected.open(way.place)
            assert all(other.claim is None for other in rest), "one at a time of each job and endpoint"
            assert way.lane != FIRST or way is rest[0], "in sequence"
            assert (one.attempt, one.tries) == (way.attempts + 1, way.tries + 1)
            way.claim, way.until = one, self.bench.real_time() + LEASE
        for name, room in rooms.items():
            assert sum(one.endpoint_id == name for one in claims) <= room

    @precondition(lambda self: self.expected.held())
    @rule(pick=PICK, how=st.sampled_from(HOW))
    def settle(self, pick: int, how: str) -> None:
        self.finish(self.pick(pick), how)

    @precondition(lambda self: self.expected.held())
    @rule(pick=PICK)
    def fail_three_times(self, pick: int) -> None:
        """What it takes to be superseded, which random steps seldom come to."""
        way = self.pick(pick)
        name = way.endpoint
        while way.claim is not None and way.tries < 3:
            self.finish(way, "retry")
            self.now += 15
            if self.expected.endpoints[name].is_enabled:
                self.claim(limit=100, per_endpoint=100)

    @precondition(lambda self: len(self.expected.held()) > 1)
    @rule(pick=PICK)
    def settle_all_but_one(self, pick: int) -> None:
        spared = self.pick(pick)
        for way in self.expected.held():
            if way is not spared:
                self.finish(way, "delivered")

    @precondition(lambda self: self.expected.held())
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        way = self.pick(pick)
        self.run(self.store.release([claim_of(way)]))
        self.lose(way)

    @precondition(lambda self: self.expected.held())
    @rule(pick=PICK)
    def renew(self, pick: int) -> None:
        way = self.pick(pick)
        assert self.run(self.store.renew_claims([claim_of(way)], lease=LEASE)) == [True]
        way.until = self.bench.real_time() + LEASE

    @precondition(lambda self: self.stale)
    @rule(pick=PICK)
    def come_late(self, pick: int) -> None:
        """A worker that has lost its claim knows nothing of it yet."""
        late = self.stale[pick % len(self.stale)]
        assert self.run(self.store.settle([settlement(late)], now=self.now)) == [False]
        assert self.run(self.store.renew_claims([late], lease=1e6)) == [False]
        self.run(self.store.release([late]))

    @precondition(lambda self: self.expected.ways)
    @rule(pick=PICK)
    def resend(self, pick: int) -> None:
        way = self.expected.ways[pick % len(self.expected.ways)]
        delivery = self.run(self.stored())[way.endpoint, way.event].id
        if way.endpoint not in self.expected.endpoints or way.state is DeliveryState.WAITING:
            with pytest.raises(ConflictError):
                self.run(self.store.resend(WORKSPACE, delivery, now=self.now))
            return
        self.run(self.store.resend(WORKSPACE, delivery, now=self.now))
        self.expected.resend(way, self.now)

    @precondition(lambda self: any(not one.is_enabled for one in self.expected.endpoints.values()))
    @rule()
    def enable(self) -> None:
        for name, health in list(self.expected.endpoints.items()):
            if not health.is_enabled:
                self.run(self.store.change_endpoint(WORKSPACE, name, enabled, now=self.now))
                self.expected.enable(name, self.now)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]))
    def real_time_passes(self, seconds: float) -> None:
        self.bench.real_time.advance(seconds)

    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reopen(self) -> None:
        self.store = self.run(self.bench.reopen())
        for way in self.expected.held():
            self.lose(way)

    @precondition(lambda self: len(self.expected.endpoints) > 1 and len(self.expected.events) > 5)
    @rule(seldom=st.sampled_from([False, False, False, False, True]))
    def delete_an_endpoint(self, *, seldom: bool) -> None:
        if not seldom:
            return
        name = max(self.expected.endpoints)
        self.run(self.store.delete_endpoint(WORKSPACE, name, now=self.now))
        for way in self.expected.held():
            if way.endpoint == name:
                self.lose(way)
        self.expected.forget(name)

    # What always holds

    @invariant()
    def the_log_has_every_event_once_in_order(self) -> None:
        log = [event.id for event in self.run(read_log(self.store)) if event.job_id is not None]
        assert log == self.expected.events

    @invariant()
    def every_delivery_stands_where_the_model_says(self) -> None:
        stored = self.run(self.stored())
        assert len(stored) == len(self.expected.ways)
        for way in self.expected.ways:
            one = stored[way.endpoint, way.event]
            assert (one.state, one.due_at, one.attempts) == (way.state, way.due, way.attempts), way

    @invariant()
    def the_next_due_time_is_the_models(self) -> None:
        assert self.run(self.store.next_delivery_due(self.now)) == self.expected.next_due(self.now)

    # Helpers

    async def stored(self) -> dict[tuple[str, str], Any]:
        found, _ = await self.store.deliveries(WORKSPACE, limit=10_000, wanted=DeliveryFilter())
        return {(one.endpoint_id, one.event_id): one for one in found}

    def way(self, held: Claim) -> Way:
        key = (held.endpoint_id, held.event_id)
        return next(way for way in self.expected.ways if (way.endpoint, way.event) == key)

    def expire(self) -> None:
        """A claim takes the leases back whose real time is up."""
        for way in self.expected.held():
            if way.until <= self.bench.real_time():
                self.lose(way)

    def lose(self, way: Way) -> None:
        self.stale.append(claim_of(way))
        way.claim = None

    def pick(self, number: int) -> Way:
        held = self.expected.held()
        return held[number % len(held)]

    def finish(self, way: Way, how: str) -> None:
        held = claim_of(way)
        verdicts = {
            "delivered": settlement(held),
            "dead": dead(held),
            "gone": gone(held),
            "retry": retry(held, self.now + 15),
            "strained": retry(held, self.now + 15, strained=True),
        }
        assert self.run(self.store.settle([verdicts[how]], now=self.now)) == [True]
        self.expected.settle(way, how, self.now)
        self.stale.append(held)

    def drain(self) -> None:
        """Deliver all that is left: nothing was lost on the way, and then there is nothing more."""
        self.bench.real_time.advance(LEASE)
        if any(not one.is_enabled for one in self.expected.endpoints.values()):
            self.enable()
        self.now += 30
        while self.expected.open():
            before = len(self.expected.open())
            self.claim(limit=100, per_endpoint=100)
            for way in self.expected.held():
                self.finish(way, "delivered")
            assert len(self.expected.open()) < before, f"stuck with {self.expected.open()}"
        self.every_delivery_stands_where_the_model_says()
        assert self.run(self.store.claim(1e12, limit=100, per_endpoint=100, lease=LEASE)) == []


def claim_of(way: Way) -> Claim:
    assert way.claim is not None
    return way.claim


def enabled(one: Endpoint) -> Endpoint:
    return msgspec.structs.replace(one, status=EndpointStatus.ENABLED)


@pytest_asyncio.fixture(loop_scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_any_sequence_of_verbs_keeps_the_promises(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    class Machine(StoreMachine):
        pass

    Machine.engine, Machine.loop = engine, loop
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=engine.sequences,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # shrinking takes minutes here, and 40 steps can be read as they are
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
