"""`make bench-scale`: what a million pending jobs cost beside a thousand, and 100,000 endpoints beside a hundred.

Two real servers run side by side and are asked the same in turns. A due job's cost is CPU time of the whole server
process per transition with its event, while the clock is set over the instant at which a fixed number of jobs is due:
planned ones, strewn all over the file, and those at the head of the line whose workers come free. Half of the pending
jobs are planned for later, half stand in line. Latencies are medians of one request at a time; `ratio_get_p50` is that
of the jobs in line, whose place is looked up, or of the planned ones, whichever is worse. Memory counts all that the
process holds, SQLite's caches (32 MiB for each of three connections) included. The start is from the process's
beginning to the line that says that it answers, after a clean stop and after SIGKILL; `start_s` is the worse.

Endpoints: recording and claiming are measured at the store, in a process that does nothing else. In every workspace
one endpoint of a hundred wants the event. `ratio_endpoints_claim` is a claim of 64 deliveries where so many endpoints
have a backlog, and as many wait for later, beside ten and ten.
"""

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.asking import OF_ENDPOINTS, OF_JOBS, create
from benchmarks.child import Child, call
from benchmarks.filling import FIRST_ENDPOINTS, HALF_AN_HOUR, IN_LINE, PLANNED, Endpoints, Jobs
from benchmarks.meter import cpu_of
from benchmarks.pair import Ask, Asked, Pair
from benchmarks.report import console, finish, option, options, table
from benchmarks.server import DATABASE, started

FILLING = 3600.0
"""Seconds after which a database that is not full yet is given up."""
MEASURING = 120.0
LEFT = 50
"""Jobs created just before a server is killed."""
BYTES_PER_JOB = 3000
"""On disk, at most, with its event and all indexes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    few_jobs: int = option(1_000, "pending jobs of the small database")
    many_jobs: int = option(1_000_000, "pending jobs of the large one")
    due: int = option(300, "further jobs that become due together, in each round")
    workers: int = option(100, "jobs that run at once; the others of their half stand in line")
    workspaces: int = option(1_000, "workspaces of the large database of endpoints; the small one has one")
    per_workspace: int = option(100, "endpoints per workspace")
    few_backlogs: int = option(10, "endpoints with a backlog in the small database of deliveries")
    many_backlogs: int = option(10_000, "endpoints with a backlog in the large one")
    claims: int = option(10, "claims of 64 deliveries in a round")
    records: int = option(200, "events recorded in a round")
    requests: int = option(500, "requests of each kind to each server")
    rounds: int = option(9, "rounds; each has both sizes once")
    results: str = option("", "folder for the result instead of benchmarks/results")


class Bench:
    """One run: databases in a folder, and what was measured on them."""

    def __init__(self, chosen: Options, folder: Path) -> None:
        """Nothing is written yet."""
        self.chosen = chosen
        self._folder = folder

    def fill(self, name: str, load: Jobs | Endpoints) -> Path:
        """A folder with a database."""
        folder = self._folder / name
        folder.mkdir()
        function = "jobs" if isinstance(load, Jobs) else "endpoints"
        began, database = time.perf_counter(), folder / DATABASE
        told = call(f"benchmarks.filling:{function}", timeout=FILLING, database=str(database), load=asdict(load))
        seconds, size = time.perf_counter() - began, database.stat().st_size / 1e6
        console.print(f"{name}: filled in {seconds:,.1f} s ({told['cpu']:,.1f} s of CPU), {size:,.0f} MB")
        return folder

    def jobs(self) -> dict[str, Any]:
        """Few pending jobs and many: what a due one costs, latencies, memory, and the start."""
        chosen = self.chosen
        loads = [
            Jobs(pending=count, due=chosen.due, workers=chosen.workers, rounds=chosen.rounds)
            for count in (chosen.few_jobs, chosen.many_jobs)
        ]
        folders = [self.fill(name, load) for name, load in zip(("few jobs", "many jobs"), loads, strict=True)]
        settings = {"workers": str(chosen.workers), "error-rate": "0"}
        with Pair.serving(folders, **settings) as pair:
            for asked, load in zip(pair.both, loads, strict=True):
                _await_log(asked, load.in_all + load.workers)  # those who run from the start
            result = self._due(pair)
            pair.learn(PLANNED, IN_LINE, count=chosen.requests)
            result |= self._latencies("", pair, OF_JOBS)
            result["ratio_get_p50"] = max(result["ratio_get_planned_p50"], result["ratio_get_in_line_p50"])
            result["rss_bytes_per_job"] = pair.growth(loads[1].pending - loads[0].pending)
        return result | starts("", folders, settings)

    def _due(self, pair: Pair) -> dict[str, Any]:
        """What a move costs, with its event: of planned jobs, of those in line, and over both."""
        workers, due = self.chosen.workers, self.chosen.due
        for asked in pair.both:
            asked.call("POST", "/_sim/clock/freeze")
        found: dict[str, list[tuple[float, float]]] = {"planned": [], "in_line": []}
        for number in range(self.chosen.rounds):
            # Planned jobs are due half an hour after each full one; the workers come free at the full ones.
            for kind, moves in (("planned", due), ("in_line", 2 * workers)):
                found[kind].append(pair.cost(partial(_advance, moves=moves), first=number % 2))
        result: dict[str, Any] = {}
        for kind, costs in found.items():
            result |= _ratio(f"due_{kind}", costs, unit="us")
        share = due / (due + 2 * workers)
        overall = [
            (planned[0] * share + line[0] * (1 - share), planned[1] * share + line[1] * (1 - share))
            for planned, line in zip(found["planned"], found["in_line"], strict=True)
        ]
        return result | _ratio("due_cost", overall, unit="us")

    def _latencies(self, prefix: str, pair: Pair, asks: dict[str, Ask]) -> dict[str, Any]:
        """The medians of each kind of request, and their ratios."""
        result: dict[str, Any] = {}
        for name, ask in asks.items():
            small, large = pair.latencies(ask, self.chosen.requests)
            result |= {
                f"{prefix}{name}_p50_ms": [small * 1000, large * 1000],
                f"ratio_{prefix}{name}_p50": large / small,
            }
        return result

    def endpoints(self) -> dict[str, Any]:
        """The endpoints of one workspace and those of many: recording, claiming, latencies, memory, and the start."""
        chosen = self.chosen
        loads = [Endpoints(workspaces=count, per_workspace=chosen.per_workspace) for count in (1, chosen.workspaces)]
        names = ("few endpoints", "many endpoints")
        folders = [self.fill(name, load) for name, load in zip(names, loads, strict=True)]
        given = [
            {"database": str(folder / DATABASE), "workspaces": load.workspaces, "count": chosen.records}
            for folder, load in zip(folders, loads, strict=True)
        ]
        result = self._rounds("recording", given, {"record": "record", "claim": "claim_one", "next_due": "look"})
        rows = [load.workspaces * load.per_workspace for load in loads]
        with Pair.serving(folders) as pair:
            pair.learn(FIRST_ENDPOINTS, count=chosen.per_workspace)
            result |= self._latencies("endpoints_", pair, OF_ENDPOINTS)
            result["rss_bytes_per_endpoint"] = pair.growth(rows[1] - rows[0])
        return result | starts("endpoints_", folders, {})

    def backlogs(self) -> dict[str, Any]:
        """Few endpoints with due deliveries and many: what a claim costs."""
        chosen = self.chosen
        loads = [self._backlog(count) for count in (chosen.few_backlogs, chosen.many_backlogs)]
        names = ("few backlogs", "many backlogs")
        folders = [self.fill(name, load) for name, load in zip(names, loads, strict=True)]
        given = [{"database": str(folder / DATABASE), "count": chosen.claims} for folder in folders]
        return self._rounds("backlog", given, {"claim": "claim", "next_due": "next_due"})

    def _backlog(self, endpoints: int) -> Endpoints:
        """Workspaces of as many endpoints as are alike in both sizes, with enough events for all claims."""
        width = min(endpoints, self.chosen.few_backlogs)
        claimed = 64 * self.chosen.claims * (self.chosen.rounds + 1)
        return Endpoints(
            workspaces=endpoints // width,
            per_workspace=width,
            matching=width,
            events=max(10, -(-2 * claimed // endpoints)),
            later=True,
        )

    def _rounds(self, function: str, given: list[dict[str, Any]], names: dict[str, str]) -> dict[str, Any]:
        """Rounds of `benchmarks.claiming`, of both sizes by turns."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        with ExitStack() as both:
            children = [both.enter_context(Child(f"benchmarks.claiming:{function}", **one)) for one in given]
            for child in children:
                child.hear(MEASURING)
            for number in range(self.chosen.rounds + 1):
                order = (0, 1) if number % 2 else (1, 0)
                told = {index: children[index].ask({}, MEASURING) for index in order}
                for name, costs in found.items():
                    if number:  # the first round warms up
                        costs.append((told[0][name], told[1][name]))
        result: dict[str, Any] = {}
        for name, costs in found.items():
            result |= _ratio(f"endpoints_{names[name]}", costs, unit="us")
        return result


def _advance(asked: Asked, *, moves: int) -> int:
    """Set the clock half an hour forward; so many moves it must be."""
    before = asked.server.log_position()
    asked.call("POST", "/_sim/clock/advance", {"seconds": HALF_AN_HOUR})
    if (made := asked.server.log_position() - before) != moves:
        raise RuntimeError(f"{made} moves were made where {moves} were due")
    return made


def _await_log(asked: Asked, position: int) -> None:
    until = time.monotonic() + MEASURING
    while (now := asked.server.log_position()) < position:
        if time.monotonic() > until:
            raise RuntimeError(f"the log stands at {now}, and not at {position}")
        time.sleep(0.05)


def _ratio(name: str, rounds: list[tuple[float, float]], *, unit: str) -> dict[str, Any]:
    """The medians of both sizes in microseconds, and the median of the rounds' ratios."""
    costs = [median(sizes) * 1e6 for sizes in zip(*rounds, strict=True)]
    return {f"{name}_{unit}": costs, f"ratio_{name}": median(large / small for small, large in rounds)}


def starts(prefix: str, folders: list[Path], settings: dict[str, str]) -> dict[str, Any]:
    """Seconds until a server answers: on the small database, and on the large one after a clean stop and SIGKILL."""
    with started(folders[0], **settings) as server:
        small = server.started_in
    folder = folders[1]
    with started(folder, **settings) as server:
        clean, cpu = server.started_in, cpu_of(server.process.pid)
        with Asked.of(server) as asked:
            for _ in range(LEFT):
                create(asked)
        server.kill()
    left = (folder / f"{DATABASE}-wal").stat().st_size
    with started(folder, **settings) as server:
        killed = server.started_in
    return {
        f"{prefix}start_small_s": small,
        f"{prefix}start_cpu_s": cpu,
        f"{prefix}start_clean_s": clean,
        f"{prefix}start_killed_s": killed,
        f"{prefix}start_killed_wal_kb": left / 1024,
        f"{prefix}start_s": max(clean, killed),
    }


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    with tempfile.TemporaryDirectory() as name:
        free, needed = shutil.disk_usage(name).free, chosen.many_jobs * BYTES_PER_JOB
        if free < needed:
            sys.exit(f"{name} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} are needed: set TMPDIR, or --many-jobs")
        bench = Bench(chosen, Path(name))
        result: dict[str, Any] = {}
        for measure in (bench.endpoints, bench.backlogs, bench.jobs):
            found = measure()
            show(found)
            result |= found
    given = {name: value for name, value in asdict(chosen).items() if name != "results"}
    finish("scale", given | result, chosen.results)
    return 0


def show(result: dict[str, Any]) -> None:
    """The tables."""
    rows = []
    for name, ratio in result.items():
        if name.startswith("ratio_"):
            what = name.removeprefix("ratio_")
            found = result.get(f"{what}_us") or result.get(f"{what}_ms")
            if found is None:
                continue  # it stands for others
            small, large = found
            unit = "us of CPU" if f"{what}_us" in result else "ms"
            rows.append([what.replace("_", " "), unit, f"{small:.2f}", f"{large:.2f}", f"{ratio:.2f}"])
    table("medians", ["what", "in", "small", "large", "ratio"], rows)
    if figures := [[name, value] for name, value in result.items() if "start" in name or "rss" in name]:
        table("large", ["what", "figure"], figures)


if __name__ == "__main__":
    sys.exit(main())
