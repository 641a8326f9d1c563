"""The engine's part in `benchmarks.fairness`, run by a child process: events recorded at a steady pace, one at a time.

Each endpoint has a workspace of its own, so that an event is one delivery; the answer is when each event for a
healthy endpoint was handed to the store, and the receiver knows when it arrived.
"""

import asyncio
import gc
import random
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.engine import Conditions, engine, register
from benchmarks.meter import run
from benchmarks.traffic import Ids, Shape, create, endpoints, workspace
from video_translation_server.store import Store
from video_translation_server.transitions import record

LAST_ARRIVALS = 0.5
"""Seconds after the last event in which deliveries still arrive."""


def pace(
    *,
    conditions: dict[str, Any],
    shape: dict[str, Any],
    bad_urls: list[str],
    rate: float,
    bad_rate: float,
    seconds: float,
) -> dict[str, Any]:
    """Record events for the healthy endpoints in turn, `rate` a second in all, and `bad_rate` for each bad URL."""
    made, healthy = Conditions(**conditions), Shape(**shape)
    return run(_pace(made, healthy, bad_urls, rate=rate, bad_rate=bad_rate, seconds=seconds))


async def _pace(
    conditions: Conditions, shape: Shape, bad_urls: list[str], *, rate: float, bad_rate: float, seconds: float
) -> dict[str, Any]:
    async with engine(conditions) as (server, _):
        await register(server.store, shape)
        bad = await _register_bad(server.store, shape, bad_urls)
        gc.freeze()
        healthy, when = [workspace(number) for number in range(shape.workspaces)], Flow(seconds)
        lanes = [lane(server.store, [name], bad_rate, when) for name in bad]
        recorded, *_ = await asyncio.gather(lane(server.store, healthy, rate, when), *lanes)
        await asyncio.sleep(LAST_ARRIVALS)
    return {"recorded": recorded}


async def _register_bad(store: Store, shape: Shape, urls: list[str]) -> list[str]:
    """One endpoint per URL, in a workspace of its own; the workspaces."""
    names = [workspace(shape.workspaces + number) for number in range(len(urls))]
    for model, name, url in zip(endpoints(shape, time.time()), names, urls, strict=False):
        await store.create_endpoint(msgspec.structs.replace(model, id=f"ep_{name}", workspace_id=name, url=url))
    return names


@dataclass(frozen=True, slots=True)
class Flow:
    """How long all lanes run, from the same instant on."""

    seconds: float
    begin: float = field(default_factory=time.perf_counter)


async def lane(store: Store, workspaces: list[str], rate: float, flow: Flow, *, seed: str = "") -> dict[str, float]:
    """One event after the other, each at its instant; event id -> Unix seconds before `record`."""
    ids, recorded = Ids(random.Random(workspaces[0] + seed), time.time()), dict[str, float]()
    recording: set[asyncio.Task[list[bool]]] = set()
    for number in range(int(flow.seconds * rate)):
        await asyncio.sleep(flow.begin + number / rate - time.perf_counter())
        change = create(ids, workspaces[number % len(workspaces)], time.time())
        recorded[change.event.id] = change.event.created_at
        task = asyncio.create_task(record(store, [change]))
        recording.add(task)
        task.add_done_callback(recording.discard)
    await asyncio.gather(*recording)
    return recorded
