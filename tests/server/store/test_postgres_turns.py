"""The line of turns in PostgreSQL: nothing that can be claimed is without a turn, whoever wrote what meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.postgres import create_database, drop_database
from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    endpoint,
    retry,
    settlement,
)
from tests.server.store.engines import PostgresEngine, RealTime
from tests.waiting import PATIENCE
from video_translation_server.model import Claim, EndpointStatus
from video_translation_server.store import Store
from video_translation_server.store.postgres import PostgresStore, claims
from video_translation_server.store.postgres.database import Connection, Database, migrate, migrations
from video_translation_server.store.postgres.engine import AGAIN_AFTER
from video_translation_server.store.postgres.turns import AHEAD

PENDING = ("video_translate.pending",)

# Endpoints with something free that have no turn by the time it may go; one that is full has one at infinity.
FORGOTTEN = """
SELECT coming.endpoint FROM (
  SELECT p.n AS endpoint, greatest(min(d.due_at), p.paused_until, p.next_send_at - 0.05) AS at
  FROM endpoints p JOIN deliveries d ON d.endpoint = p.n
  WHERE p.status = 'enabled' AND d.claim_id IS NULL AND d.due_at IS NOT NULL GROUP BY p.n) coming
WHERE NOT EXISTS (
  SELECT 1 FROM turns t WHERE t.endpoint = coming.endpoint
  AND (t.at <= greatest(coming.at, t.served)
       OR t.at = 'infinity' AND EXISTS (
         SELECT 1 FROM deliveries l WHERE l.endpoint = coming.endpoint AND l.claim_id IS NOT NULL)))
"""
Servers = Callable[[], Awaitable[Store]]


@pytest.fixture
def real_time() -> RealTime:
    return RealTime()


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


@pytest_asyncio.fixture(loop_scope="session")
async def connection(postgres_engine: PostgresEngine) -> AsyncIterator[Connection]:
    """A look into the tables."""
    connection = await Database(postgres_engine.url).connect()
    yield connection
    await connection.close()


async def line(connection: Connection) -> dict[int, float]:
    """The first turn of each endpoint, as seconds from NOW; nobody is forgotten."""
    assert await connection.fetch(FORGOTTEN) == []
    rows = await connection.fetch("SELECT endpoint, min(at) FROM turns GROUP BY endpoint")
    numbers = await connection.fetch("SELECT n, row_number() OVER (ORDER BY n) FROM endpoints")
    places: dict[int, int] = dict(numbers)
    return {places[number]: round(at - NOW, 3) for number, at in rows}


async def backlog(store: Store, count: int, *names: str, now: float = NOW, **fields: Any) -> None:
    for name in names:
        await store.create_endpoint(endpoint(name, events=PENDING, **fields))
    await store.record([created(f"job_{names}_{number}", now=now) for number in range(count)])


# What gives a turn, and what takes it


async def test_a_turn_comes_with_a_delivery_and_goes_with_the_last(start: Servers, connection: Connection) -> None:
    store = await start()
    await backlog(store, 1, "ep_1", now=NOW + 5)
    assert await line(connection) == {1: 5}
    await store.record([created("job_1")])
    assert await line(connection) == {1: 0}, "the earliest of all"
    first = await claim_one(store)
    assert await line(connection) == {1: 5}
    await store.release([first])
    assert await line(connection) == {1: 0}
    held = await claim(store, NOW + 10)
    assert len(held) == 2
    assert await line(connection) == {}
    await store.settle([retry(held[0], NOW + 60), dead(held[1])], now=NOW)
    assert await line(connection) == {1: 60}
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW)
    assert await claim(store, NOW + 1e6) == []
    assert await line(connection) == {}, "what is too early is put right by the claim that comes to it"


async def test_a_lease_that_runs_out_gives_a_turn(start: Servers, connection: Connection, real_time: RealTime) -> None:
    store = await start()
    await backlog(store, 1, "ep_1")
    held = await claim_one(store)
    assert await line(connection) == {}
    real_time.advance(60)
    assert (await claim_one(store)).delivery_id == held.delivery_id


async def test_a_full_endpoint_stands_aside_until_a_lease_ends(start: Servers, connection: Connection) -> None:
    store = await start()
    await backlog(store, 9, "ep_1", max_in_flight=2)
    held = await claim(store)
    assert len(held) == 2
    assert await line(connection) == {1: float("inf")}
    await store.record([created("job_new")])
    assert await claim(store) == []
    assert await line(connection) == {1: float("inf")}, "as before, after a claim has come to the new one's turn"
    await store.settle([settlement(held[0])], now=NOW)
    assert len(await claim(store)) == 1
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, max_in_flight=4), now=NOW)
    assert len(await claim(store)) == 2


async def test_an_endpoint_that_is_full_by_one_servers_limit_is_not_by_anothers(start: Servers) -> None:
    narrow, wide = await start(), await start()
    await backlog(narrow, 20, "ep_1")
    assert len(await claim(narrow, per_endpoint=4)) == 4
    assert len(await claim(wide, per_endpoint=9)) == 5
    assert await claim(narrow, per_endpoint=4) == []
    assert await claim(wide, per_endpoint=9) == []


@pytest.mark.parametrize(
    ("held", "freed"),
    [
        ({"paused_until": NOW + 50}, {"paused_until": None}),
        ({"status": EndpointStatus.DISABLED}, {"status": EndpointStatus.ENABLED}),
        ({"next_send_at": NOW + 50, "rate_limit": 1.0}, {"next_send_at": None}),
    ],
)
async def test_an_endpoint_that_was_held_back_has_its_turn_when_it_is_let_go(
    start: Servers, connection: Connection, held: dict[str, Any], freed: dict[str, Any]
) -> None:
    store = await start()
    await backlog(store, 3, "ep_1")
    await put(connection, **held)
    assert await claim(store) == []
    assert (await line(connection)).get(1) != 0
    await put(connection, **freed)
    assert await claim(store) != []


async def put(connection: Connection, **columns: Any) -> None:
    for name, value in columns.items():
        await connection.execute(f"UPDATE endpoints SET {name} = $1", value)  # noqa: S608  (one of the above)


# Fairness


async def test_a_claim_walks_past_nobody_who_cannot_be_served(start: Servers, connection: Connection) -> None:
    """Full and paused endpoints with a backlog, many or few: a claim reads as many pages."""
    store = await start()
    await backlog(store, 2, *(f"ep_full_{number}" for number in range(150)), max_in_flight=1)
    assert len(await claim(store, limit=1000)) == 150
    await backlog(store, 1, *(f"ep_paused_{number}" for number in range(150)))
    await connection.execute("UPDATE endpoints SET paused_until = 1e12 WHERE id LIKE 'ep_paused%'")
    assert await claim(store) == []
    deadline = time.monotonic() + PATIENCE
    while (pages := await pages_of_a_look(connection)) >= 10:  # as long as another session's snapshot keeps dead rows
        assert time.monotonic() < deadline, pages
        await asyncio.sleep(0.05)


async def pages_of_a_look(connection: Connection) -> int:
    """How many pages a claim reads to find whom it may serve, where what is dead is swept out as far as it goes."""
    await connection.execute("VACUUM ANALYZE turns")
    [plan] = await connection.fetchrow(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {claims._CANDIDATES}", NOW, 64, []
    )
    pages: int = msgspec.json.decode(plan)[0]["Plan"]["Shared Hit Blocks"]
    return pages


async def fill(store: Store, *names: str, now: float = NOW) -> list[Claim]:
    """Endpoints with one delivery under way, nothing left over, and then a newer one: full, and not set aside."""
    for name in names:
        await store.create_endpoint(endpoint(name, events=PENDING, max_in_flight=1))
    await store.record([created(f"job_{names}_old", now=now)])
    held = await claim(store, now, limit=1000)
    assert len(held) == len(names)
    await store.record([created(f"job_{names}_new", now=now)])
    return held


@pytest.mark.parametrize(("full", "limit"), [(1, 1), (1, 2), (40, 1), (40, 64)])
async def test_who_is_full_is_not_in_the_way_of_those_behind(
    start: Servers, connection: Connection, full: int, limit: int
) -> None:
    store = await start()
    names = [f"ep_full_{number}" for number in range(full)]
    held = await fill(store, *names, now=NOW - 10)
    await store.create_endpoint(endpoint("ep_new", workspace="ws_new"))
    await store.record([created("job_new", workspace="ws_new")])
    assert [one.endpoint_id for one in await claim(store, limit=limit)] == ["ep_new"]
    assert set((await line(connection)).values()) == {float("inf")}, "it is set aside at once"
    await store.settle([settlement(one) for one in held], now=NOW)
    assert {one.endpoint_id for one in await claim(store)} == set(names)


async def test_endpoints_whose_leases_are_being_ended_are_not_set_aside(start: Servers, connection: Connection) -> None:
    """Who ends a lease has looked for endpoints that stand aside already: their turns are left for the next claim."""
    store = await start()
    names = [f"ep_full_{number}" for number in range(20)]
    await fill(store, *names, now=NOW - 10)
    await store.create_endpoint(endpoint("ep_new", workspace="ws_new"))
    await store.record([created(f"job_new_{number}", workspace="ws_new") for number in range(2)])
    with store.bells.deliveries.listen() as rung:
        async with connection.transaction(), asyncio.timeout(PATIENCE):
            await connection.execute("UPDATE deliveries SET claim_id = NULL WHERE claim_id IS NOT NULL")
            assert [one.endpoint_id for one in await claim(store, limit=1)] == ["ep_new"], "they are in nobody's way"
            assert [one.endpoint_id for one in await claim(store)] == ["ep_new"]
            rung.clear()
            await asyncio.sleep(AGAIN_AFTER)  # whatever the claim has put off for as long has been done by then
            assert not rung.is_set(), "they are not passed over: who ends the leases will ring"
    assert {one.endpoint_id for one in await claim(store)} == set(names)


async def test_an_endpoint_full_by_a_servers_limit_alone_is_not_in_the_way_of_a_wider_one(start: Servers) -> None:
    narrow, wide = await start(), await start()
    await backlog(narrow, 1, "ep_1")
    assert len(await claim(narrow, per_endpoint=1)) == 1
    await narrow.record([created("job_new")])
    assert await claim(narrow, per_endpoint=1) == []
    assert len(await claim(wide, per_endpoint=2)) == 1


async def test_a_clock_that_was_ahead_keeps_nobody_waiting(
    start: Servers, connection: Connection, real_time: RealTime
) -> None:
    """What was served an hour from now stands behind all others for a minute at most, not for an hour."""
    store = await start()
    await backlog(store, 4, "ep_1", "ep_paused", max_in_flight=2)
    await store.settle([settlement(one) for one in await claim(store, NOW + 3600)], now=NOW + 3600)
    await connection.execute("UPDATE endpoints SET paused_until = $1 WHERE id = 'ep_paused'", NOW + 30)
    assert await claim(store) == []
    assert await line(connection) == {1: 3600, 2: 3600}
    real_time.advance(AHEAD)
    assert [one.endpoint_id for one in await claim(store)] == ["ep_1", "ep_1"]
    assert await line(connection) == {2: 30}


# Several at once


async def test_nothing_is_forgotten_whoever_claims_settles_and_records_at_once(
    start: Servers, connection: Connection
) -> None:
    """Narrow limits, so that endpoints are full most of the time, and servers that end each other's leases."""
    stores = [await start() for _ in range(3)]
    await backlog(stores[0], 0, "ep_1", "ep_2", "ep_3", max_in_flight=2)
    recording = asyncio.create_task(record(stores[0], 60))
    done = await asyncio.gather(*(work(store, recording) for store in stores))
    rest = await deliver_all(stores[0])
    assert len({held.delivery_id for group in (*done, rest) for held in group}) == 180
    assert await connection.fetch(FORGOTTEN) == []


async def record(store: Store, count: int) -> None:
    for number in range(count):
        await store.record([created(f"job_{number}")])


async def work(store: Store, recording: asyncio.Task[None]) -> list[Claim]:
    done: list[Claim] = []
    async with asyncio.timeout(60):
        while not recording.done() or await store.is_delivering(NOW):
            held = await claim(store, limit=3)
            await store.settle([settlement(one) for one in held], now=NOW)
            done += held
            await asyncio.sleep(0)  # a turn of the others
    return done


async def test_who_finds_an_endpoint_in_anothers_hands_is_called_again(start: Servers, connection: Connection) -> None:
    store = await start()
    await backlog(store, 1, "ep_1")
    with store.bells.deliveries.listen() as rung:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM endpoints FOR NO KEY UPDATE")
            assert await claim(store) == []
            rung.clear()
            async with asyncio.timeout(PATIENCE):
                await rung.wait()
    assert len(await claim(store)) == 1


async def test_however_many_find_it_in_anothers_hands_they_are_called_again_once(
    start: Servers, connection: Connection
) -> None:
    store = await start()
    await backlog(store, 1, "ep_1")
    with store.bells.deliveries.listen(CountingEvent()) as rung:
        assert isinstance(rung, CountingEvent)
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM endpoints FOR NO KEY UPDATE")
            assert await asyncio.gather(*(claim(store) for _ in range(3))) == [[], [], []]
            await asyncio.sleep(AGAIN_AFTER)  # timers of the same length that began before have ended by then
    assert rung.times == 1


class CountingEvent(asyncio.Event):
    """How often it was set."""

    times = 0

    def set(self) -> None:
        super().set()
        self.times += 1


async def test_a_claim_comes_last_in_its_transaction(start: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """It locks leases of others: what then waited for a lease that they hold could wait in a circle."""
    store = await start()
    await backlog(store, 1, "ep_1")
    held = await claim(store)
    order: list[str] = []
    for name in ("claim", "renew"):
        monkeypatch.setattr(claims, name, noting(order, name, getattr(claims, name)))
    await asyncio.gather(claim(store), store.renew_claims(held, lease=60))
    assert order == ["renew", "claim"]


def noting(order: list[str], name: str, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def noted(*arguments: Any) -> Any:
        order.append(name)
        return await run(*arguments)

    return noted


# Older databases


async def test_a_database_from_before_gets_its_turns(postgres: str, worker_id: str) -> None:
    name = f"turns_{worker_id}"
    await drop_database(postgres, name)
    url = await create_database(postgres, name)
    connection = await Database(url).connect()
    before = next(number for number, step in enumerate(migrations()) if "CREATE TABLE turns" in step)
    await migrate(connection, to=before)
    await connection.execute(
        "INSERT INTO endpoints (id, workspace_id, url, created_at, secret, retired, headers, ordering, is_callback, "
        "status) SELECT 'ep_' || n, 'ws_default', '', 0, '', '[]', '{}', 'job', false, 'enabled' "
        "FROM generate_series(1, 3) n"
    )
    await connection.execute(
        "INSERT INTO deliveries (event, endpoint, state, due_at, claim_id, leased_until) VALUES "
        "(1, 1, 'due', $1, NULL, NULL), (2, 1, 'due', $1 + 9, NULL, NULL), (1, 2, 'due', $1, 7, 1), "
        "(1, 3, 'waiting', NULL, NULL, NULL)",
        NOW,
    )
    store = await PostgresStore.open(url)
    assert await line(connection) == {1: 0}
    await store.close()
    await connection.close()
    await drop_database(postgres, name)
