"""`make bench-fairness`: what a hanging and a refusing endpoint cost the 98 healthy ones beside them.

The real engine delivers a steady flow, one event and delivery at a time; latency is from just before `record` to the
receiver's socket, over the healthy endpoints only. Rounds alone and beside take turns, in changing order, and their
p99 is the median over the rounds. The bad endpoints get three times a healthy one's events, so that the hanging one
backs up behind its attempts in flight; deadlines and retries are short, so that a round sees timeouts and retries.
"""

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import call
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, option, options, spread_ms, table
from benchmarks.traffic import Shape

WARM_UP = 0.2
"""Share of a round whose latencies are not counted."""
TOLD = ("p50_ms", "p99_ms", "max_ms")
STARTING = 20.0
"""Seconds that a round may take longer than its flow."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    rounds: int = option(7, "rounds, each once alone and once beside the bad endpoints")
    seconds: float = option(6.0, "seconds of a flow")
    rate: float = option(300.0, "events per second for the healthy endpoints together")
    healthy: int = option(98, "healthy endpoints")
    bad_rate: float = option(10.0, "events per second for each bad endpoint")
    attempt_timeout: float = option(2.0, "seconds that an attempt may take")
    seed: int = option(1, "seed of ids and secrets")
    results: str = option("", "folder for the result instead of benchmarks/results")


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    found: dict[str, list[dict[str, Any]]] = {"alone": [], "beside": []}
    with Receiver(noting=True) as receiver:
        for number in range(chosen.rounds):
            for name in ("alone", "beside") if number % 2 == 0 else ("beside", "alone"):
                found[name].append(_flow(chosen, receiver, bad=name == "beside"))
                p99 = found[name][-1]["p99_ms"]
                console.print(f"round {number + 1}/{chosen.rounds} {name:7} p99 {p99:6.2f} ms")
    result = summary(chosen, found)
    head = [f"{chosen.healthy} healthy endpoints", "p50 ms", "p99 ms", "max ms"]
    rows = [[name, *(f"{_median(told, field):.2f}" for field in TOLD)] for name, told in found.items()]
    table("record to receipt, medians of the rounds", head, rows)
    console.print(f"ratio of p99 beside to alone: {result['ratio_p99']:.2f}")
    finish("fairness", result, chosen.results)
    return 0


def _flow(chosen: Options, receiver: Receiver, *, bad: bool) -> dict[str, Any]:
    """One round of one kind: the latencies of the healthy endpoints."""
    shape = Shape(deliveries=0, endpoints=chosen.healthy, fan_out=1, port=receiver.port, seed=chosen.seed)
    ports = (receiver.hanging_port, receiver.refusing_port) if bad else ()
    with tempfile.TemporaryDirectory() as folder:
        conditions = {
            "database": str(Path(folder) / "engine.db"),
            "settings": {"attempt_timeout": chosen.attempt_timeout, "retry_delays": (0.5, 1, 2, 2, 2, 2)},
        }
        recorded: dict[str, float] = call(
            "benchmarks.pacing:pace",
            timeout=chosen.seconds + STARTING,
            conditions=conditions,
            shape=asdict(shape),
            bad_urls=[f"http://127.0.0.1:{port}/hooks/bad" for port in ports],
            rate=chosen.rate,
            bad_rate=chosen.bad_rate,
            seconds=chosen.seconds,
        )["recorded"]
    arrived = receiver.arrivals()
    if missing := recorded.keys() - arrived.keys():
        raise RuntimeError(f"{len(missing)} of {len(recorded)} events did not reach a healthy endpoint in time")
    counted = list(recorded.items())[int(len(recorded) * WARM_UP) :]
    return spread_ms([arrived[event_id] - at for event_id, at in counted])


def summary(chosen: Options, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What is told at the end."""
    given = {name: value for name, value in asdict(chosen).items() if name != "results"}
    told = {f"{field}_{name}": _median(rounds, field) for name, rounds in found.items() for field in TOLD}
    ratios = {f"ratio_{name}": told[f"{name}_ms_beside"] / told[f"{name}_ms_alone"] for name in ("p50", "p99")}
    by_round = {f"p99_ms_{name}_by_round": [one["p99_ms"] for one in rounds] for name, rounds in found.items()}
    return given | told | by_round | ratios


def _median(rounds: list[dict[str, Any]], field: str) -> float:
    return float(median(one[field] for one in rounds))


if __name__ == "__main__":
    sys.exit(main())
