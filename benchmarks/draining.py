"""The engine's two parts in `benchmarks.delivery`, each run by a child process: draining a backlog, and a steady flow.

The clock starts once the server has settled in, and stops when nothing is open any more; a round may count
statements or be profiled instead, and is then no measure of speed.
"""

import asyncio
import gc
import time
from typing import Any

from benchmarks.engine import LOOK, Conditions, OpenDeliveries, Statements, engine, register, watch
from benchmarks.meter import Meter, run
from benchmarks.profiling import Profile
from benchmarks.traffic import Shape, changes
from video_translation_server.app import Application
from video_translation_server.model import Change
from video_translation_server.store import open_store
from video_translation_server.transitions import record

LOAD_BATCH = 500
HEAD_START = 60.0
"""Seconds by which a backlog's due times lie ahead of the standing clock."""


def load(*, database: str, shape: dict[str, Any]) -> dict[str, Any]:
    """Write a backlog through the store's verbs; the answer is the instant at which its clock must stand."""
    return run(_load(database, Shape(**shape)))


async def _load(database: str, shape: Shape) -> dict[str, Any]:
    now, store = time.time(), await open_store(database)
    try:
        await register(store, shape)
        batch: list[Change] = []
        for change in changes(shape, now):
            batch.append(change)
            if len(batch) == LOAD_BATCH:
                await store.record(batch)
                batch = []
        await store.record(batch)
    finally:
        await store.close()
    return {"stands_at": now - HEAD_START}


def drain(
    *,
    conditions: dict[str, Any],
    shape: dict[str, Any],
    counting: bool = False,
    profiling: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Deliver a loaded backlog, from the opening of the gate until all is settled."""
    statements, profile = Statements(wanted=counting), Profile(profiling)
    return run(_drain(Conditions(**conditions), Shape(**shape), statements, profile))


async def _drain(conditions: Conditions, shape: Shape, statements: Statements, profile: Profile) -> dict[str, Any]:
    with statements.hooked(), profile.of_new_threads():
        async with engine(conditions) as (server, gate):
            statements.forget()
            with watch(conditions.database) as remaining, profile.of_this_thread():
                meter = Meter()
                gate.open(server)
                await remaining.come_to_nothing()
                cost = meter.stop(shape.deliveries)
            told = statements.told(shape.deliveries)
    return cost | told | profile.told(shape.deliveries)


def steady(
    *,
    conditions: dict[str, Any],
    shape: dict[str, Any],
    outstanding: int,
    counting: bool = False,
    profiling: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Record, deliver and settle, with at most `outstanding` deliveries open, until all is settled."""
    statements, profile = Statements(wanted=counting), Profile(profiling)
    return run(_steady(Conditions(**conditions), Shape(**shape), outstanding, statements, profile))


async def _steady(
    conditions: Conditions, shape: Shape, outstanding: int, statements: Statements, profile: Profile
) -> dict[str, Any]:
    prepared = list(changes(shape, time.time()))
    gc.freeze()  # the collector shall not walk over what only the benchmark keeps
    with statements.hooked(), profile.of_new_threads():
        async with engine(conditions) as (server, _):
            await register(server.store, shape)
            statements.forget()
            with watch(conditions.database) as remaining, profile.of_this_thread():
                meter = Meter()
                await _feed(server, prepared, shape.fan_out, outstanding, remaining)
                await remaining.come_to_nothing()
                cost = meter.stop(shape.deliveries)
            told = statements.told(shape.deliveries)
    return cost | told | profile.told(shape.deliveries)


async def _feed(
    server: Application, prepared: list[Change], fan_out: int, outstanding: int, remaining: OpenDeliveries
) -> None:
    """Record the changes one by one, as requests do that come at the same time, while there is room."""
    recording: set[asyncio.Task[list[bool]]] = set()
    sent = 0
    while sent < len(prepared):
        room = (outstanding - remaining.count(outstanding)) // fan_out - len(recording)
        for change in prepared[sent : sent + max(0, room)]:
            task = asyncio.create_task(record(server.store, [change]))
            recording.add(task)
            task.add_done_callback(recording.discard)
            sent += 1
        await asyncio.sleep(LOOK)
    await asyncio.gather(*recording)
