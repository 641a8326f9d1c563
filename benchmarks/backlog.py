"""A backlog of a million deliveries on PostgreSQL, 90 % of them for one endpoint: is it fair, and what is a claim?

Part of `make bench-delivery STORE=postgresql`; `python -m benchmarks.backlog` runs it alone. One worker process
delivers for a while, with the large backlog and without it, and newcomers' events are recorded meanwhile:
`ratio_backlog_fair` is what the small endpoints get a second beside the large one, divided by what they get without
it; `ratio_backlog_news` the newcomers' delay beside the backlog divided by that of an idle worker; and
`ratio_backlog_claim` a claim's CPU at a million open deliveries divided by that at ten thousand.
"""

import asyncio
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import crowd
from benchmarks.child import call
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, medians, option, options, percentile, table
from tests.postgres import Cluster, create_database

SMALL = 100
"""Endpoints beside the one that has most."""
STARTING = 60.0
"""Seconds that a child may take beside what it measures."""
DURABLE = {"fsync": "on", "max_wal_size": "4GB", "shared_buffers": "256MB"}
WITHOUT, SMALL_ONLY, BESIDE = "idle", "small", "beside"
MANY = 1000
"""Endpoints that are paused, or full, in the crowd."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    backlog: int = option(1_000_000, "deliveries that are due, 90 % of them for one endpoint")
    little: int = option(10_000, "deliveries that are due where there are few")
    crowd: int = option(100_000, "endpoints, of which one, a hundred and half have a backlog; 0: none")
    seconds: float = option(8.0, "seconds that each flow lasts")
    rate: float = option(20.0, "events a second for newcomers")
    rounds: int = option(2, "rounds of the flows")
    claims: int = option(60, "claims that are measured of each kind")
    in_flight: int = option(64, "requests under way")
    results: str = option("", "folder for the result instead of benchmarks/results")


class BacklogBench:
    """One cluster, and a database for each state of the queue."""

    def __init__(self, chosen: Options, cluster: Cluster, receiver: Receiver, folder: Path) -> None:
        self._chosen = chosen
        self._cluster = cluster
        self._receiver = receiver
        self._folder = folder
        each = max(1, chosen.backlog // 10 // SMALL)
        few = max(1, chosen.little // 2 // SMALL)
        console.print(f"writing {chosen.backlog:,} deliveries")
        self._urls = {
            WITHOUT: self._database(WITHOUT, (0, 0)),
            SMALL_ONLY: self._database(SMALL_ONLY, (1 + SMALL, each)),
            BESIDE: self._database(BESIDE, (1 + SMALL, each), (1, chosen.backlog - each * (1 + SMALL))),
            "little": self._database("little", (1 + SMALL, few), (1, chosen.little - few * (1 + SMALL))),
        }

    def _database(self, name: str, *backlogs: tuple[int, int], endpoints: int = 1 + SMALL) -> str:
        url = asyncio.run(create_database(self._cluster.url, f"backlog_{name}"))
        asyncio.run(crowd.gather(url, endpoints, self._receiver.port))
        for first, each in backlogs:
            asyncio.run(crowd.wait(url, first, each))
        return url

    def measure(self) -> dict[str, Any]:
        """Everything, as JSON."""
        claims = self._claims_by_size() | (self._claims_in_a_crowd() if self._chosen.crowd else {})
        rounds = [self._flows(number) for number in range(1, self._chosen.rounds + 1)]
        flows = {name: medians([one[name] for one in rounds]) for name in rounds[0]}
        return {
            "claims": claims,
            "flows": flows,
            "ratio_backlog_fair": median(one[BESIDE]["small"] / one[SMALL_ONLY]["small"] for one in rounds),
            "ratio_backlog_news": median(one[BESIDE]["news_p50_ms"] / one[WITHOUT]["news_p50_ms"] for one in rounds),
            "ratio_backlog_claim": claims["backlog"]["claim_us"] / claims["little"]["claim_us"],
        }

    def _flows(self, number: int) -> dict[str, dict[str, float]]:
        order = (WITHOUT, SMALL_ONLY, BESIDE)
        return {name: self._flow(name, str(number)) for name in (order if number % 2 else order[::-1])}

    def _flow(self, name: str, seed: str) -> dict[str, float]:
        """What the small endpoints and the large one get a second, and the newcomers' delays."""
        seconds = self._chosen.seconds
        told = call(
            "benchmarks.crowd:flow",
            timeout=seconds + STARTING,
            conditions={
                "database": self._urls[name],
                "settings": {"concurrency": self._chosen.in_flight, "assets": str(self._folder / "assets")},
                "stands_at": time.time() - 2 * crowd.SINCE,
                "log": str(self._folder / f"{name}.log"),
            },
            rate=self._chosen.rate,
            seconds=seconds,
            seed=seed,
        )
        arrived = self._receiver.arrivals()
        delays = [arrived[event] - at for event, at in told["recorded"].items() if event in arrived]
        if len(delays) < len(told["recorded"]):
            console.print(f"{name}: {len(told['recorded']) - len(delays)} of the newcomers' events were still waiting")
        large, *small = told["per_second"].values() if told["per_second"] else (0.0,)
        found = {
            "large": large,
            "small": sum(small),
            "small_least": min(small, default=0.0),
            "small_most": max(small, default=0.0),
            "news_p50_ms": percentile(delays, 50) * 1000,
            "news_p95_ms": percentile(delays, 95) * 1000,
        }
        console.print(name, *(f"{what} {value:,.1f}" for what, value in found.items()))
        return found

    def _claims_by_size(self) -> dict[str, Any]:
        return {
            "little": self._claims("little", self._urls["little"]),
            "backlog": self._claims("backlog", self._urls[BESIDE]),
        }

    def _claims_in_a_crowd(self) -> dict[str, Any]:
        """One after the other in one database: those that have a backlog become more, then many of them may not go."""
        url = self._database("crowd", endpoints=self._chosen.crowd)
        enough = 16 * (crowd.WARM_UP + self._chosen.claims)
        told = {}
        asyncio.run(crowd.wait(url, 1, enough))
        told["one_waits"] = self._claims("one_waits", url)
        asyncio.run(crowd.wait(url, SMALL, enough // 16))
        told["hundred_wait"] = self._claims("hundred_wait", url)
        many = min(MANY, self._chosen.crowd // 4)
        asyncio.run(crowd.wait(url, SMALL + many, 2))
        hold = (SMALL + 1, many)
        asyncio.run(crowd.change(url, "paused_until = 1e11", *hold))
        told["many_paused"] = self._claims("many_paused", url)
        asyncio.run(crowd.change(url, "paused_until = NULL, max_in_flight = 1", *hold))
        told["many_full"] = self._claims("many_full", url, held=many + 16 * SMALL)
        asyncio.run(crowd.wait(url, self._chosen.crowd // 2, 2))
        told["half_wait"] = self._claims("half_wait", url)
        return told

    def _claims(self, name: str, url: str, *, held: int = 0) -> dict[str, Any]:
        told = call("benchmarks.crowd:claims", timeout=STARTING, database=url, count=self._chosen.claims, held=held)
        console.print(name, *(f"{what} {value:,.1f}" for what, value in told.items()))
        return told


def measure(chosen: Options, cluster: Cluster, folder: Path) -> dict[str, Any]:
    """Fill the databases and measure."""
    with Receiver(noting=True) as receiver:
        return BacklogBench(chosen, cluster, receiver, folder).measure()


def show(result: dict[str, Any]) -> None:
    """The tables."""
    names = ("large", "small", "small_least", "small_most", "news_p50_ms", "news_p95_ms")
    head = ["backlog", "large/s", "small/s", "least", "most", "newcomers p50 ms", "p95 ms"]
    table("one worker", head, [[name, *(told[one] for one in names)] for name, told in result["flows"].items()])
    head = ["claim", "CPU us", "next due, CPU us", "claimed"]
    table("claims", head, [[name, *told.values()] for name, told in result["claims"].items()])


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "postgres", DURABLE)
        try:
            result = measure(chosen, cluster, Path(folder))
        finally:
            cluster.close()
    show(result)
    finish("backlog", asdict(chosen) | result, chosen.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
