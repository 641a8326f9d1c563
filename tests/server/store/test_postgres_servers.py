"""Several servers on one PostgreSQL database: the promises hold across them."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.server.store.builders import (
    ALL,
    LEASE,
    NOW,
    WORKSPACE,
    advanced,
    batch,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    endpoint,
    gone,
    items,
    life,
    queued,
    read_log,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import PostgresEngine, RealTime
from tests.waiting import PATIENCE
from video_translation_server.model import Job, JobStatus, Settlement, Sweep, SweepKind, Workers
from video_translation_server.store import Store
from video_translation_server.store.postgres import deliveries
from video_translation_server.store.postgres.database import Database

Servers = Callable[[], Awaitable[Store]]

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest_asyncio.fixture(loop_scope="session")
async def start(postgres_engine: PostgresEngine, tmp_path: Path, real_time: RealTime) -> AsyncIterator[Servers]:
    """Starts one more server on the same, at first empty, database."""
    started: list[Store] = []

    async def start() -> Store:
        started.append(await postgres_engine.open(tmp_path, real_time))
        return started[-1]

    yield start
    for store in started:
        await store.close()


@pytest.fixture
def real_time() -> RealTime:
    return RealTime()


# The log


async def test_log_order_is_commit_order_across_servers(start: Servers) -> None:
    """What a read did not see gets a position behind the cursor that it answered with."""
    one, two, reader = await start(), await start(), await start()
    calls = [
        asyncio.ensure_future(store.record([created(f"job_{name}_{number}")]))
        for number in range(150)
        for name, store in (("one", one), ("two", two))
    ]
    known: list[str] = []
    cursor = 0
    while not all(call.done() for call in calls):
        page, cursor = await reader.events_after(WORKSPACE, cursor, limit=1000, wanted=ALL)
        known += [event.id for event in page]
    page, _ = await reader.events_after(WORKSPACE, cursor, limit=1000, wanted=ALL)
    known += [event.id for event in page]
    log = await read_log(reader)
    assert known == [event.id for event in log]
    assert [event.position for event in log] == list(range(1, 301)), "no gap, whoever appended"


async def test_an_endpoint_gets_all_that_is_behind_its_cursor_and_nothing_before(start: Servers) -> None:
    recording, registering = await start(), await start()

    async def record() -> None:
        for number in range(120):
            await recording.record([created(f"job_{number}")])

    async def register() -> dict[str, int]:
        return {
            name: await registering.create_endpoint(endpoint(name)) for name in (f"ep_{number}" for number in range(30))
        }

    cursors, _ = await asyncio.gather(register(), record())
    positions = {event.id: event.position for event in await read_log(recording)}
    sent = await deliver_all(registering)
    for name, cursor in cursors.items():
        got = {positions[held.event_id] for held in sent if held.endpoint_id == name}
        assert got == set(range(cursor + 1, 121))


async def test_a_batch_that_two_servers_end_is_told_of_once(start: Servers) -> None:
    one, two = await start(), await start()
    for number in range(20):
        name = f"batch_{number}"
        first, second = items(2, name)
        await one.record([first, second], batch=batch(name))
        ends = [[advanced(change.job), advanced(advanced(change.job).job)] for change in (first, second)]
        await asyncio.gather(one.record(ends[0]), two.record(ends[1]))
    told = [event.batch_id for event in await read_log(one) if event.type == "batch.finished"]
    assert sorted(told, key=str) == sorted(f"batch_{number}" for number in range(20))


# Jobs


async def due(store: Store, now: float = NOW + 5, *, limit: int = 100, workers: Workers | None = None) -> list[Job]:
    return await store.due_jobs(now, limit, **({} if workers is None else {"workers": workers}))


async def test_each_job_is_given_to_one_server(start: Servers) -> None:
    one, two = await start(), await start()
    await one.record([created(f"job_{number}") for number in range(60)])
    groups = await asyncio.gather(*(due(store, limit=20) for store in (one, two, one, two)))
    mine, others = {job.id for job in (*groups[0], *groups[2])}, {job.id for job in (*groups[1], *groups[3])}
    assert not mine & others
    assert len(await due(one)) + len(await due(two)) == 60


async def test_the_jobs_of_a_server_that_is_gone_are_given_to_another_and_move_once(
    start: Servers, real_time: RealTime
) -> None:
    frozen, other = await start(), await start()
    await other.record([created()])
    [job] = await due(frozen)
    assert await due(other) == []
    real_time.advance(10)
    assert await due(other) == [job]
    late = advanced(job)
    assert await frozen.record([late]) == [False], "it wakes too late: the job is another's to move"
    assert await other.record([late]) == [True]
    assert await frozen.record([late]) == [False]
    assert [event.sequence for event in await read_log(other)] == [1, 2]


async def test_a_server_that_closes_gives_its_jobs_back(start: Servers) -> None:
    leaving, staying = await start(), await start()
    await leaving.record([created()])
    [job] = await due(leaving)
    await leaving.close()
    assert await due(staying) == [job]


async def test_workers_are_counted_over_all_servers(start: Servers, real_time: RealTime) -> None:
    stores = [await start() for _ in range(3)]
    await stores[0].record([queued(f"job_{number}", at=number) for number in range(10)])
    workers = Workers(main=4)
    groups = await asyncio.gather(*(due(store, workers=workers) for store in stores))
    given = [job for group in groups for job in group]
    assert len(given) == len({job.id for job in given}) == 4
    for store, group in zip(stores, groups, strict=True):
        await store.record([advanced(job, now=NOW + 5) for job in group])
    assert [await due(store, NOW + 5, workers=workers) for store in stores] == [[], [], []]
    real_time.advance(10)
    assert [await due(store, NOW + 5, workers=workers) for store in stores] == [[], [], []]


# Deliveries


async def test_max_in_flight_is_exact_over_all_servers(start: Servers) -> None:
    stores = [await start() for _ in range(3)]
    await stores[0].create_endpoint(endpoint("ep_1", max_in_flight=7))
    await stores[0].create_endpoint(endpoint("ep_2"))
    await stores[0].record([created(f"job_{number}") for number in range(60)])
    claims = []
    for _ in range(6):
        groups = await asyncio.gather(*(claim(store, limit=5, per_endpoint=11) for store in stores))
        claims += [held for group in groups for held in group]
        count = {name: sum(held.endpoint_id == name for held in claims) for name in ("ep_1", "ep_2")}
        assert count["ep_1"] <= 7
        assert count["ep_2"] <= 11
    assert count == {"ep_1": 7, "ep_2": 11}
    assert len({held.delivery_id for held in claims}) == 18


async def test_a_rate_limit_holds_over_all_servers(start: Servers) -> None:
    stores = [await start() for _ in range(3)]
    await stores[0].create_endpoint(endpoint(rate_limit=10.0))
    await stores[0].record([created(f"job_{number}") for number in range(100)])
    sent = 0
    for step in range(20):
        groups = await asyncio.gather(*(claim(store, NOW + step / 10) for store in stores))
        sent += sum(map(len, groups))
        await stores[0].settle([settlement(held) for group in groups for held in group], now=NOW + step / 10)
    assert 19 <= sent <= 21, "two seconds at ten a second"


async def test_nothing_waits_for_ever_where_one_server_records_what_another_settles(start: Servers) -> None:
    """What is put behind an open delivery, in the moment in which that one is settled, is released all the same."""
    mover, worker = await start(), await start()
    await mover.create_endpoint(endpoint())
    for number in range(60):
        first, second, third = life(f"job_{number}")
        await mover.record([first])
        held = await claim_one(worker)
        await asyncio.gather(mover.record([second]), worker.settle([settlement(held)], now=NOW))
        held = await claim_one(worker)
        assert held.sequence == 2
        await asyncio.gather(worker.settle([settlement(held)], now=NOW), mover.record([third]))
        held = await claim_one(worker)
        assert held.sequence == 3
        await worker.settle([settlement(held)], now=NOW)


async def test_a_recovery_waits_for_nobody_who_records_and_leaves_no_retry_behind(
    start: Servers, postgres_engine: PostgresEngine
) -> None:
    """Who records holds what is open of its jobs; the one would have to wait for the other in a circle."""
    store = await start()
    await store.create_endpoint(endpoint(events=("video_translate.pending",)))
    await store.record([created(f"job_{number}") for number in range(4)])
    one, two, good, another = await claim(store)
    await store.settle([retry(one, NOW + 3600), retry(two, NOW + 3600)], now=NOW)
    recorder = await Database(postgres_engine.url).connect()
    try:
        async with recorder.transaction():
            await recorder.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR NO KEY UPDATE", one.delivery_id)
            async with asyncio.timeout(10):
                await store.settle([settlement(good)], now=NOW + 1)
            assert [held.delivery_id for held in await claim(store, NOW + 1)] == [two.delivery_id]
    finally:
        await recorder.close()
    await store.settle([settlement(another)], now=NOW + 2)
    assert [held.delivery_id for held in await claim(store, NOW + 2)] == [one.delivery_id]


async def test_two_sweeps_of_one_endpoint_take_up_each_event_once_also_on_two_servers(
    start: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await start(), await start()
    await one.record(life("job_1"))
    await one.create_endpoint(endpoint())
    has_found, goes_on, take_up = asyncio.Event(), asyncio.Event(), deliveries.take_up

    async def take_up_later(*args: Any, **fields: Any) -> None:
        if not has_found.is_set():
            has_found.set()
            await goes_on.wait()
        await take_up(*args, **fields)

    async def sweep(store: Store, name: str) -> None:
        order = Sweep(
            id=name, workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.REPLAY, since=0, created_at=NOW + 1
        )
        await store.start_sweep(order)
        await store.advance_sweeps(NOW + 1, chunk=10, backlog=100)

    monkeypatch.setattr(deliveries, "take_up", take_up_later)
    first = asyncio.ensure_future(sweep(one, "rec_1"))
    async with asyncio.timeout(PATIENCE):
        await has_found.wait()
        await sweep(two, "rec_2")
        goes_on.set()
        await first
    await two.advance_sweeps(NOW + 1, chunk=10, backlog=100)
    assert [(await one.sweep(WORKSPACE, name)).found for name in ("rec_1", "rec_2")] == [3, 0]
    assert seen(await deliver_all(one, NOW + 1)) == [("ep_1", "job_1", sequence) for sequence in (1, 2, 3)]


class Racers:
    """Servers that each move jobs of their own, and all deliver what they find."""

    def __init__(self, stores: list[Store]) -> None:
        self.stores = stores
        self.done: list[tuple[str, str, int]] = []
        self._moving = len(stores)

    async def race(self) -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for name, store in enumerate(self.stores):
                tasks.create_task(self._move(store, name))
                tasks.create_task(self._work(store))

    async def _move(self, store: Store, name: int) -> None:
        for number in range(15):
            for change in life(f"job_{name}_{number}"):
                assert await store.record([change]) == [True]
        self._moving -= 1

    async def _work(self, store: Store) -> None:
        while self._moving or await store.is_delivering(NOW):
            claims = await claim(store, limit=7, per_endpoint=5)
            assert await store.settle([settlement(held) for held in claims], now=NOW) == [True] * len(claims)
            self.done.extend(seen(claims))
            await asyncio.sleep(0)  # a turn of the others


async def test_servers_that_race_deliver_everything_once_and_in_sequence(start: Servers) -> None:
    racers = Racers([await start() for _ in range(3)])
    for number in range(4):
        await racers.stores[0].create_endpoint(endpoint(f"ep_{number}"))
    await racers.race()
    assert len(racers.done) == len(set(racers.done)) == 3 * 15 * 4 * 3
    sequences: dict[tuple[str, str], list[int]] = {}
    for place, job, sequence in racers.done:
        sequences.setdefault((place, job), []).append(sequence)
    assert all(found == [1, 2, 3] for found in sequences.values())


@pytest.mark.parametrize("verdict", [settlement, dead])
async def test_a_server_that_was_frozen_settles_nothing_that_another_owns(
    start: Servers, real_time: RealTime, verdict: Callable[..., Settlement]
) -> None:
    frozen, other = await start(), await start()
    await other.create_endpoint(endpoint())
    await other.record([created()])
    stale = await claim_one(frozen)
    assert await claim(other) == []
    real_time.advance(LEASE)
    holder = await claim_one(other)
    assert await frozen.settle([verdict(stale)], now=NOW) == [False]
    assert await frozen.renew_claims([stale], lease=LEASE) == [False]
    await frozen.release([stale])
    assert await other.settle([settlement(holder)], now=NOW) == [True]
    assert len(await other.attempts(holder.delivery_id)) == 1


async def test_the_leases_of_others_survive_a_server_that_starts_or_ends(start: Servers) -> None:
    holding, other = await start(), await start()
    await holding.create_endpoint(endpoint())
    await holding.record([created("job_1"), created("job_2")])
    [mine] = await claim(holding, limit=1)
    [theirs] = await claim(other, limit=1)
    await other.close()
    third = await start()
    assert [held.delivery_id for held in await claim(third)] == [theirs.delivery_id], "what it gave back"
    assert await holding.settle([settlement(mine)], now=NOW) == [True]


# Bells


async def test_bells_ring_on_every_server(start: Servers) -> None:
    acting, waiting = await start(), await start()
    for bell, act in (
        (waiting.bells.deliveries, acting.record([created("job_1")])),
        (waiting.bells.jobs, acting.record([created("job_2")])),
        (waiting.bells.events, acting.record([created("job_3")])),
    ):
        with bell.listen() as rung:
            await act
            async with asyncio.timeout(PATIENCE):
                await rung.wait()
    assert JobStatus.PENDING in {job.status for job in (await waiting.jobs(WORKSPACE, limit=3))[0]}


# What is watched


def questions() -> list[str]:
    return re.findall(r"`(SELECT [^`]*\bFROM\b[^`]*)`", PAGE)


async def test_what_is_held_for_an_endpoint_that_is_disabled_or_paused_is_not_taken_for_late(
    start: Servers, postgres_engine: PostgresEngine
) -> None:
    store = await start()
    for name in ("ep_off", "ep_paused"):
        await store.create_endpoint(endpoint(name))
    await store.record([created("job_1"), created("job_2")])
    for held in await claim(store):
        verdict = retry(held, NOW + 1, strained=True) if held.endpoint_id == "ep_paused" else gone(held)
        await store.settle([verdict], now=NOW)
    [oldest_due] = [query for query in questions() if query.startswith("SELECT min(")]
    connection = await asyncpg.connect(postgres_engine.url)
    try:
        paused_until = await connection.fetchval("SELECT max(paused_until) FROM video_translation.endpoints")
        assert await connection.fetchval(oldest_due) == max(paused_until, NOW + 1)
        await store.create_endpoint(endpoint("ep_late"))
        await store.record([created("job_3", now=NOW - 60)])
        assert await connection.fetchval(oldest_due) == NOW - 60
    finally:
        await connection.close()


async def test_the_questions_and_commands_of_the_page_about_operations_can_be_given(
    start: Servers, postgres_engine: PostgresEngine
) -> None:
    await start()
    commands = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    queries = questions()
    assert len(queries) >= 6
    assert len(commands) >= 2
    connection = await asyncpg.connect(postgres_engine.url)  # somebody who looks on: without our search path
    try:
        for query in queries + commands:
            await connection.fetch(query)
    finally:
        await connection.close()
