"""A database file of each earlier version opens, and what was in it is still there."""

from pathlib import Path

import apsw
import pytest

from tests.server.store.builders import NOW, WORKSPACE, created, read_log
from video_translation_server.errors import BusyError
from video_translation_server.model import Asset, JobStatus
from video_translation_server.store.sqlite import SqliteStore
from video_translation_server.store.sqlite.database import APPLICATION_ID, migrations


def file_of_version(path: Path, version: int, script: str) -> None:
    """A file as the server of that version left it, and what `script` puts into it."""
    connection = apsw.Connection(str(path))
    for step in migrations()[:version]:
        connection.execute(step)
    connection.execute(script)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}")
    connection.close()


JOB = (
    "INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, created_at, "
    "updated_at, due_at, progress) VALUES ('job_1', 'ws_default', 'completed', 3, 3, 'Spanish', '{}', "
    """'{"pending_seconds": 1, "running_seconds": 2}', 1800000000, 1800000000, NULL, 100)"""
)


async def test_jobs_of_version_3_are_shown_and_can_be_deleted(tmp_path: Path) -> None:
    file_of_version(tmp_path / "store.db", 3, JOB)
    store = await SqliteStore.open(tmp_path / "store.db")
    assert (await store.job(WORKSPACE, "job_1")).output_language == "Spanish"
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    assert await store.newest_job(WORKSPACE) is None
    await store.close()


async def test_jobs_and_events_of_version_5_belong_to_no_batch(tmp_path: Path) -> None:
    event = (
        "INSERT INTO events (id, workspace_id, type, created_at, body, job, sequence) "
        "VALUES ('evt_1', 'ws_default', 'video_translate.success', 1800000000, x'7b7d', 1, 3)"
    )
    file_of_version(tmp_path / "store.db", 5, f"{JOB}; {event}")
    store = await SqliteStore.open(tmp_path / "store.db")
    job = await store.job(WORKSPACE, "job_1")
    assert (job.batch_id, job.item_index) == (None, None)
    assert [(event.job_id, event.batch_id) for event in await read_log(store)] == [("job_1", None)]
    await store.close()


async def test_jobs_of_version_10_are_counted_by_status(tmp_path: Path) -> None:
    file_of_version(tmp_path / "store.db", 10, JOB)
    store = await SqliteStore.open(tmp_path / "store.db")
    assert (await store.count_jobs(None))[JobStatus.COMPLETED] == 1
    await store.close()


async def test_jobs_of_version_7_count_among_those_that_go_on(tmp_path: Path) -> None:
    file_of_version(tmp_path / "store.db", 7, JOB.replace("'completed'", "'running'"))
    store = await SqliteStore.open(tmp_path / "store.db")
    with pytest.raises(BusyError):
        await store.record([created("job_2")], at_most=1)
    await store.close()


async def test_jobs_of_version_12_keep_their_files_and_are_in_no_preflight(tmp_path: Path) -> None:
    with_url = JOB.replace("progress)", "progress, video_url)").replace("NULL, 100)", "NULL, 100, 'https://old')")
    without = JOB.replace("job_1", "job_2")
    uploaded = (
        "INSERT INTO assets (id, workspace_id, media_type, size, created_at) "
        "VALUES ('asset_1', 'ws_default', 'video/mp4', 7, 1800000000)"
    )
    file_of_version(tmp_path / "store.db", 12, f"{with_url}; {without}; {uploaded}")
    store = await SqliteStore.open(tmp_path / "store.db")
    first, second = [await store.job(WORKSPACE, job_id) for job_id in ("job_1", "job_2")]
    assert (first.files_at, second.files_at) == (NOW, None)
    assert await store.jobs_in_preflight(9) == []
    assert (await store.asset(WORKSPACE, "asset_1")).seconds is None
    await store.close()


async def test_a_file_of_version_8_takes_assets(tmp_path: Path) -> None:
    file_of_version(tmp_path / "store.db", 8, JOB)
    store = await SqliteStore.open(tmp_path / "store.db")
    asset = Asset(id="asset_1", workspace_id=WORKSPACE, media_type="video/mp4", size=1, created_at=NOW)
    await store.create_asset(asset)
    assert await store.asset(WORKSPACE, "asset_1") == asset
    await store.close()
