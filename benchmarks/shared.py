"""`make bench-delivery STORE=postgresql`: what a delivery costs on PostgreSQL, beside the embedded engine in one run.

A backlog is drained by one and by two worker processes. `ratio_embedded` is the embedded engine's CPU per delivery
divided by that of one worker process here; the database's CPU, its statements and its WAL are stated beside it. `busy`
says which parts kept how many cores busy meanwhile: where none was free, a second worker had nothing to win, and
`per_cpu_second` (deliveries per CPU second of workers and database) says what it would bring with cores of its own.
Then comes the large backlog (`benchmarks.backlog`).
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import asyncpg
import psutil

from benchmarks import backlog
from benchmarks.child import call
from benchmarks.cores import Cores
from benchmarks.cores import told as told_of
from benchmarks.delivery import Bench
from benchmarks.delivery import Options as DeliveryOptions
from benchmarks.engine import Conditions, engine
from benchmarks.meter import Meter, run
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, medians, option, options, table
from tests.postgres import Cluster, create_database

LOOK = 0.02
"""Seconds between two looks at what is still open."""
ALL_UP = 4.0
"""Seconds until every worker process has settled in."""
_UNCOUNTED = asyncpg.connect
"""For the benchmark's own looks, which are none of the engine's statements."""
DURABLE = {"fsync": "on", "max_wal_size": "4GB", "shared_buffers": "256MB"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    deliveries: int = option(15_000, "deliveries per contestant and round")
    endpoints: int = option(100, "endpoints, each a URL of its own")
    in_flight: int = option(64, "requests under way, of each worker process")
    rounds: int = option(2, "rounds; each has every contestant once")
    backlog: int = option(1_000_000, "deliveries of the large backlog")
    seed: int = option(1, "seed of ids, secrets and bodies")
    timeout: int = option(120, "seconds after which a contestant is ended")
    results: str = option("", "folder for the result instead of benchmarks/results")


class SharedBench:
    """The same deliveries to the same receiver, on either engine."""

    def __init__(self, chosen: Options, receiver: Receiver, folder: Path) -> None:
        shared = ("deliveries", "endpoints", "in_flight", "seed", "timeout")
        given = DeliveryOptions(**{name: getattr(chosen, name) for name in shared})
        self._chosen = chosen
        self._embedded = Bench(given, receiver, folder)
        self._folder = folder
        self.cluster = Cluster(folder / "postgres", DURABLE)
        self._count = 0
        self._parts = {"database": lambda: _cpu_of(self.cluster), "receiver": lambda: receiver.stats()[1]}

    def close(self) -> None:
        """End the database."""
        self.cluster.close()

    def embedded(self) -> dict[str, Any]:
        """The embedded engine."""
        return self._embedded.drain(logging=True)

    def shared(self, workers: int, *, counting: bool = False) -> dict[str, Any]:
        """So many worker processes on a database of their own with a backlog in it."""
        self._count += 1
        url = asyncio.run(create_database(self.cluster.url, f"bench_{self._count}"))
        shape, timeout = asdict(self._embedded.shape), self._chosen.timeout
        stands_at = call("benchmarks.draining:load", timeout=timeout, shape=shape, database=url)["stands_at"]
        asyncio.run(_execute(url, "CHECKPOINT; ANALYZE"))
        opens_at = time.time() + ALL_UP
        with ThreadPoolExecutor(workers) as pool:
            draining = [
                pool.submit(
                    call,
                    "benchmarks.shared:drain",
                    timeout=timeout,
                    conditions=self._conditions(url, stands_at, number),
                    opens_at=opens_at,
                    counting=counting,
                )
                for number in range(workers)
            ]
            time.sleep(max(0.0, opens_at - time.time()))
            cores, wal = Cores(self._parts), asyncio.run(_wal(url))
            told = [one.result() for one in draining]
            busy = cores.stop()
        cost = self._cost(told, busy) | {"wal_bytes": (asyncio.run(_wal(url)) - wal) / self._chosen.deliveries}
        statements = sum(one["statements"] for one in told) / self._chosen.deliveries
        return cost | ({"statements": statements} if counting else {})

    def _conditions(self, url: str, stands_at: float, number: int) -> dict[str, Any]:
        return {
            "database": url,
            "settings": {"concurrency": self._chosen.in_flight, "assets": str(self._folder / "assets")},
            "stands_at": stands_at,
            "log": str(self._folder / f"{self._count}-{number}.log"),
        }

    def _cost(self, told: list[dict[str, Any]], busy: dict[str, float]) -> dict[str, Any]:
        """What the deliveries cost, and who was busy with them; the workers measure themselves, from gate to end."""
        count, seconds = self._chosen.deliveries, max(one["seconds"] for one in told)
        workers = sum(one["cpu"] for one in told)
        busy = {"workers": workers / seconds} | busy
        busy["others"] = max(0.0, busy["others"] - busy["workers"])
        return {
            "per_second": count / seconds,
            "cpu_us": workers / count * 1e6,
            "database_cpu_us": busy["database"] * seconds / count * 1e6,
            "per_cpu_second": count / (workers + busy["database"] * seconds),
            "busy": busy,
        }


def drain(*, conditions: dict[str, Any], opens_at: float, counting: bool) -> dict[str, Any]:
    """One worker process, from the opening of the gate until all is settled."""
    return run(_drain(Conditions(**conditions), opens_at, counting=counting))


async def _drain(conditions: Conditions, opens_at: float, *, counting: bool) -> dict[str, Any]:
    with _counted(wanted=counting) as statements:
        async with engine(conditions) as (server, gate):
            connection = await _UNCOUNTED(conditions.database)
            await asyncio.sleep(max(0.0, opens_at - time.time()))
            statements.clear()
            meter = Meter()
            gate.open(server)
            while await connection.fetchval(  # noqa: ASYNC110  (it changes in the database)
                "SELECT EXISTS (SELECT 1 FROM video_translation.deliveries WHERE settled_at IS NULL)"
            ):
                await asyncio.sleep(LOOK)
            cost = meter.stop(1)
            count = statements.total()
            await connection.close()
    return {"seconds": cost["seconds"], "cpu": cost["cpu_us"] / 1e6, "statements": count}


@contextmanager
def _counted(*, wanted: bool) -> Iterator[Counter[str]]:
    """Count the statements on all connections that are made in the block."""
    counts: Counter[str] = Counter()
    connect, create_pool = asyncpg.connect, asyncpg.create_pool

    async def watch(connection: Any) -> None:
        connection.add_query_logger(lambda record: counts.update([record.query]))

    async def connect_watched(*arguments: Any, **options: Any) -> Any:
        connection = await connect(*arguments, **options)
        await watch(connection)
        return connection

    def pool_watched(*arguments: Any, **options: Any) -> Any:
        return create_pool(*arguments, init=watch, **options)

    if not wanted:
        yield counts
        return
    with (
        mock.patch.object(asyncpg, "connect", connect_watched),
        mock.patch.object(asyncpg, "create_pool", pool_watched),
    ):
        yield counts


async def _execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements.split("; "):
        await connection.execute(statement)
    await connection.close()


async def _wal(url: str) -> int:
    connection = await asyncpg.connect(url)
    written: int = await connection.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
    await connection.close()
    return written


def _cpu_of(cluster: Cluster) -> float:
    """User and system time of all its processes so far, in seconds; of those that have ended too."""
    postmaster = psutil.Process(cluster.pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    return sum(sum(process.cpu_times()[: 4 if process is postmaster else 2]) for process in processes)


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
        bench = SharedBench(chosen, receiver, Path(folder))
        try:
            result = measure(bench, chosen)
            large = backlog.measure(
                backlog.Options(backlog=chosen.backlog, in_flight=chosen.in_flight), bench.cluster, Path(folder)
            )
        finally:
            bench.close()
    columns = ("per_second", "cpu_us", "database_cpu_us", "wal_bytes", "per_cpu_second")
    rows = [[name, *(result[name].get(column, "") for column in columns)] for name in ("embedded", "one", "two")]
    table(
        "per delivery, medians",
        ["engine", "per second", "CPU us", "database's CPU us", "WAL bytes", "per CPU second"],
        rows,
    )
    for name in ("one", "two"):
        console.print(f"{name}: {told_of(result[name]['busy'])}")
    backlog.show(large)
    finish("delivery-postgresql", result | large, chosen.results)
    return 0


def measure(bench: SharedBench, chosen: Options) -> dict[str, Any]:
    """All rounds, and what follows from them."""
    statements = bench.shared(1, counting=True)["statements"]
    rounds = []
    for number in range(1, chosen.rounds + 1):
        told = {"embedded": bench.embedded(), "one": bench.shared(1), "two": bench.shared(2)}
        rounds.append(told)
        for name, one in told.items():
            console.print(
                f"round {number}/{chosen.rounds} {name:9} {one['cpu_us']:8.1f} us, {one['per_second']:,.0f}/s"
            )
    merged = {name: medians([told[name] for told in rounds]) for name in rounds[0]}
    return merged | {
        "statements": statements,
        "ratio_embedded": median(told["embedded"]["cpu_us"] / told["one"]["cpu_us"] for told in rounds),
        "ratio_two_workers": median(told["two"]["per_second"] / told["one"]["per_second"] for told in rounds),
        "ratio_two_workers_per_cpu": median(
            told["two"]["per_cpu_second"] / told["one"]["per_cpu_second"] for told in rounds
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
