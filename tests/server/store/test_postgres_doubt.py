"""A commit whose answer was lost with the database, and perhaps the commit with it: nobody is told what is not so.

On a PostgreSQL of its own, which crashes, and goes on in another timeline.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import UNDURABLE, Cluster, own_cluster
from tests.proxy import Proxy
from tests.server.store.builders import WORKSPACE, created, read_log
from video_translation_server.errors import StoreError
from video_translation_server.store.postgres import PostgresStore
from video_translation_server.store.postgres.database import Connection, Database, history_of
from video_translation_server.store.postgres.doubt import has_committed

pytestmark = pytest.mark.timeout(240)

# What is not committed is in memory only, so that a crash takes it; and nobody but the test takes numbers.
SETTINGS = UNDURABLE | {"wal_writer_delay": "10s", "autovacuum": "off", "restore_command": "false"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="vts-doubt-"))
    made = own_cluster(folder / "data", SETTINGS, home=folder)
    if made.user is not None:
        shutil.chown(folder, made.user)
    yield made
    made.close()


def restart(cluster: Cluster) -> None:
    cluster.restart("fast")


def crash(cluster: Cluster) -> None:
    cluster.restart("immediate")


def change_timeline(cluster: Cluster) -> None:
    """As the standby does that takes over."""
    cluster.stop()
    (cluster.folder / "recovery.signal").touch()
    cluster.start()


async def test_a_commit_that_went_with_a_crash_is_carried_out_anew(cluster: Cluster) -> None:
    """Its number is the next one then, and the first who writes gets it: that must not be us before we have asked."""
    async with Proxy(cluster.url) as proxy:
        store = await PostgresStore.open(proxy.url)
        try:
            assert await store.record([created("job_1")]) == [True]
            others = await Database(cluster.url).connect()
            await others.execute("CREATE TABLE written ()")  # so that no number up to here is given out again
            await others.close()
            crashed: list[bytes] = []

            def crash_instead(data: bytes) -> bool:
                if crashed or b"COMMIT\0" not in data:
                    return False
                crash(cluster)
                crashed.append(data)
                return True

            proxy.cut_before = crash_instead
            assert await store.record([created("job_2")]) == [True]
            assert crashed
            assert [event.job_id for event in await read_log(store)] == ["job_1", "job_2"]
            assert (await store.job(WORKSPACE, "job_2")).id == "job_2"
        finally:
            await store.close()


async def take_number(connection: Connection) -> str:
    number: str = await connection.fetchval("SELECT pg_current_xact_id()::text")
    return number


@pytest.mark.parametrize("befalls", [crash, change_timeline])
async def test_a_number_of_before_says_nothing_of_one_that_others_got_since(
    cluster: Cluster, befalls: Callable[[Cluster], None]
) -> None:
    database = Database(cluster.url)
    before = await database.connect()
    history = await history_of(before)
    await before.close()
    befalls(cluster)
    others = await database.connect()
    number = await take_number(others)
    with pytest.raises(StoreError, match="whether it took place is not known"):
        await has_committed(database, number, history)
    assert await has_committed(database, number, await history_of(others))
    async with others.transaction():
        number = await take_number(others)
        assert not await has_committed(database, number, history), "and who has the number is left alone"
    assert not await has_committed(database, str(int(number) + 1), history), "nobody has had it"
    await others.close()


async def test_what_was_committed_before_an_orderly_restart_is_known(cluster: Cluster) -> None:
    database = Database(cluster.url)
    connection = await database.connect()
    history, number = await history_of(connection), await take_number(connection)
    await connection.close()
    restart(cluster)
    assert await has_committed(database, number, history)
