"""`make bench-delivery`: what a durable, signed delivery costs, beside a bare POST of the same bytes.

What counts is CPU time per delivery over all threads of a contestant's process, because others use the machine too. In
each round those who are compared run side by side, a moment each in turn (`turns`), and a ratio is the median of the
rounds' ratios. Before that each has run alone, for what else the table says of it. A backlog is written once, before
the clock starts, and copied for each drain; each event goes to `fan_out` endpoints, each job makes its three
transitions in order, and the steady flow is recorded one change a call. SQL statements are counted in a run of their
own, which is no measure of speed.
"""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import Child, call
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, medians, option, options, table
from benchmarks.traffic import Shape
from benchmarks.turns import side_by_side

TOGETHER = (
    ("baseline", "drain", "steady"),
    ("baseline", "drain_quiet", "steady_quiet"),
    ("drain", "limit", "naive_httpx"),
)
"""Who runs side by side."""
BESIDE = ("limit", "naive_httpx")
"""Compared with `drain`: the least and the most that a bare POST costs. The engine is compared with the baseline."""
Told = dict[str, Any]
Rounds = list[list[dict[str, Told]]]
"""Per round, and those who ran side by side in it, what each told."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    deliveries: int = option(20_000, "deliveries per contestant and round")
    endpoints: int = option(100, "endpoints, each a URL of its own")
    fan_out: int = option(1, "endpoints that get each event; divides the two above")
    in_flight: int = option(64, "requests under way, of each contestant")
    outstanding: int = option(256, "deliveries open at most in the steady flow")
    naive: int = option(320, "requests of the naive httpx sender, which is slow")
    rounds: int = option(5, "rounds; each has every comparison once")
    seed: int = option(1, "seed of ids, secrets and bodies")
    timeout: int = option(120, "seconds after which a contestant is ended")
    results: str = option("", "folder for the result instead of benchmarks/results")
    profile: bool = option(False, "print to stderr where the engine's CPU time goes, and measure nothing else")


@dataclass(frozen=True)
class Contestant:
    """What a child is asked to run; with `conditions` it is the engine, which gets a file of its own."""

    function: str
    shape: Shape
    given: Told = field(default_factory=dict)


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
        loading = {"shape": asdict(self.shape), "database": str(self._backlog)}
        stands_at = call("benchmarks.draining:load", timeout=chosen.timeout, **loading)["stands_at"]
        few = min(chosen.naive, chosen.deliveries)
        self.contestants = {
            "baseline": self._posting("aiohttp_loop"),
            "drain": self._engine("drain", stands_at=stands_at),
            "steady": self._engine("steady", outstanding=chosen.outstanding),
            "drain_quiet": self._engine("drain", stands_at=stands_at, logging=False),
            "steady_quiet": self._engine("steady", outstanding=chosen.outstanding, logging=False),
            "limit": self._posting("limit"),
            "naive_httpx": replace(self._posting("naive_httpx"), shape=replace(self.shape, deliveries=few)),
        }

    def _posting(self, sender: str) -> Contestant:
        """One of those who only POST."""
        return Contestant(f"benchmarks.contestants:{sender}", self.shape, {"in_flight": self.chosen.in_flight})

    def _engine(self, part: str, *, stands_at: float | None = None, logging: bool = True, **more: Any) -> Contestant:
        """The engine, on a copy of the backlog whose clock stands there, or on an empty file."""
        settings = {"concurrency": self.chosen.in_flight, "seed": self.chosen.seed}
        conditions = {"settings": settings, "logging": logging, "stands_at": stands_at}
        return Contestant(f"benchmarks.draining:{part}", self.shape, {"conditions": conditions, **more})

    def capacity(self) -> Told:
        """What the receiver can take."""
        return self._alone(self._posting("flood"))

    def alone(self, name: str, **more: Any) -> Told:
        """One contestant by itself."""
        return self._alone(self.contestants[name], **more)

    def _alone(self, contestant: Contestant, **more: Any) -> Told:
        before, cpu = self.receiver.stats()
        with ExitStack() as stack:
            told = self._started(contestant, stack, **more).hear(self.chosen.timeout)
        count = self._arrived(before, [contestant])
        used = self.receiver.stats()[1] - cpu
        return told | {"receiver_cpu_us": used / count * 1e6, "receiver_share": used / told["seconds"]}

    def together(self, names: tuple[str, ...]) -> dict[str, Told]:
        """Several contestants side by side."""
        contestants = [self.contestants[name] for name in names]
        before, _ = self.receiver.stats()
        with ExitStack() as stack:
            children = [self._started(contestant, stack) for contestant in contestants]
            told = side_by_side(children, timeout=self.chosen.timeout)
        self._arrived(before, contestants)
        return dict(zip(names, told, strict=True))

    def _started(self, contestant: Contestant, stack: ExitStack, **more: Any) -> Child:
        given = contestant.given | more
        if "conditions" in given:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder))
            database = Path(folder) / "engine.db"
            if given["conditions"]["stands_at"] is not None:
                shutil.copyfile(self._backlog, database)
            given["conditions"] = given["conditions"] | {"database": str(database)}
        return stack.enter_context(Child(contestant.function, shape=asdict(contestant.shape), **given))

    def _arrived(self, before: int, contestants: list[Contestant]) -> int:
        """How many requests the receiver had; it must have had each delivery once."""
        wanted, got = sum(one.shape.deliveries for one in contestants), self.receiver.stats()[0] - before
        if got != wanted:
            functions = ", ".join(one.function for one in contestants)
            raise RuntimeError(f"{functions}: the receiver got {got} requests for {wanted} deliveries")
        return got


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
    for name in ("drain", "steady"):
        unwatched = bench.alone(name)
        watched = bench.alone(name, profiling=unwatched["cpu_us_by_thread"])
        console.rule(f"{name}: {unwatched['cpu_us']:.1f} us of CPU per delivery")
        console.print(watched["profile"], markup=False, highlight=False, soft_wrap=True)


def measure(bench: Bench) -> Told:
    """All rounds, and what follows from them."""
    chosen = bench.chosen
    capacity = bench.capacity()
    found = {name: bench.alone(name) for name in bench.contestants}
    texts = {}
    for name in ("drain", "steady"):
        counted = bench.alone(f"{name}_quiet", counting=True)
        texts[name] = counted["statements_by_text"]
        found[name] |= {key: counted[key] for key in ("statements", "statements_in_triggers")}
    rounds = [_round(bench, f"{number}/{chosen.rounds}") for number in range(1, chosen.rounds + 1)]
    for name, told in found.items():
        beside = [group[name] for groups in rounds for group in groups if name in group]
        told.update({"cpu_us_alone": told["cpu_us"]} | _cost(beside))
    given = {name: value for name, value in asdict(chosen).items() if name not in ("results", "timeout", "profile")}
    return {"statements_by_text": texts} | given | found | {"receiver": _receiver(capacity)} | _ratios(rounds)


def _round(bench: Bench, number: str) -> list[dict[str, Told]]:
    groups = []
    for names in TOGETHER:
        groups.append(bench.together(names))
        costs = ", ".join(f"{name} {told['cpu_us']:.1f}" for name, told in groups[-1].items())
        console.print(f"round {number}, us of CPU per delivery: {costs}")
    return groups


def _cost(told: list[Told]) -> Told:
    """The CPU time of one contestant's runs beside others."""
    costs = [one["cpu_us"] for one in told]
    used = medians([{key: one[key] for key in ("cpu_us", "cpu_us_by_thread")} for one in told])
    return used | {"cpu_us_range": [min(costs), max(costs)]}


def _receiver(capacity: dict[str, Any]) -> dict[str, Any]:
    """What it can take: flooded, and by its CPU per request, had it a core to itself."""
    return {
        "per_second": capacity["per_second"],
        "cpu_us": capacity["receiver_cpu_us"],
        "share": capacity["receiver_share"],
        "per_cpu_second": 1e6 / capacity["receiver_cpu_us"],
    }


def _ratios(rounds: Rounds) -> dict[str, float]:
    """Medians over the rounds: the first one's cost to that of each beside it, or the other way round."""
    ratios: dict[str, list[float]] = {}
    for group in (group for groups in rounds for group in groups):
        (_, first), *others = group.items()
        for name, told in others:
            ratio = first["cpu_us"] / told["cpu_us"]
            ratios.setdefault(f"ratio_{name}", []).append(1 / ratio if name in BESIDE else ratio)
    return {name: median(found) for name, found in ratios.items()}


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
