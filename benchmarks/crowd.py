"""Fills a PostgreSQL database with a crowd of endpoints that wait, and measures there, for `benchmarks.backlog`.

Rows are multiplied in the database from a few that the store's own verbs have made, so that they are as the engine
writes them; `claims` and `flow` are run by child processes, on the engine as it is.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import asyncpg

from benchmarks.claiming import PER_ENDPOINT, ROOM, deliver
from benchmarks.engine import Conditions, engine
from benchmarks.meter import cpu_of, cpu_seconds, run
from benchmarks.pacing import LAST_ARRIVALS, Flow, lane
from benchmarks.traffic import Shape, changes, endpoints, workspace
from video_translation_server.model import Claim
from video_translation_server.store import Store, open_store

EVENTS = 300
"""The deliveries are of so many events by turns."""
NEWCOMERS = 10
"""Endpoints that get what is recorded meanwhile, each in a workspace of its own; the crowd is in workspace 0."""
SINCE = 3600.0
"""Seconds ago at which the oldest of a backlog became due."""
LEASE = 600.0
WARM_UP = 20
"""Claims that are not counted: statements are then planned for good."""

_CROWD = """
INSERT INTO endpoints ({columns}) SELECT {values} FROM endpoints, generate_series(2, $1::int) AS number WHERE id = $2
"""
# One of each endpoint, then the second of each, ...: as they would have come.
_BACKLOG = """
INSERT INTO deliveries (event, endpoint, state, due_at)
SELECT 1 + row_number() OVER () % $5, n, 'due', $3::float8 + round * 1e-3
FROM generate_series(1, $2::int) AS round, (
  SELECT n FROM endpoints WHERE workspace_id = $4 ORDER BY n LIMIT $1) waiting
"""
_CHANGE = """
UPDATE endpoints SET {assignments}
WHERE n IN (SELECT n FROM endpoints WHERE workspace_id = $1 ORDER BY n OFFSET $2 LIMIT $3)
"""
_OPEN = "SELECT endpoint, count(*) FROM deliveries WHERE settled_at IS NULL GROUP BY endpoint"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A connection to the engine's tables."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "video_translation"}, command_timeout=300)
    yield connection
    await connection.close()


async def gather(url: str, count: int, port: int) -> None:
    """Make so many endpoints of the crowd, and the newcomers; the receiver listens on `port`."""
    store, now = await open_store(url), time.time()
    await store.record(list(changes(Shape(deliveries=EVENTS, endpoints=1, fan_out=1, port=port, seed=1), now)))
    made = endpoints(Shape(deliveries=0, endpoints=1 + NEWCOMERS, fan_out=1, port=port, seed=1), now)
    for endpoint in made:
        await store.create_endpoint(endpoint)
    await store.close()
    async with connected(url) as connection:
        columns = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'video_translation' "
            "AND table_name = 'endpoints' AND column_name <> 'n'"
        )
        names = [row[0] for row in columns]
        values = [f"{name} || '_' || number" if name in ("id", "url") else name for name in names]
        crowd = _CROWD.format(columns=", ".join(names), values=", ".join(values))
        await connection.execute(crowd, count, made[0].id)
        await connection.execute("VACUUM ANALYZE")


async def wait(url: str, first: int, each: int) -> None:
    """Let the first so many endpoints of the crowd wait for `each` deliveries more, all due."""
    async with connected(url) as connection:
        await connection.execute(_BACKLOG, first, each, time.time() - SINCE, workspace(0), EVENTS)
        await connection.execute("VACUUM ANALYZE")


async def change(url: str, assignments: str, first: int, count: int) -> None:
    """Change so many endpoints of the crowd, from the `first` on."""
    async with connected(url) as connection:
        await connection.execute(_CHANGE.format(assignments=assignments), workspace(0), first - 1, count)


def claims(*, database: str, count: int, held: int) -> dict[str, Any]:
    """What a claim costs: CPU microseconds of this process and the database's, medians of so many claims.

    Each is settled before the next, but for the first so many deliveries, which stay `held`.
    """
    return run(_claims(database, count, held))


async def _claims(database: str, count: int, held: int) -> dict[str, Any]:
    store, costs, looks, found = await open_store(database), list[float](), list[float](), list[int]()
    async with connected(database) as connection:
        # Every connection is made once.
        await (_claim(store, held) if held else deliver(store, await _claim(store, 1), time.time()))
        await store.next_delivery_due(time.time())
        pids = [
            row[0]
            for row in await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        ]
        warm_up = min(WARM_UP, count)
        for number in range(warm_up + count):
            looking, began = _cpu(pids), _cpu(pids)
            taken = await _claim(store, ROOM)
            claimed = _cpu(pids)
            await store.next_delivery_due(time.time())
            looked = _cpu(pids)
            await deliver(store, taken, time.time())
            if number >= warm_up:
                costs.append(claimed - began - (began - looking))
                looks.append(looked - claimed - (began - looking))
                found.append(len(taken))
    await store.close()
    return {"claim_us": median(costs) * 1e6, "next_due_us": median(looks) * 1e6, "claimed": median(found)}


async def _claim(store: Store, limit: int) -> list[Claim]:
    return await store.claim(time.time(), limit=limit, per_endpoint=PER_ENDPOINT, lease=LEASE)


def _cpu(pids: list[int]) -> float:
    """CPU seconds of the server's connections in the database, and our own."""
    return cpu_seconds() + sum(map(cpu_of, pids))


def flow(*, conditions: dict[str, Any], rate: float, seconds: float, seed: str) -> dict[str, Any]:
    """One worker process on what waits, while newcomers' events are recorded at a steady rate.

    The answer: when each of those was recorded, and how many of each endpoint of the crowd were settled a second.
    """
    return run(_flow(Conditions(**conditions), rate, seconds, seed))


async def _flow(conditions: Conditions, rate: float, seconds: float, seed: str) -> dict[str, Any]:
    async with engine(conditions) as (server, gate), connected(conditions.database) as connection:
        before = dict(await connection.fetch(_OPEN))
        gate.open(server)
        began = time.perf_counter()
        names = [workspace(1 + number) for number in range(NEWCOMERS)]
        recorded = await lane(server.store, names, rate, Flow(seconds), seed=seed)
        lasted = time.perf_counter() - began
        after = dict(await connection.fetch(_OPEN))
        await asyncio.sleep(LAST_ARRIVALS)
    settled = {endpoint: (count - after.get(endpoint, 0)) / lasted for endpoint, count in before.items()}
    return {"recorded": recorded, "per_second": settled}
