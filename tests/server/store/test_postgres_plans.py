"""What is read often in PostgreSQL finds an index, in what is open and in what is settled."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.server.store.builders import NOW, WORKSPACE, created, endpoint
from tests.server.store.engines import PostgresEngine, RealTime
from video_translation_server.model import DeliveryState
from video_translation_server.store import DeliveryFilter
from video_translation_server.store.postgres import listing
from video_translation_server.store.postgres.database import Connection, Database

ROWS = 3000
OTHERS = 7
EVENTS = 300

PAGES = {
    "all": DeliveryFilter(),
    "to an endpoint": DeliveryFilter(endpoint_id="ep_7"),
    "to an endpoint, dead": DeliveryFilter(endpoint_id="ep_7", state=DeliveryState.DEAD),
    "to an endpoint, delivered": DeliveryFilter(endpoint_id="ep_7", state=DeliveryState.DELIVERED),
    "to an endpoint, due": DeliveryFilter(endpoint_id="ep_7", state=DeliveryState.DUE),
    "dead": DeliveryFilter(state=DeliveryState.DEAD),
    "of an event": DeliveryFilter(event_id="evt_job_7_1"),
    "of a job": DeliveryFilter(job_id="job_7"),
    "of a job, to an endpoint": DeliveryFilter(job_id="job_7", endpoint_id="ep_7"),
}


@pytest_asyncio.fixture(loop_scope="session")
async def connection(postgres_engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Connection]:
    """A database with as many open deliveries as settled ones, few of them to the last of eight endpoints."""
    store = await postgres_engine.open(tmp_path, RealTime())
    await store.record([created(f"job_{number}") for number in range(EVENTS)])
    for number in range(OTHERS + 1):
        await store.create_endpoint(endpoint(f"ep_{number}"))
    await store.close()
    connection = await Database(postgres_engine.url).connect()
    rows = "FROM generate_series(1, $1::int) AS number"
    of = (
        "(SELECT min(position) FROM events) + number % $3::int, "
        "(SELECT min(n) FROM endpoints) + CASE number % 300 WHEN 7 THEN 7 ELSE number % $2::int END, "
        "(SELECT min(n) FROM jobs) + number % $3::int"
    )
    shape = (ROWS, OTHERS, EVENTS)
    await connection.execute(
        f"INSERT INTO deliveries (event, endpoint, job, state, due_at) SELECT {of}, 'due', $4::float8 {rows}",
        *shape,
        NOW,
    )
    await connection.execute("SELECT make_day($1)", int(NOW // 86400))
    await connection.execute(
        "INSERT INTO settled (id, event, endpoint, job, attempts, state, settled_at) "
        f"SELECT nextval('deliveries_id_seq'), {of}, 1, CASE number / 300 % 2 WHEN 0 THEN 'dead' ELSE 'delivered' END, "
        f"$4::float8 {rows}",
        *shape,
        NOW,
    )
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


def passed_over(plan: dict[str, Any]) -> int:
    """Rows that were read and not wanted."""
    mine = plan.get("Rows Removed by Filter", 0) * plan["Actual Loops"]
    return int(mine) + sum(passed_over(part) for part in plan.get("Plans", ()))


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_of_deliveries_finds_its_index(connection: Connection, name: str) -> None:
    query, values = listing.select(WORKSPACE, 20, None, PAGES[name])
    assert await connection.fetch(query, *values) != []
    [plan] = await connection.fetchrow(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values)
    assert passed_over(msgspec.json.decode(plan)[0]["Plan"]) < ROWS / 10
