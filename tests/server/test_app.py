"""The composition root: what begins by itself, and that everything ends in order."""

import asyncio
from pathlib import Path

import pytest

from tests.server.rig import EVENTS, JOBS, FakeSender, SteppedClock, seeded_ids, serving
from video_translation_server import app
from video_translation_server.errors import InvalidError, StoreError
from video_translation_server.settings import Settings
from video_translation_server.store import open_store


async def test_an_empty_store_gets_one_job_by_itself(tmp_path: Path) -> None:
    async with serving(tmp_path, start_job=True, translation_time=10) as rig:
        status = (await rig.http.get("/status")).json()
        assert (status["result"], status["status"], status["sequence"]) == ("pending", "pending", 1)
        await rig.advance(1)
        await rig.advance(9)
        assert (await rig.http.get("/status")).json()["result"] == "completed"
        assert len((await rig.http.get(JOBS)).json()["data"]) == 1


async def test_the_job_of_itself_may_fail(tmp_path: Path) -> None:
    async with serving(tmp_path, start_job=True, error_rate=1) as rig:
        await rig.advance(1)
        await rig.advance(9)
        assert (await rig.http.get("/status")).json()["result"] == "error"


async def test_a_store_with_jobs_gets_none(tmp_path: Path) -> None:
    ids = seeded_ids()
    for _ in range(3):
        async with serving(tmp_path, start_job=True, ids=ids) as rig:
            assert len((await rig.http.get(JOBS)).json()["data"]) == 1


async def test_the_setting_turns_it_off(tmp_path: Path) -> None:
    async with serving(tmp_path, start_job=False) as rig:
        await rig.quiet()
        assert (await rig.http.get("/status")).status_code == 404
        assert (await rig.http.get(EVENTS)).json()["data"] == []


async def test_what_was_told_is_still_there_after_a_restart(tmp_path: Path) -> None:
    ids, clock = seeded_ids(), SteppedClock()
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        endpoint = await rig.register(ttl_seconds=60, description="kept")
        [job_id] = await rig.translate(title="kept", simulation={"duration_seconds": 100})
        await rig.quiet()
        before = [(await rig.http.get(path)).json() for path in (JOBS, EVENTS, "/v3/webhooks/endpoints")]
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        assert [(await rig.http.get(path)).json() for path in (JOBS, EVENTS, "/v3/webhooks/endpoints")] == before
        forward = (await rig.http.get(EVENTS, params={"after": endpoint["cursor"]})).json()
        assert [event["event_data"]["video_translate_id"] for event in forward["data"]] == [job_id]
        await rig.advance(10)
        assert sender.sequences(job_id) == [1, 2], "and the same endpoint goes on being told, with the same secret"
        await rig.advance(50)
        assert (await rig.http.get("/v3/webhooks/endpoints")).json()["data"] == [], "its ttl went on too"


async def test_two_servers_do_not_share_a_store(tmp_path: Path) -> None:
    async with serving(tmp_path) as first:
        with pytest.raises(StoreError, match="in use by another server"):
            async with serving(tmp_path):
                raise AssertionError
        assert await first.translate()


@pytest.mark.parametrize(
    "settings",
    [{"ca_file": "missing.pem"}, {"allow_targets": "10.0.0.0/8", "ca_file": "missing.pem"}],
)
async def test_a_start_that_fails_lets_go_of_the_store(tmp_path: Path, settings: dict[str, str]) -> None:
    path = str(tmp_path / "server.db")
    bad = Settings.model_validate({"store": path} | settings)
    with pytest.raises(InvalidError, match=r"missing\.pem"):
        async with app.running(bad):
            raise AssertionError
    store = await open_store(path)  # nobody holds it
    await store.close()


async def test_an_error_in_the_block_ends_everything(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    sender = FakeSender(SteppedClock())
    with pytest.raises(ZeroDivisionError):
        async with serving(tmp_path, sender=sender):
            raise ZeroDivisionError
    assert sender.is_closed
    assert asyncio.all_tasks() == before
    async with serving(tmp_path) as rig:
        assert (await rig.http.get("/readyz")).status_code == 200


async def test_nothing_runs_on_after_the_end(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with serving(tmp_path) as rig:
        await rig.register()
        await rig.translate()
        await rig.quiet()
    assert asyncio.all_tasks() == before
    posts = len(rig.sender.posts)
    rig.clock.advance(1000)
    await asyncio.sleep(0)
    assert len(rig.sender.posts) == posts
