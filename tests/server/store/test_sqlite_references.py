"""No row of the embedded engine refers to one that is gone, whatever was deleted on the way.

SQLite does not enforce that here: each insert would look its parents up again, all of which the verbs have just read or
written in the same transaction. So it is checked, with SQLite's own `foreign_key_check`.
"""

from contextlib import closing
from pathlib import Path

import apsw

from tests.server.store.builders import (
    NOW,
    PROGRESS,
    WORKSPACE,
    advanced,
    claim,
    created,
    dead,
    deliver_all,
    endpoint,
    gone,
    life,
    progressed,
    settlement,
)
from video_translation_server.model import Batch, Sweep, SweepKind
from video_translation_server.store import Retention
from video_translation_server.store.sqlite import SqliteStore

DAY = 86400.0


def orphans(path: Path) -> list[tuple[str, str]]:
    """The tables with rows that refer to none, and to which table."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return [(row[0], row[2]) for row in connection.execute("PRAGMA foreign_key_check")]


async def busy_life(store: SqliteStore) -> None:
    """Something of everything: a batch, progress, all verdicts, sweeps, deletions."""
    for number in range(3):
        await store.create_endpoint(endpoint(f"ep_{number}", expires_at=NOW + 1 if number == 2 else None))
    await store.create_endpoint(endpoint("ep_progress", events=(PROGRESS,)))
    batch = Batch(id="batch_1", workspace_id=WORKSPACE, title=None, created_at=NOW, counts={})
    await store.record([created("job_1"), *life("job_2")], batch=batch)
    running = advanced(created("job_1").job)
    await store.record([running, progressed(running.job, 50)])
    first, second, *others = await claim(store)
    await store.settle([dead(first), gone(second), *(settlement(held) for held in others)], now=NOW)
    await store.start_sweep(
        Sweep(id="rec_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.RECOVER, since=0, created_at=NOW)
    )
    await store.advance_sweeps(NOW, chunk=100, backlog=100)
    await store.expire_endpoints(NOW + 1)
    await store.delete_endpoint(WORKSPACE, "ep_0", now=NOW)
    await store.delete_job(WORKSPACE, "job_2", now=NOW)
    await deliver_all(store, NOW + 1)


async def test_none_after_a_busy_life_after_pruning_and_after_erasing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path)
    await busy_life(store)
    assert orphans(path) == []
    after: int | None = 0
    while after is not None:
        after = await store.prune(NOW + 40 * DAY, retention=Retention(), after=after, chunk=3)
    assert await store.first_position() > 1, "events were pruned"
    assert orphans(path) == []
    await store.record([created("job_3")])
    await store.erase()
    assert orphans(path) == []
    await store.close()


def test_a_row_without_its_parent_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE a (n INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a (n))")
        connection.execute("INSERT INTO b VALUES (7)")
    assert orphans(path) == [("b", "a")]
