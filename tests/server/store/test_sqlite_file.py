"""The embedded engine's file: what it refuses to open, who owns it, what it leaves behind, and a full disk."""

import asyncio
import inspect
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

import apsw
import pytest

from tests.server.store.builders import (
    LEASE,
    NOW,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    deliver_all,
    endpoint,
    read_log,
)
from tests.server.store.engines import RealTime
from tests.waiting import PATIENCE
from video_translation_server.errors import NotFoundError, StoreError
from video_translation_server.model import JobStatus, Kept, Key, Plan, Workers
from video_translation_server.store import Retention, open_store
from video_translation_server.store.sqlite import SqliteStore
from video_translation_server.store.sqlite.database import APPLICATION_ID, migrations

DAY = 86_400.0


def foreign(path: Path, script: str) -> None:
    """A database that some other program has written."""
    connection = apsw.Connection(str(path))
    connection.execute(script)
    connection.close()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def make_store(path: Path) -> None:
    """A closed store with one job in it."""
    store = await SqliteStore.open(path)
    await store.record([created()])
    await store.close()


# What is refused, unchanged


@pytest.mark.parametrize(
    "content",
    [b"notes", b"just some notes\n" * 100, b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 200],
    ids=["a word", "text", "zeros", "a header alone"],
)
async def test_what_is_not_a_database_is_refused_and_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.db"):
        await SqliteStore.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')",
        "CREATE TABLE notes (text); PRAGMA application_id = 7",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 7",
    ],
)
async def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path, script: str) -> None:
    path = tmp_path / "store.db"
    foreign(path, script)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_a_newer_schema_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await make_store(path)
    foreign(path, f"PRAGMA user_version = {len(migrations()) + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"version {len(migrations()) + 1}.*newer"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await make_store(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3996)  # the rest of the first page: the schema's
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"store\.db"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_a_missing_folder_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder that exists"):
        await SqliteStore.open(tmp_path / "no" / "store.db")
    assert names_in(tmp_path) == set()


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match=r"store\.db"):
        await SqliteStore.open(tmp_path / "store.db")


async def test_a_refused_file_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError):
        await SqliteStore.open(path)
    path.unlink()
    await make_store(path)


# What is taken


@pytest.mark.parametrize("script", ["", f"PRAGMA application_id = {APPLICATION_ID}"], ids=["empty", "cut short"])
async def test_an_empty_file_and_one_whose_first_opening_was_cut_short_become_stores(
    tmp_path: Path, script: str
) -> None:
    path = tmp_path / "store.db"
    path.touch()
    foreign(path, script)
    await make_store(path)


async def test_a_file_is_migrated_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for _ in range(2):
        store = await SqliteStore.open(path)
        await store.close()
    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == len(migrations()) > 0
    assert connection.pragma("application_id") == APPLICATION_ID
    connection.close()


async def test_a_file_of_the_first_version_keeps_its_answers(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = f"{migrations()[0]}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;"
    foreign(path, first)
    foreign(
        path,
        "INSERT INTO idempotency (workspace_id, scope, key, created_at, status, response) "
        "VALUES ('ws_default', 'POST /', 'key-1', 1800000000, 200, x'7b7d')",
    )
    store = await SqliteStore.open(path)
    kept = await store.start_request(WORKSPACE, "POST /", "key-1", now=NOW, lease=1)
    assert kept == Kept(status=200, body=b"{}")
    await store.close()


async def test_a_file_of_the_first_version_gets_ids_for_keys_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    foreign(path, f"PRAGMA application_id = {APPLICATION_ID}")
    foreign(path, migrations()[0])
    foreign(path, "INSERT INTO workspaces (id, name, created_at) VALUES ('ws_team', 'Team', 1)")
    foreign(path, "PRAGMA user_version = 1")
    store = await SqliteStore.open(path)
    assert [one.id for one in (await store.workspaces(limit=10))[0]] == ["ws_team", WORKSPACE]
    key = Key(id="key_1", workspace_id="ws_team", label=None, created_at=NOW)
    await store.create_key(key, b"digest")
    assert await store.key_of(b"digest") == key
    await store.close()


async def test_a_job_from_before_runs_were_counted_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    before = next(number for number, step in enumerate(migrations()) if "COLUMN runs" in step)
    foreign(path, f"PRAGMA application_id = {APPLICATION_ID}")
    for step in migrations()[:before]:
        foreign(path, step)
    foreign(path, f"PRAGMA user_version = {before}")
    foreign(
        path,
        "INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, created_at, "
        "updated_at, due_at, progress) VALUES ('job_1', 'ws_default', 'running', 2, 2, 'Spanish', '{}', "
        """'{"pending_seconds":1,"running_seconds":9,"failure_message":null}', 1, 2, 11, 0)""",
    )
    store = await SqliteStore.open(path)
    [job] = await store.due_jobs(NOW, 10)
    assert (job.runs, job.plan) == (0, Plan(pending_seconds=1, running_seconds=9))
    assert await store.record([advanced(job)]) == [True]
    assert (await store.job(WORKSPACE, "job_1")).status is JobStatus.COMPLETED
    await store.close()


async def test_a_job_from_before_there_was_a_line_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    before = next(number for number, step in enumerate(migrations()) if "jobs_in_line" in step)
    foreign(path, f"PRAGMA application_id = {APPLICATION_ID}")
    for step in migrations()[:before]:
        foreign(path, step)
    foreign(path, f"PRAGMA user_version = {before}")
    foreign(
        path,
        "INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, created_at, "
        "updated_at, due_at, progress) VALUES ('job_1', 'ws_default', 'pending', 1, 1, 'Spanish', '{}', "
        """'{"pending_seconds":1,"running_seconds":9}', 1, 1, 2, 0)""",
    )
    store = await SqliteStore.open(path)
    [job] = await store.due_jobs(NOW, 10, workers=Workers(main=1))
    assert (job.rank, job.plan.lane, await store.place(job)) == (None, None, None)
    assert await store.record([advanced(job)]) == [True]
    await store.close()


@pytest.mark.parametrize("chunk", [1, 3])
async def test_settled_deliveries_go_in_small_steps(tmp_path: Path, chunk: int) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.create_endpoint(endpoint(events=("video_translate.pending",)))
    await store.record([created(f"job_{number}") for number in range(10)])
    await deliver_all(store)
    steps, after = 0, 0
    while (reached := await store.prune(NOW + 8 * DAY, retention=Retention(), after=after, chunk=chunk)) is not None:
        steps, after = steps + 1, reached
        assert steps < 1000, "it never ends"
    assert steps >= 10 // chunk
    await store.close()


async def test_urls_name_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("one.db", "sqlite:///two.db", f"sqlite:///{tmp_path}/three.db", f"{tmp_path}/four.db"):
        await (await open_store(url)).close()
    assert {"one.db", "two.db", "three.db", "four.db"} <= names_in(tmp_path)


async def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StoreError, match="mysql"):
        await open_store("mysql://localhost/store")


# Ownership

OWNER = """
import asyncio, sys
from pathlib import Path
from tests.server.store.builders import created, endpoint
from video_translation_server.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    await store.create_endpoint(endpoint())
    await store.record([created()])
    [held] = await store.claim(2e9, limit=1, per_endpoint=1, lease=3600)
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_another_process_is_refused_until_the_owner_is_gone_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    root = Path(__file__).parents[3]
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(path), cwd=root, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert owner.stdout is not None
        assert await asyncio.wait_for(owner.stdout.readline(), PATIENCE) == b"held\n"
        with pytest.raises(StoreError, match="in use"):
            await SqliteStore.open(path)
        assert owner.returncode is None, "the owner did not suffer"
    finally:
        owner.send_signal(signal.SIGKILL)
        await owner.wait()
    store = await SqliteStore.open(path)
    assert [event.id for event in await read_log(store)] == ["evt_job_1_1"]
    assert (await claim_one(store)).attempt == 1, "the dead owner's lease is taken back at once"
    await store.close()


async def test_a_second_store_on_the_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    (tmp_path / "link.db").symlink_to(path)
    store = await SqliteStore.open(path)
    for name in ("store.db", "link.db"):
        with pytest.raises(StoreError, match="in use"):
            await SqliteStore.open(tmp_path / name)
    assert await store.record([created()]) == [True]
    await store.close()
    await (await SqliteStore.open(path)).close()


# What lies on the disk


async def test_nobody_else_can_read_the_secrets(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        store = await SqliteStore.open(tmp_path / "store.db")
    finally:
        os.umask(mask)
    await store.create_endpoint(endpoint())
    await store.newest_job(WORKSPACE)
    holding = {"store.db", "store.db-wal", "store.db-shm"}
    assert names_in(tmp_path) == holding | {"store.db-lock"}
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in holding} == {0o600}
    assert (tmp_path / "store.db-lock").stat().st_size == 0
    await store.close()


async def test_a_closed_store_is_one_file_that_can_be_copied(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    change = created()
    await store.record([change])
    assert await store.newest_job(WORKSPACE) == change.job  # a reader is open
    await store.close()
    shutil.copy(tmp_path / "store.db", tmp_path / "copy.db")
    copy = await SqliteStore.open(tmp_path / "copy.db")
    assert await copy.job(WORKSPACE, "job_1") == change.job
    await copy.close()
    assert not (tmp_path / "store.db-wal").exists()


# The machine's clock


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_setting_the_machines_clock_ends_no_lease_and_prolongs_none(tmp_path: Path, seconds: float) -> None:
    clock, leases = RealTime(), RealTime()
    store = await SqliteStore.open(tmp_path / "store.db", real_time=clock, lease_time=leases)
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    clock.advance(seconds)
    assert await claim(store) == [], "its attempt is under way"
    assert await store.renew_claims([held], lease=LEASE) == [True]
    leases.advance(LEASE + 1)
    assert await claim_one(store) != held
    await store.close()


def test_the_time_of_leases_is_one_that_nobody_sets() -> None:
    assert inspect.signature(SqliteStore.open).parameters["lease_time"].default is time.monotonic


# A full disk


async def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the file grow by so many pages and no further."""

    def limit(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", connection.pragma("page_count") + more)

    await store._writer.run(limit)


async def test_a_full_disk_tells_everyone_who_was_not_kept_and_the_store_goes_on(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.record([created("job_before")])
    await limit_pages(store, 4)
    with store.bells.events.listen() as rung:
        calls = [store.record([created(f"job_{number}", title="x" * 1000)]) for number in range(50)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, StoreError)]
        kept = [f"job_{number}" for number, answer in enumerate(answers) if answer == [True]]
        assert refused
        assert len(refused) + len(kept) == 50, f"neither kept nor refused: {answers}"
        assert rung.is_set() == bool(kept)
    assert [event.job_id for event in await read_log(store)] == ["job_before", *kept]
    await limit_pages(store, 10_000)
    assert await store.record([created("job_after")]) == [True]
    await store.close()


async def test_what_did_not_fit_left_nothing_behind(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.create_endpoint(endpoint())
    await limit_pages(store, 2)
    with pytest.raises(StoreError):
        await store.record([created("job_large", title="x" * 50_000)])
    with pytest.raises(NotFoundError):
        await store.job(WORKSPACE, "job_large")
    assert await read_log(store) == []
    assert await store.claim(NOW, limit=9, per_endpoint=9, lease=9) == []
    await store.close()


# What cannot be read


async def test_where_reading_fails_callers_are_told_so_and_the_store_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.record([created()])

    def fails(*_: object) -> None:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr("video_translation_server.store.sqlite.log.last_position", fails)
        broken.setattr("video_translation_server.store.sqlite.claims.next_due", fails)
        with pytest.raises(StoreError, match="could not be read: disk I/O error"):
            await store.last_position()
        with pytest.raises(StoreError, match="could not be read: disk I/O error"):
            await store.next_delivery_due(NOW)
    assert await store.last_position() == 1
    assert await store.next_delivery_due(NOW) is None
    await store.close()


async def test_a_reader_that_could_not_open_the_file_opens_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.record([created()])

    def no_more_files(*_: object, **__: object) -> apsw.Connection:
        raise apsw.CantOpenError("unable to open database file")

    with monkeypatch.context() as broken:
        broken.setattr(store._database, "connect", no_more_files)
        with pytest.raises(StoreError, match="could not be read: unable to open"):
            await store.job(WORKSPACE, "job_1")
    assert (await store.job(WORKSPACE, "job_1")).id == "job_1"
    await store.close()
