"""What is settled in PostgreSQL: in the partition of its day, made in time, and dropped whole when nothing is kept."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    endpoint,
    life,
    progressed,
    retry,
    settlement,
)
from tests.server.store.engines import PostgresEngine, RealTime
from tests.waiting import PATIENCE
from video_translation_server.model import DeliveryState, Outcome, OutcomeKind, Sweep, SweepKind
from video_translation_server.store import DeliveryFilter, Retention, Store
from video_translation_server.store.postgres.database import Connection, Database

DAY = 86_400.0
MIDNIGHT = NOW - NOW % DAY + DAY
"""The first one after NOW, in UTC: the night to 16 January 2027."""
RETENTION = Retention()
PENDING = ("video_translate.pending",)

Servers = Callable[[], Awaitable[Store]]


@pytest_asyncio.fixture(loop_scope="session")
async def start(postgres_engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Servers]:
    """Starts one more server on the same, at first empty, database."""
    started: list[Store] = []
    real_time = RealTime()

    async def start() -> Store:
        started.append(await postgres_engine.open(tmp_path, real_time))
        return started[-1]

    yield start
    for store in started:
        await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def database(postgres_engine: PostgresEngine) -> AsyncIterator[Connection]:
    """A connection beside the servers' own."""
    connection = await Database(postgres_engine.url).connect()
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def store(start: Servers, database: Connection) -> Store:
    """The first server, on a database without any partition."""
    server = await start()
    for name in await partitions(database):
        await database.execute(f"DROP TABLE {name}")
    return server


async def partitions(database: Connection) -> list[str]:
    """The partitions that there are, by name."""
    rows = await database.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent IN ('settled_delivered'::regclass, 'settled_failed'::regclass) ORDER BY 1"
    )
    return [row[0] for row in rows]


async def places(database: Connection) -> dict[str, int]:
    """How many rows there are, by partition; `deliveries` are the open ones."""
    rows = await database.fetch(
        "SELECT tableoid::regclass::text FROM settled UNION ALL SELECT 'deliveries' FROM deliveries"
    )
    return dict(Counter(row[0] for row in rows))


async def ids(store: Store) -> list[int]:
    found, _ = await store.deliveries(WORKSPACE, limit=1000, wanted=DeliveryFilter())
    return [one.id for one in found]


async def prune(store: Store, now: float, retention: Retention = RETENTION) -> None:
    after: int | None = 0
    while after is not None:
        after = await store.prune(now, retention=retention, after=after, chunk=100)


async def deliver(store: Store, job_id: str, now: float) -> int:
    """A delivery that arrives at that time; its id."""
    await store.record([created(job_id, now=now)])
    async with asyncio.timeout(PATIENCE):
        while not (claims := await claim(store, now)):
            """Its endpoint is in the hands of who drops a day."""
    [held] = claims
    assert await store.settle([settlement(held, started_at=now)], now=now) == [True]
    return held.delivery_id


# Into the partition of its day


async def test_what_is_settled_lies_in_the_partition_of_its_day_and_end(store: Store, database: Connection) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await deliver(store, "job_1", MIDNIGHT - 0.001)
    await deliver(store, "job_2", MIDNIGHT)
    await store.record([created("job_3", now=MIDNIGHT), created("job_4", now=MIDNIGHT)])
    held, later = await claim(store, MIDNIGHT)
    await store.settle([dead(held), retry(later, MIDNIGHT + 5)], now=MIDNIGHT + 1)
    assert await places(database) == {
        "settled_delivered_20270115": 1,
        "settled_delivered_20270116": 1,
        "settled_failed_20270116": 1,
        "deliveries": 1,
    }
    assert await database.fetchval("SELECT count(*) FROM attempts") == 1, "of what is open; the others went along"


async def test_every_way_to_be_settled_leads_out_of_the_queue(store: Store, database: Connection) -> None:
    """Also one that takes place on a day for which nobody has made a partition."""
    await store.create_endpoint(endpoint("ep_1", events=[PENDING[0], "video_translate.progress"]))
    first = created()
    await store.record([first])
    await deliver_all(store)
    step = progressed(first.job, 10, now=NOW + DAY)
    await store.record([step])
    await store.record([progressed(step.job, 20, now=NOW + 2 * DAY)])  # which takes the first one's place
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW + 3 * DAY)
    await store.create_endpoint(endpoint("ep_2", ttl_seconds=1.0, expires_at=NOW + 4 * DAY, events=PENDING))
    await store.record([created("job_2")])
    assert await store.expire_endpoints(NOW + 5 * DAY) == ["ep_2"]
    assert await places(database) == {
        "settled_delivered_20270115": 1,
        "settled_failed_20270117": 1,
        "settled_failed_20270118": 1,
        "settled_failed_20270120": 1,
    }


async def test_what_fails_and_gives_way_takes_its_attempts_along(store: Store, database: Connection) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    held = await claim_one(store)
    for number in range(3):
        held = await claim_one(store) if number else held
        outcome = Outcome(kind=OutcomeKind.STATUS, status=500, body=b"no" * number)
        await store.settle([settlement(held, retry(held, NOW).verdict, outcome=outcome)], now=NOW)
    assert (await store.delivery(WORKSPACE, held.delivery_id)).state is DeliveryState.SUPERSEDED
    assert [one.outcome.body for one in await store.attempts(held.delivery_id)] == [b"", b"no", b"nono"]
    assert await places(database) == {"settled_failed_20270115": 1, "deliveries": 2}
    assert await database.fetchval("SELECT count(*) FROM attempts") == 0


async def test_what_is_taken_up_again_is_in_the_queue_and_nowhere_else(store: Store, database: Connection) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    delivery = await deliver(store, "job_1", NOW)
    await store.resend(WORKSPACE, delivery, now=NOW + 1)
    assert await places(database) == {"deliveries": 1}
    assert (await claim_one(store, NOW + 1)).attempt == 2


async def test_partitions_are_made_before_they_are_needed(store: Store, database: Connection) -> None:
    await store.prune(NOW, retention=RETENTION, after=0, chunk=10)
    days = ("20270115", "20270116", "20270117")
    assert await partitions(database) == [f"settled_{kind}_{day}" for kind in ("delivered", "failed") for day in days]


async def test_two_servers_resend_one_delivery_once(start: Servers, store: Store, database: Connection) -> None:
    other = await start()
    await store.create_endpoint(endpoint(events=PENDING))
    done = [await deliver(store, f"job_{number}", NOW) for number in range(20)]
    await asyncio.gather(*(one.resend(WORKSPACE, delivery, now=NOW) for delivery in done for one in (store, other)))
    assert sorted(await ids(store)) == done
    assert await places(database) == {"deliveries": 20}


async def test_a_listing_shows_each_delivery_once_while_another_server_settles(start: Servers, store: Store) -> None:
    other = await start()
    await store.create_endpoint(endpoint(events=PENDING))
    await store.record([created(f"job_{number}") for number in range(120)])
    everything = await ids(store)
    settling = asyncio.create_task(settle_slowly(other))
    while not settling.done():
        found: list[int] = []
        token: int | None = None
        while not found or token is not None:
            page, token = await store.deliveries(WORKSPACE, limit=7, token=token, wanted=DeliveryFilter())
            found += [one.id for one in page]
        assert found == everything
    await settling


async def settle_slowly(store: Store) -> None:
    """One after the other, and each third of them once more."""
    while claims := await claim(store, limit=1):
        [held] = claims
        await store.settle([settlement(held)], now=NOW)
        if held.attempt == 1 and held.delivery_id % 3 == 0:
            await store.resend(WORKSPACE, held.delivery_id, now=NOW)


# Dropped whole


async def test_a_day_is_dropped_when_nothing_of_it_is_kept_and_seen_no_longer_from_the_second_on(
    store: Store, database: Connection
) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    early = await deliver(store, "job_1", NOW)
    late = await deliver(store, "job_2", MIDNIGHT - 1)
    await prune(store, NOW + 7 * DAY + 1)
    assert await ids(store) == [late]
    assert await store.attempts(early) == []
    assert (await places(database))["settled_delivered_20270115"] == 2, "the day has something that is kept"
    await prune(store, MIDNIGHT - 1 + 7 * DAY)
    assert await ids(store) == [late]
    await prune(store, MIDNIGHT + 7 * DAY)
    assert await ids(store) == []
    assert "settled_delivered_20270115" not in await partitions(database)
    assert "settled_failed_20270115" in await partitions(database), "what failed is kept longer"
    await prune(store, MIDNIGHT + 30 * DAY)
    assert "settled_failed_20270115" not in await partitions(database)


async def test_however_little_is_kept_a_day_stays_for_another(store: Store, database: Connection) -> None:
    """Somebody may be about to settle what ended a moment before midnight."""
    await prune(store, NOW)
    await prune(store, MIDNIGHT + DAY - 1, Retention(delivered=0.0))
    assert "settled_delivered_20270115" in await partitions(database)
    await prune(store, MIDNIGHT + DAY, Retention(delivered=0.0))
    assert "settled_delivered_20270115" not in await partitions(database)


async def test_what_is_kept_no_longer_does_not_come_back_when_more_is_to_be_kept(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await deliver(store, "job_1", NOW)
    await prune(store, NOW + 2 * DAY, Retention(delivered=DAY))
    await prune(store, NOW + 2 * DAY, RETENTION)
    assert await ids(store) == []


@pytest.mark.parametrize("later", [1.0, DAY, 2 * DAY])
async def test_what_arrived_is_not_replayed_whether_its_day_was_dropped_or_not(
    store: Store, database: Connection, later: float
) -> None:
    now = NOW + 7 * DAY + later
    await store.create_endpoint(endpoint("ep_1", events=PENDING))
    await deliver(store, "job_1", NOW)
    await store.create_endpoint(endpoint("ep_2", events=PENDING))
    await prune(store, now)
    assert ("settled_delivered_20270115" in await partitions(database)) == (later == 1.0)
    for name in ("ep_1", "ep_2"):
        sweep = Sweep(
            id=f"rec_{name}", workspace_id=WORKSPACE, endpoint_id=name, kind=SweepKind.REPLAY, since=0, created_at=now
        )
        await store.start_sweep(sweep)
    await store.advance_sweeps(now, chunk=10, backlog=10)
    assert [held.endpoint_id for held in await claim(store, now)] == ["ep_2"], "which never got it"


async def test_what_arrived_is_not_replayed_when_its_day_is_dropped_in_the_middle_of_a_step(
    start: Servers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await start()
    await store.create_endpoint(endpoint(events=PENDING))
    await deliver(store, "job_1", NOW)
    now = NOW + 9 * DAY
    sweep = Sweep(
        id="rec_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.REPLAY, since=0, created_at=now
    )
    await store.start_sweep(sweep)

    async def backlog_of(*_: object) -> int:
        await prune(other, now)
        return 0

    monkeypatch.setattr("video_translation_server.store.postgres.sweeps._Walk._backlog_of", backlog_of)
    await store.advance_sweeps(now, chunk=10, backlog=10)
    assert (await store.sweep(WORKSPACE, "rec_1")).found == 0
    assert await claim(store, now) == []


async def test_answers_of_what_failed_go_before_it(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await store.record([created()])
    held = await claim_one(store)
    outcome = Outcome(kind=OutcomeKind.STATUS, status=500, body=b"answer")
    await store.settle([settlement(held, dead(held).verdict, outcome=outcome)], now=NOW)
    await prune(store, NOW + 7 * DAY)
    assert [one.outcome.body for one in await store.attempts(held.delivery_id)] == [b"answer"]
    await prune(store, NOW + 7 * DAY + 1)
    assert [one.outcome.body for one in await store.attempts(held.delivery_id)] == [b""]


async def test_a_day_that_somebody_reads_stalls_nobody_and_is_dropped_another_time(
    store: Store, database: Connection, postgres_engine: PostgresEngine
) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await deliver(store, "job_1", NOW)
    now = MIDNIGHT + 8 * DAY
    reader = await asyncpg.connect(postgres_engine.url, server_settings={"search_path": "video_translation"})
    try:
        # As a backup does, for hours.
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("LOCK TABLE settled IN ACCESS SHARE MODE")

        async def go_on() -> list[int]:
            return [await deliver(store, f"job_late_{number}", now) for number in range(5)]

        done, _ = await asyncio.gather(go_on(), prune(store, now))
        assert await ids(store) == done[::-1]
        assert "settled_delivered_20270115" in await partitions(database)
        await transaction.rollback()
    finally:
        await reader.close()
    await prune(store, now)
    assert "settled_delivered_20270115" not in await partitions(database)


async def test_several_servers_make_and_drop_days_at_once(start: Servers, store: Store, database: Connection) -> None:
    servers = [store, await start(), await start()]
    await store.create_endpoint(endpoint(events=PENDING))
    await store.record([created(f"job_{number}") for number in range(30)])
    claims = [await claim(server, limit=10, per_endpoint=100) for server in servers]
    now = NOW + 3 * DAY
    settled = await asyncio.gather(
        *(
            server.settle([settlement(held)], now=now + day * DAY)
            for server, held_by in zip(servers, claims, strict=True)
            for day, held in enumerate(held_by)
        )
    )
    assert settled == [[True]] * 30
    assert await places(database) == {f"settled_delivered_202701{18 + day}": 3 for day in range(10)}
    end = now + 100 * DAY
    await asyncio.gather(*(prune(server, end) for server in servers))
    await prune(store, end)  # one that was in use at that moment was left for later
    assert [name for name in await partitions(database) if "_202701" in name] == []
    late = await deliver(servers[0], "job_late", end)
    assert await ids(servers[2]) == [late]


async def test_a_round_of_pruning_while_the_clock_was_ahead_is_repaired_as_the_page_about_operations_says(
    store: Store, database: Connection
) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    now = float(await database.fetchval("SELECT extract(epoch FROM now())"))
    await deliver(store, "job_1", now)
    await prune(store, now + 30 * DAY)
    late = await deliver(store, "job_2", now)
    assert await ids(store) == []
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    [repair] = re.findall(r"^UPDATE video_translation\.kept [^;]+;", page, re.MULTILINE)
    await database.execute(repair)
    await prune(store, now)
    assert await ids(store) == [late], "the day of the first one is gone"
