"""`make bench-delivery`: what a durable, signed delivery costs, beside a bare POST of the same bytes.

Contestants take turns at the same receiver, each in a process of its own; what counts is CPU time per delivery over
all threads of that process, because others use the machine too, and a ratio is the median of the rounds' ratios, each
against that round's own baselines. A backlog is written once, before the clock starts, and copied for each drain;
each event goes to `fan_out` endpoints, each job makes its three transitions in order, and the steady flow is recorded
one change a call. SQL statements are counted in a round of their own, which is no measure of speed.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import call
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, medians, option, options, table
from benchmarks.traffic import Shape

ENGINE = ("drain", "steady", "drain_quiet", "steady_quiet")
BESIDE = ("limit", "naive_httpx")
"""Compared with `drain`: the least and the most that a bare POST costs. The engine is compared with the baseline."""
Rounds = list[dict[str, list[dict[str, Any]]]]
"""Per round, what each contestant told; the baseline and the drain run more than once a round."""
Run = Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    deliveries: int = option(20_000, "deliveries per contestant and round")
    endpoints: int = option(100, "endpoints, each a URL of its own")
    fan_out: int = option(1, "endpoints that get each event; divides the two above")
    in_flight: int = option(64, "requests under way, of each contestant")
    outstanding: int = option(256, "deliveries open at most in the steady flow")
    naive: int = option(320, "requests of the naive httpx sender, which is slow")
    rounds: int = option(5, "rounds; each has every contestant once, the baseline and the drain more often")
    seed: int = option(1, "seed of ids, secrets and bodies")
    timeout: int = option(120, "seconds after which a contestant is ended")
    results: str = option("", "folder for the result instead of benchmarks/results")
    profile: bool = option(False, "print to stderr where the engine's CPU time goes, and measure nothing else")


class Bench:
    """One run: a receiver, a loaded backlog, and the contestants."""

    def __init__(self, chosen: Options, receiver: Receiver, folder: Path) -> None:
        self.chosen = chosen
        self.receiver = receiver
        self.folder = folder
        self.shape = Shape(
            deliveries=chosen.deliveries,
            endpoints=chosen.endpoints,
            fan_out=chosen.fan_out,
            port=receiver.port,
            seed=chosen.seed,
        )
        self._backlog = folder / "backlog.db"
        self._stands_at: float = self._call("benchmarks.draining:load", self.shape, database=str(self._backlog))[
            "stands_at"
        ]

    def contestants(self) -> list[tuple[str, Run]]:
        """In the order in which they take their turns; to add one is to add a line."""
        small = replace(self.shape, deliveries=min(self.chosen.naive, self.chosen.deliveries))
        baseline = ("baseline", partial(self.post, "aiohttp_loop", self.shape))
        drain = ("drain", partial(self.drain, logging=True))
        # What others are compared with comes before them and after, because the machine changes within a round, too.
        return [
            baseline,
            drain,
            ("limit", partial(self.post, "limit", self.shape)),
            ("naive_httpx", partial(self.post, "naive_httpx", small)),
            drain,
            baseline,
            ("steady", partial(self.steady, logging=True)),
            baseline,
            ("drain_quiet", partial(self.drain, logging=False)),
            ("steady_quiet", partial(self.steady, logging=False)),
        ]

    def post(self, sender: str, shape: Shape) -> dict[str, Any]:
        """One of those who only POST."""
        return self._run(f"benchmarks.contestants:{sender}", shape, in_flight=self.chosen.in_flight)

    def drain(self, *, logging: bool, **kind: Any) -> dict[str, Any]:
        """The engine on a copy of the backlog."""
        return self._engine("drain", logging=logging, backlog=True, **kind)

    def steady(self, *, logging: bool, **kind: Any) -> dict[str, Any]:
        """The engine on an empty file."""
        return self._engine("steady", logging=logging, outstanding=self.chosen.outstanding, **kind)

    def _engine(self, name: str, *, logging: bool, backlog: bool = False, **kind: Any) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            database = Path(folder) / "engine.db"
            if backlog:
                shutil.copyfile(self._backlog, database)
            conditions = {
                "database": str(database),
                "settings": {"concurrency": self.chosen.in_flight, "seed": self.chosen.seed},
                "logging": logging,
                "stands_at": self._stands_at if backlog else None,
            }
            return self._run(f"benchmarks.draining:{name}", self.shape, conditions=conditions, **kind)

    def _run(self, function: str, shape: Shape, **given: Any) -> dict[str, Any]:
        """Run a contestant; the receiver must have had each delivery once, and tells what that cost it."""
        count, cpu = self.receiver.stats()
        told = self._call(function, shape, **given)
        got, used = (now - before for now, before in zip(self.receiver.stats(), (count, cpu), strict=True))
        if got != shape.deliveries:
            raise RuntimeError(f"{function}: the receiver got {got} requests for {shape.deliveries} deliveries")
        return told | {"receiver_cpu_us": used / got * 1e6, "receiver_share": used / told["seconds"]}

    def _call(self, function: str, shape: Shape, **given: Any) -> dict[str, Any]:
        return call(function, timeout=self.chosen.timeout, shape=asdict(shape), **given)


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    if chosen.deliveries % chosen.fan_out or chosen.endpoints % chosen.fan_out:
        sys.exit("--fan-out must divide --deliveries and --endpoints")
    with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, receiver, Path(folder))
        if chosen.profile:
            profile(bench)
            return 0
        result = measure(bench)
    show(result)
    finish("delivery", result, chosen.results, details=("statements_by_text",))
    return 0


def profile(bench: Bench) -> None:
    """Each engine part once unwatched and once watched."""
    for name, part in (("drain", bench.drain), ("steady", bench.steady)):
        unwatched = part(logging=True)
        watched = part(logging=True, profiling=unwatched["cpu_us_by_thread"])
        console.rule(f"{name}: {unwatched['cpu_us']:.1f} us of CPU per delivery")
        console.print(watched["profile"], markup=False, highlight=False, soft_wrap=True)


def measure(bench: Bench) -> dict[str, Any]:
    """All rounds, and what follows from them."""
    chosen = bench.chosen
    capacity = bench.post("flood", bench.shape)
    statements = {"drain": bench.drain(logging=False, counting=True)}
    statements["steady"] = bench.steady(logging=False, counting=True)
    rounds = [_round(bench, f"{number}/{chosen.rounds}") for number in range(1, chosen.rounds + 1)]
    found = {name: _merged([told for one in rounds for told in one[name]]) for name in rounds[0]}
    for name, counted in statements.items():
        found[name] |= {key: counted[key] for key in ("statements", "statements_in_triggers")}
    texts = {name: counted["statements_by_text"] for name, counted in statements.items()}
    given = {name: value for name, value in asdict(chosen).items() if name not in ("results", "timeout", "profile")}
    return {"statements_by_text": texts} | given | found | {"receiver": _receiver(capacity)} | _ratios(rounds)


def _round(bench: Bench, number: str) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {}
    for name, run in bench.contestants():
        told.setdefault(name, []).append(run())
        console.print(f"round {number} {name:13} {told[name][-1]['cpu_us']:8.1f} us of CPU per delivery")
    return told


def _merged(told: list[dict[str, Any]]) -> dict[str, Any]:
    costs = [one["cpu_us"] for one in told]
    return medians(told) | {"cpu_us_range": [min(costs), max(costs)]}


def _receiver(capacity: dict[str, Any]) -> dict[str, Any]:
    """What it can take: flooded, and by its CPU per request, had it a core to itself."""
    return {
        "per_second": capacity["per_second"],
        "cpu_us": capacity["receiver_cpu_us"],
        "share": capacity["receiver_share"],
        "per_cpu_second": 1e6 / capacity["receiver_cpu_us"],
    }


def _ratios(rounds: Rounds) -> dict[str, float]:
    """The median over the rounds of one cost divided by another; the machine is the same within a round only."""

    def ratio(one: str, other: str) -> float:
        return median(_cost(told[one]) / _cost(told[other]) for told in rounds)

    return {f"ratio_{name}": ratio("baseline", name) for name in ENGINE} | {
        f"ratio_{name}": ratio(name, "drain") for name in BESIDE
    }


def _cost(told: list[dict[str, Any]]) -> float:
    return float(median(one["cpu_us"] for one in told))


def show(result: dict[str, Any]) -> None:
    """The table."""
    contestants = {name: told for name, told in result.items() if isinstance(told, dict) and "cpu_us_range" in told}
    rows = [
        [
            name,
            told["per_second"],
            told["cpu_us"],
            "-".join(f"{end:.0f}" for end in told["cpu_us_range"]),
            f"{result[ratio]:.2f}" if (ratio := f"ratio_{name}") in result else "",
            f"{told['statements']:.2f}" if "statements" in told else "",
            told["rss_mb"],
            f"{told['receiver_share']:.0%}",
        ]
        for name, told in contestants.items()
    ]
    head = ["contestant", "per second", "CPU us", "range", "ratio", "SQL", "RSS MB", "receiver's CPU"]
    table("per delivery, medians", head, rows)
    console.print(f"ratio: the baseline's CPU to the engine's; of {' and '.join(BESIDE)}, theirs to drain's")
    taken = result["receiver"]
    console.print(
        f"receiver: {taken['per_second']:,.0f}/s when flooded, at {taken['share']:.0%} of a core; "
        f"{taken['cpu_us']:.1f} us a request: {taken['per_cpu_second']:,.0f}/s on a core of its own"
    )


if __name__ == "__main__":
    sys.exit(main())
