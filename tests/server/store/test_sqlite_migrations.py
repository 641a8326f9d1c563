"""A database file of each earlier version opens, and what was in it is still there."""

from pathlib import Path

import apsw
import pytest

from tests.server.store.builders import NOW, WORKSPACE, advanced, claim_one, created, read_log, settlement
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


# From every version


async def test_what_any_earlier_version_wrote_goes_on(tmp_path: Path) -> None:
    """A job half-way, its event, and a delivery that is due: moved, told of and delivered by the newest version."""
    for version in range(1, len(migrations()) + 1):
        path = tmp_path / f"version_{version}.db"
        file_of_version(path, version, HALF_WAY)
        store = await SqliteStore.open(path)
        try:
            assert await store.schema_version() == len(migrations())
            [job] = await store.due_jobs(NOW + 60, 10)
            assert (job.id, job.status, job.version) == ("job_1", JobStatus.RUNNING, 2)
            assert await store.record([advanced(job, now=NOW + 60)]) == [True]
            held = await claim_one(store, NOW + 60)
            assert (held.event_id, held.url, held.attempt) == ("evt_2", "http://localhost/ep_1", 2)
            assert await store.settle([settlement(held)], now=NOW + 60) == [True]
            assert (await claim_one(store, NOW + 60)).sequence == 3, "what waited behind it"
            assert [event.sequence for event in await read_log(store)] == [2, 3]
        finally:
            await store.close()


HALF_WAY = """
INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, created_at, updated_at,
  due_at, progress) VALUES ('job_1', 'ws_default', 'running', 2, 2, 'Spanish', '{}',
  '{"pending_seconds": 1, "running_seconds": 2}', 1800000000, 1800000001, 1800000003, 0);
INSERT INTO events (id, workspace_id, type, created_at, body, job, sequence)
  VALUES ('evt_2', 'ws_default', 'video_translate.running', 1800000001, x'7b7d', 1, 2);
INSERT INTO endpoints (id, workspace_id, url, created_at, secret, retired, headers, ordering, is_callback, status)
  VALUES ('ep_1', 'ws_default', 'http://localhost/ep_1', 1800000000, 'whsec_AAAA', '[]', '{}', 'job', 0, 'enabled');
INSERT INTO deliveries (event, endpoint, job, state, attempts, tries, due_at, first_attempt_at)
  VALUES (1, 1, 1, 'due', 1, 1, 1800000010, 1800000001);
INSERT INTO attempts (delivery, number, started_at, duration, kind, status, detail, body)
  VALUES (1, 1, 1800000001, 0.1, 'status', 500, '', x'');
"""
