"""Fills the databases of `benchmarks.scale`, through the store's own verbs; each runs in a process of its own.

Ids are the server's own kind. `a_few` tells some of them to whoever wants to ask for one.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from benchmarks.meter import cpu_seconds, run
from benchmarks.traffic import NEVER, REQUEST
from video_translation_server import lifecycle
from video_translation_server.ids import random_id
from video_translation_server.model import DEFAULT_WORKSPACE, MAIN, Change, Endpoint, Plan, Workspace
from video_translation_server.store import open_store

BATCH = 1000
SEED = 1
HALF_AN_HOUR = 1800.0
PLANNED = "jobs WHERE status = 'pending' AND rank IS NULL"
IN_LINE = "jobs WHERE status = 'pending' AND rank IS NOT NULL"
FIRST_ENDPOINTS = f"endpoints WHERE workspace_id = '{DEFAULT_WORKSPACE}'"
"""What `a_few` can pick from."""
WANTED = "video_translate.pending"
UNWANTED = "video_translate.fail"


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What stands in a database of jobs.

    Attributes:
        pending: Half of them are planned for a time that never comes, half stand in line.
        due: Further ones that are due together, half an hour after each full hour.
        workers: How many of those in line run at once, for an hour each.
        rounds: Hours for which there are enough of both to be moved.
    """

    pending: int
    due: int
    workers: int
    rounds: int

    @property
    def in_all(self) -> int:
        """Pending ones, and those that the rounds move."""
        return self.pending + self.due * self.rounds + self.workers * (self.rounds + 2)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """What stands in a database of endpoints.

    Attributes:
        matching: How many endpoints of each workspace want a new job's event; the others want failures only.
        events: Such events per workspace, recorded at once: each matching endpoint has so many due deliveries.
        later: The same again in as many further workspaces, their deliveries due in an hour.
    """

    workspaces: int
    per_workspace: int
    matching: int = 1
    events: int = 0
    later: bool = False


def workspace_id(number: int) -> str:
    """The first is the one that a caller without a key is in."""
    return DEFAULT_WORKSPACE if number == 0 else f"ws_{number:06}"


def jobs(*, database: str, load: dict[str, Any]) -> dict[str, Any]:
    """Write the jobs; the answer is the CPU seconds that it took."""
    return run(_jobs(database, Jobs(**load)))


def endpoints(*, database: str, load: dict[str, Any]) -> dict[str, Any]:
    """Write the workspaces, the endpoints and their backlog; the answer is the CPU seconds that it took."""
    return run(_endpoints(database, Endpoints(**load)))


async def _jobs(database: str, load: Jobs) -> dict[str, Any]:
    store = await open_store(database)
    changes = _created(load, time.time())
    while batch := list(islice(changes, BATCH)):
        await store.record(batch)
    await store.close()
    return {"cpu": cpu_seconds()}


def _created(load: Jobs, now: float) -> Iterator[Change]:
    """Jobs of each kind, shuffled: those that become due together are not neighbours in the file."""
    line = Plan(pending_seconds=0, running_seconds=2 * HALF_AN_HOUR, lane=MAIN)
    plans = [NEVER] * (load.pending // 2)
    plans += [line] * (load.pending - load.pending // 2 + load.workers * (load.rounds + 2))
    for number in range(load.rounds):
        due_after = (2 * number + 1) * HALF_AN_HOUR
        plans += [Plan(pending_seconds=due_after, running_seconds=NEVER.running_seconds)] * load.due
    random.Random(SEED).shuffle(plans)
    return (creation(DEFAULT_WORKSPACE, plan, now) for plan in plans)


def creation(workspace: str, plan: Plan, now: float) -> Change:
    """The first transition of a new job."""
    return lifecycle.create(
        job_id=random_id("vt"),
        workspace_id=workspace,
        output_language="Spanish (Spain)",
        request=REQUEST,
        plan=plan,
        event_id=random_id("evt"),
        now=now,
    )


async def _endpoints(database: str, load: Endpoints) -> dict[str, Any]:
    store = await open_store(database)
    now, spaces = time.time(), load.workspaces * (2 if load.later else 1)
    for number in range(1, spaces):
        await store.create_workspace(Workspace(id=workspace_id(number), name=f"team {number}", created_at=now))
    made = (_endpoint(number, load, now) for number in range(spaces * load.per_workspace))
    while batch := list(islice(made, BATCH)):
        await asyncio.gather(*(store.create_endpoint(endpoint) for endpoint in batch))
    changes = _events(load, spaces, now)
    while found := list(islice(changes, BATCH)):
        await store.record(found)
    await store.close()
    return {"cpu": cpu_seconds()}


def _endpoint(number: int, load: Endpoints, now: float) -> Endpoint:
    workspace, place = divmod(number, load.per_workspace)
    return Endpoint(
        id=random_id("ep"),
        workspace_id=workspace_id(workspace),
        url=f"http://127.0.0.1:9/hooks/{number}",
        created_at=now,
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # noqa: S106  (nothing is signed with it)
        events=(WANTED if place < load.matching else UNWANTED,),
    )


def _events(load: Endpoints, spaces: int, now: float) -> Iterator[Change]:
    for number in range(load.events * spaces):
        event, workspace = divmod(number, spaces)
        at = now - 60 + event * 1e-3 if workspace < load.workspaces else now + 2 * HALF_AN_HOUR
        yield creation(workspace_id(workspace), NEVER, at)


def a_few(database: Path, what: str, count: int) -> list[str]:
    """The ids of `count` rows, from anywhere in the table; also of a live file."""
    with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        ends: Any = connection.execute(f"SELECT min(n), max(n) FROM {what}").fetchone()  # noqa: S608  (one of the above)
        query = f"SELECT id FROM {what} AND n >= ? ORDER BY n LIMIT 1"  # noqa: S608  (one of the above)
        chance = random.Random(SEED)
        return [str(connection.execute(query, (chance.randint(*ends),)).get) for _ in range(count)]
