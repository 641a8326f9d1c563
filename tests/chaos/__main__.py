"""`make chaos`: kill the server again and again while receivers misbehave, and compare what arrived with the log.

The last line on stdout is one JSON object; exit code 1 when a required value is broken. What its words mean is
said in `verdict`.
"""

# ruff: noqa: T201  (a script whose output is its purpose)

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.fleet import Fleet
from tests.chaos.harness import Harness, Options
from tests.chaos.record import Record
from tests.chaos.verdict import judge

DESCRIPTION = "Kill the server again and again while receivers misbehave; compare what arrived with its log."
LEAST_PACE = 3
"""Jobs per second below which a restarted server may find nothing to do."""


def options() -> tuple[str, Options]:
    """What the command line asks for: on which store, and how much."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=DESCRIPTION)
    parser.add_argument("--kills", type=int, help="how often the server is killed (default: 100)")
    parser.add_argument("--jobs", type=int, help="how many jobs are accepted, at least (default: 10 a second)")
    parser.add_argument("--seed", type=int, help="what the plan is drawn from (default: a new one each time)")
    parser.add_argument("--seconds", type=float, help="how long kills and faults last, about (default: 280)")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite", help="the engine (sqlite)")
    parser.add_argument("--smoke", action="store_true", help="6 kills in about 20 s")
    given = parser.parse_args()
    seconds = given.seconds or (12.0 if given.smoke else 280.0)
    jobs = given.jobs or round(10 * seconds)
    if jobs < LEAST_PACE * seconds:
        parser.error(f"--jobs: at least {LEAST_PACE} a second are needed, or a restarted server may have no work")
    return given.store, Options(
        kills=given.kills or (6 if given.smoke else 100),
        jobs=jobs,
        seed=random.randrange(2**32) if given.seed is None else given.seed,
        seconds=seconds,
        drain=60.0,
    )


def main() -> int:
    """Run it and print the verdict."""
    store, asked = options()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    tell(f"seed {asked.seed}, {asked.kills} kills in {asked.seconds:g} s")
    run: Fleet | Harness = (Fleet if store == "postgresql" else Harness)(asked, folder, tell)
    record = asyncio.run(run.run())
    verdict = judge(record)
    for line in _summary(record):
        tell(line)
    for problem in verdict.problems:
        tell(f"BROKEN: {problem}")
    if verdict.problems:
        tell(f"database and log are kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(json.dumps(verdict.as_json(asked.seed), separators=(",", ":")), flush=True)
    return 1 if verdict.problems else 0


def _summary(record: Record) -> list[str]:
    points = Counter(kill.point for kill in record.kills)
    in_flight = Counter[str]()
    for kill in record.kills:
        in_flight[kill.point] += len(kill.in_flight)
    answers = Counter(receipt.answer.value for receipt in record.receipts)
    return [
        *(f"killed at {point}: {count} times, {in_flight[point]} in flight" for point, count in points.items()),
        *(f"answered with {answer}: {count}" for answer, count in answers.most_common()),
        f"set aside as older than what was delivered: {len(record.set_aside)}",
        f"restarts whose recovery could be measured: {len(record.recoveries)}",
    ]


if __name__ == "__main__":
    sys.exit(main())
