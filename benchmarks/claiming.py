"""What the verbs around endpoints cost the store, for `benchmarks.scale`: recording an event, claiming, looking ahead.

A child that measures one round each time it is told to, so that two of them on databases of different size take turns.
"""

import itertools
import sys
import time

from benchmarks.child import answer
from benchmarks.filling import creation, workspace_id
from benchmarks.meter import cpu_seconds, run
from benchmarks.traffic import NEVER
from video_translation_server.model import Attempt, Claim, Delivered, Outcome, OutcomeKind, Settlement
from video_translation_server.store import Store, open_store

ROOM = 64
"""Deliveries that are claimed at once."""
PER_ENDPOINT = 16
LEASE = 3600.0


def recording(*, database: str, workspaces: int, count: int) -> None:
    """Each round: so many new jobs, in all workspaces by turns, each with one endpoint that wants it; then deliver."""
    run(_recording(database, workspaces, count))


def backlog(*, database: str, count: int) -> None:
    """Each round: so many claims from endpoints that all have a backlog, each claim settled before the next."""
    run(_backlog(database, count))


async def _recording(database: str, workspaces: int, count: int) -> None:
    store = await open_store(database)
    numbers = itertools.count()
    answer({})
    for _ in sys.stdin:
        now = time.time()
        made = [creation(workspace_id(number % workspaces), NEVER, now) for number in itertools.islice(numbers, count)]
        began = cpu_seconds()
        for change in made:
            await store.record([change])
        recorded = cpu_seconds() - began
        claimed, looked, deliveries = 0.0, 0.0, 0
        while held := (costs := await _claim(store, now))[0]:
            claimed, looked, deliveries = claimed + costs[1], looked + costs[2], deliveries + len(held)
            await deliver(store, held, now)
        if deliveries != count:
            raise RuntimeError(f"{deliveries} deliveries came of {count} jobs")
        answer({"record": recorded / count, "claim": claimed / count, "next_due": looked / count})
    await store.close()


async def _backlog(database: str, count: int) -> None:
    store = await open_store(database)
    answer({})
    for _ in sys.stdin:
        now, claimed, looked = time.time(), 0.0, 0.0
        for _ in range(count):
            held, cost, look = await _claim(store, now)
            if len(held) < ROOM:
                raise RuntimeError("the backlog is at its end")
            claimed, looked = claimed + cost, looked + look
            await deliver(store, held, now)
        answer({"claim": claimed / count, "next_due": looked / count})
    await store.close()


async def _claim(store: Store, now: float) -> tuple[list[Claim], float, float]:
    """What is claimed, the CPU seconds that it took, and those of the look at when there is more."""
    began = cpu_seconds()
    held = await store.claim(now, limit=ROOM, per_endpoint=PER_ENDPOINT, lease=LEASE)
    claimed = cpu_seconds()
    await store.next_delivery_due(now)
    return held, claimed - began, cpu_seconds() - claimed


async def deliver(store: Store, held: list[Claim], now: float) -> None:
    """Settle all of them as delivered."""
    outcome = Outcome(kind=OutcomeKind.STATUS, status=204)
    await store.settle(
        [
            Settlement(
                claim=one,
                attempt=Attempt(number=one.attempt, started_at=now, duration=0.01, outcome=outcome),
                verdict=Delivered(),
            )
            for one in held
        ],
        now=now,
    )
