"""The schema of PostgreSQL: brought forward from every earlier version, by one of the servers that start at once."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.postgres import create_database, drop_database
from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim_one,
    created,
    deliveries_of,
    endpoint,
    life,
    read_log,
    settlement,
)
from video_translation_server.errors import StoreError
from video_translation_server.model import DeliveryState, Outcome, OutcomeKind
from video_translation_server.store import DeliveryFilter
from video_translation_server.store.postgres import PostgresStore
from video_translation_server.store.postgres.database import Database, migrate, migrations


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres: str, worker_id: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"migrated_{worker_id}"
    await drop_database(postgres, name)
    yield await create_database(postgres, name)
    await drop_database(postgres, name)


async def test_several_servers_may_start_at_once_on_an_empty_database(url: str) -> None:
    stores = await asyncio.gather(*(PostgresStore.open(url) for _ in range(4)))
    assert await stores[0].record([created()]) == [True]
    assert await stores[3].job(WORKSPACE, "job_1") == created().job
    for store in stores:
        await store.close()
    connection = await Database(url).connect()
    versions = [row[0] for row in await connection.fetch("SELECT version FROM schema_version ORDER BY version")]
    await connection.close()
    assert versions == list(range(1, len(migrations()) + 1)), "each step once"


@pytest.mark.parametrize("version", range(1, len(migrations()) + 1))
async def test_what_an_earlier_version_wrote_goes_on(url: str, version: int) -> None:
    connection = await Database(url).connect()
    await migrate(connection, to=version)
    await connection.execute(DATA)
    await connection.close()
    store = await PostgresStore.open(url)
    try:
        assert (await store.job(WORKSPACE, "job_1")).output_language == "Spanish"
        assert [event.id for event in await read_log(store)] == ["evt_1"]
        held = await claim_one(store)
        assert (held.event_id, held.job_id, held.url) == ("evt_1", "job_1", "http://localhost/ep_1")
        assert await store.settle([settlement(held)], now=NOW) == [True]
        await store.record(life("job_2"))
        assert [event.job_id for event in await read_log(store)] == ["job_1", *["job_2"] * 3]
    finally:
        await store.close()


DATA = """
INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, created_at, updated_at,
  due_at, progress, runs, in_preflight)
VALUES ('job_1', 'ws_default', 'pending', 1, 1, 'Spanish', '{}', '{"pending_seconds": 1, "running_seconds": 2}',
  1800000000, 1800000000, 1800000005, 0, 0, false);
UPDATE log SET position = 1;
INSERT INTO events (position, id, workspace_id, type, created_at, body, job, sequence)
VALUES (1, 'evt_1', 'ws_default', 'video_translate.pending', 1800000000, '{}', 1, 1);
INSERT INTO endpoints (id, workspace_id, url, created_at, secret, retired, headers, ordering, is_callback, status)
VALUES ('ep_1', 'ws_default', 'http://localhost/ep_1', 1800000000, 'whsec_AAAA', '[]', '{}', 'job', false, 'enabled');
INSERT INTO deliveries (event, endpoint, job, state, due_at) VALUES (1, 1, 1, 'due', 1800000000);
"""


async def test_a_schema_from_the_future_is_left_alone(url: str) -> None:
    store = await PostgresStore.open(url)
    await store.create_endpoint(endpoint())
    await store.close()
    connection = await Database(url).connect()
    await connection.execute("INSERT INTO schema_version (version) VALUES (999)")
    with pytest.raises(StoreError, match=r"version 999.*newer version"):
        await PostgresStore.open(url)
    assert await connection.fetchval("SELECT count(*) FROM endpoints") == 1
    await connection.close()


async def test_other_tenants_of_the_database_are_left_alone(url: str) -> None:
    connection = await Database(url).connect()
    await connection.execute("CREATE TABLE public.jobs (id text); INSERT INTO public.jobs VALUES ('theirs')")
    store = await PostgresStore.open(url)
    await store.record([created()])
    await store.close()
    assert await connection.fetchval("SELECT id FROM public.jobs") == "theirs"
    assert await connection.fetchval("SELECT id FROM video_translation.jobs") == "job_1"
    await connection.close()


async def test_what_was_settled_before_there_were_days_is_moved_into_them(url: str) -> None:
    connection = await Database(url).connect()
    await migrate(connection, to=1)
    await connection.execute(DATA + SETTLED_DATA)
    store = await PostgresStore.open(url)
    try:
        found, _ = await store.deliveries(WORKSPACE, limit=10, wanted=DeliveryFilter())
        assert [(one.id, one.state, one.attempts, one.settled_at) for one in found] == [
            (5, DeliveryState.DUE, 1, None),
            (4, DeliveryState.SUPERSEDED, 0, 1800090000.0),
            (3, DeliveryState.DEAD, 1, 1800090000.0),
            (2, DeliveryState.DELIVERED, 2, 1800000009.0),
            (1, DeliveryState.DUE, 0, None),
        ]
        logs = [await store.attempts(number) for number in range(1, 6)]
        assert [[(one.number, one.outcome.body) for one in log] for log in logs] == [
            [],
            [(1, b"no"), (2, b"")],
            [(1, b"")],
            [],
            [(1, b"later")],
        ]
        assert logs[1][0].outcome == Outcome(
            kind=OutcomeKind.STATUS, status=500, detail="why", retry_after="7", body=b"no", address="::1"
        )
        rows = await connection.fetch("SELECT id, tableoid::regclass::text FROM settled ORDER BY id")
        assert [tuple(row) for row in rows] == [
            (2, "settled_delivered_20270115"),
            (3, "settled_failed_20270116"),
            (4, "settled_failed_20270116"),
        ]
        assert (await store.resend(WORKSPACE, 3, now=NOW)).attempts == 1
        with pytest.raises(asyncpg.CheckViolationError):  # a server of an earlier version
            await connection.execute("UPDATE deliveries SET state = 'delivered', settled_at = 1800090000 WHERE id = 1")
        await store.record([created("job_2")])
        assert (await deliveries_of(store, WORKSPACE, "evt_job_2_1"))[0].id == 6, "ids go on"
    finally:
        await store.close()
        await connection.close()


SETTLED_DATA = """
INSERT INTO deliveries (event, endpoint, job, state, attempts, first_attempt_at, settled_at, due_at) VALUES
  (1, 1, 1, 'delivered', 2, 1800000001, 1800000009, NULL),
  (1, 1, 1, 'dead', 1, 1800000001, 1800090000, NULL),
  (1, 1, 1, 'superseded', 0, NULL, 1800090000, NULL),
  (1, 1, NULL, 'due', 1, 1800000001, NULL, 1800000000);
INSERT INTO attempts (delivery, number, started_at, duration, kind, status, detail, retry_after, body, address) VALUES
  (2, 2, 1800000005, 0.25, 'status', 204, '', NULL, '', NULL),
  (2, 1, 1800000001, 0.25, 'status', 500, 'why', '7', 'no', '::1'),
  (3, 1, 1800000001, 0.25, 'refused', NULL, 'why', NULL, '', NULL),
  (5, 1, 1800000001, 0.25, 'status', 500, '', NULL, 'later', NULL);
"""
