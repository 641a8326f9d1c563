"""Jobs move by due times in the store: on time, once, and on from where a server stopped."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.server.rig import EVENTS, JOBS, FakeSender, Rig, SteppedClock, seeded_ids, serving
from video_translation_server.simulation import mover

START = 1_800_000_000.0


async def history(rig: Rig, job_id: str) -> list[tuple[str, int, float]]:
    """What the log says of a job: status, sequence, seconds since the start."""
    query: dict[str, Any] = {"video_translate_id": job_id, "after": "cur_0", "limit": 100}
    events = (await rig.http.get(EVENTS, params=query)).json()["data"]
    snapshots = [event["event_data"] for event in events]
    return [(data["status"], data["sequence"], data["updated_at"] - START) for data in snapshots]


async def test_a_job_moves_at_its_due_times_and_not_before(tmp_path: Path) -> None:
    async with serving(tmp_path, translation_time=10, pending_share=0.2) as rig:
        [job_id] = await rig.translate()
        for step in (1.5, 0.5, 7.5, 0.5, 100):
            await rig.advance(step)
        assert await history(rig, job_id) == [("pending", 1, 0), ("running", 2, 2), ("completed", 3, 10)]


async def test_a_job_of_no_time_ends_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, translation_time=0) as rig:
        [job_id] = await rig.translate()
        await rig.quiet()
        assert await history(rig, job_id) == [("pending", 1, 0), ("running", 2, 0), ("completed", 3, 0)]


@pytest.mark.parametrize("rate", [0, 1])
async def test_the_error_rate_decides(tmp_path: Path, rate: float) -> None:
    async with serving(tmp_path, error_rate=rate) as rig:
        jobs = await rig.translate("English", "German", "French")
        await rig.advance(1)
        await rig.advance(9)
        statuses = {(await rig.job(job_id))["status"] for job_id in jobs}
        assert statuses == {"failed" if rate else "completed"}


async def fates(folder: Path, run: str, seed: int) -> list[Any]:
    store = str(folder / f"{run}.db")
    async with serving(folder, store=store, error_rate=0.5, translation_time="5-15", seed=seed) as rig:
        jobs = [(await rig.translate())[0] for _ in range(12)]
        for _ in range(64):
            await rig.advance(0.25)
        return [await history(rig, job_id) for job_id in jobs]


async def test_a_seed_makes_a_run_that_can_be_repeated(tmp_path: Path) -> None:
    first = await fates(tmp_path, "a", 3)
    assert first == await fates(tmp_path, "b", 3)
    assert first != await fates(tmp_path, "c", 4)
    assert {run[-1][0] for run in first} == {"completed", "failed"}
    assert all(5 <= run[-1][2] <= 15.5 for run in first)


async def test_a_new_job_is_not_kept_waiting_for_the_poll(tmp_path: Path) -> None:
    async with serving(tmp_path, poll_interval=86_400) as rig:
        await rig.quiet()
        [job_id] = await rig.translate(simulation={"duration_seconds": 10})
        await rig.advance(1)
        await rig.advance(9)
        assert (await history(rig, job_id))[-1] == ("completed", 3, 10)


@pytest.mark.parametrize(
    ("down_for", "expected"),
    [
        (0, [("pending", 1, 0), ("running", 2, 10), ("completed", 3, 100)]),
        (50, [("pending", 1, 0), ("running", 2, 10), ("completed", 3, 100)]),
        (500, [("pending", 1, 0), ("running", 2, 10), ("completed", 3, 520)]),
    ],
)
async def test_a_restart_in_mid_job_resumes_it(tmp_path: Path, down_for: float, expected: list[Any]) -> None:
    ids, clock = seeded_ids(), SteppedClock()
    async with serving(tmp_path, clock=clock, ids=ids) as rig:
        [job_id] = await rig.translate(simulation={"duration_seconds": 100})
        await rig.advance(10)
        await rig.advance(10)
    clock.advance(down_for)
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids, seed=99) as rig:
        await rig.quiet()
        before = (await rig.job(job_id))["status"]
        assert before == ("completed" if down_for == 500 else "running")
        if down_for < 100:
            await rig.advance(80 - down_for)
        assert await history(rig, job_id) == expected


async def test_a_restart_before_the_first_move_resumes_too(tmp_path: Path) -> None:
    ids, clock = seeded_ids(), SteppedClock()
    async with serving(tmp_path, clock=clock, ids=ids) as rig:
        await rig.register()
        [job_id] = await rig.translate(simulation={"duration_seconds": 100, "outcome": "failed"})
        await rig.quiet()
        first = rig.sender.sequences(job_id)
    async with serving(tmp_path, clock=clock, ids=ids) as rig:
        await rig.advance(10)
        await rig.advance(90)
        assert await history(rig, job_id) == [("pending", 1, 0), ("running", 2, 10), ("failed", 3, 100)]
        assert first + rig.sender.sequences(job_id) == [1, 2, 3], "each transition pushed once"


async def test_more_jobs_than_one_batch_all_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "BATCH", 4)
    async with serving(tmp_path) as rig:
        jobs = [(await rig.translate())[0] for _ in range(11)]
        await rig.advance(1)
        await rig.advance(9)
        assert [len(await history(rig, job_id)) for job_id in jobs] == [3] * 11
        assert len(rig.lines("transition")) == 33


async def test_transitions_are_logged_once_each_with_their_ids(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        [job_id] = await rig.translate()
        await rig.advance(1)
        await rig.advance(9)
        lines = rig.lines("transition")
        assert [(line["job_id"], line["status"], line["sequence"]) for line in lines] == [
            (job_id, "pending", 1),
            (job_id, "running", 2),
            (job_id, "completed", 3),
        ]
        events = (await rig.http.get(EVENTS, params={"after": "cur_0"})).json()["data"]
        assert [line["event_id"] for line in lines] == [event["event_id"] for event in events]


async def test_jobs_that_are_made_while_others_move_are_not_lost(tmp_path: Path) -> None:
    async with serving(tmp_path, translation_time=1) as rig:

        async def make(_: int) -> str:
            [job_id] = await rig.translate()
            rig.clock.advance(0.1)
            return job_id

        jobs = await asyncio.gather(*map(make, range(30)))
        for _ in range(3):
            await rig.advance(1)
        assert {(await rig.http.get(f"{JOBS}/{job_id}")).json()["data"]["status"] for job_id in jobs} == {"completed"}
        for job_id in jobs:
            assert [step[1] for step in await history(rig, job_id)] == [1, 2, 3]
