"""A real queue: workers, priorities that age, a fast lane, and estimates that are right on average."""

import itertools
import random
import statistics
from pathlib import Path

import pytest

from tests.server.rig import Rig, SteppedClock, seeded_ids, serving
from tests.server.simulation.conftest import MakePlanner
from tests.server.store.builders import LINKS
from video_translation_server import lifecycle
from video_translation_server.forecast import Forecast, forecast
from video_translation_server.model import DEFAULT_WORKSPACE, Job, Place, Plan, Subject, Workers
from video_translation_server.simulation.durations import Durations
from video_translation_server.simulation.mover import Mover
from video_translation_server.simulation.planner import Line
from video_translation_server.store import EventFilter, Store, open_store
from video_translation_server.wire.scripts import Script


async def statuses(rig: Rig, jobs: list[str]) -> list[str]:
    return [(await rig.job(job_id))["status"] for job_id in jobs]


async def test_no_more_jobs_run_than_there_are_workers(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=2, translation_time=10) as rig:
        jobs = [(await rig.translate())[0] for _ in range(5)]
        await rig.quiet()
        assert await statuses(rig, jobs) == ["running"] * 2 + ["pending"] * 3
        last = await rig.job(jobs[-1])
        assert (last["queue_position"], last["priority"]) == (3, 5)
        start = rig.clock.now()
        assert (last["estimated_start_at"], last["estimated_completion_at"]) == (start + 20, start + 30)
        await rig.advance(10)
        assert await statuses(rig, jobs) == ["completed"] * 2 + ["running"] * 2 + ["pending"]
        await rig.http.post(f"/v3/video-translations/{jobs[2]}/cancel")
        await rig.quiet()
        assert (await rig.job(jobs[4]))["status"] == "running", "a cancelled job makes room at once"


async def test_the_urgent_are_next_and_nobody_is_told_of_places_in_events(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=1, translation_time=10) as rig:
        await rig.register()
        jobs = [(await rig.translate(priority=priority))[0] for priority in (5, 0, 5, 9)]
        await rig.quiet()
        for _ in range(4):
            await rig.advance(10)
        ran = [post.job for post in rig.sender.posts if post.sequence == 2]
        assert ran == [jobs[0], jobs[3], jobs[2], jobs[1]]
        assert "queue_position" not in rig.sender.posts[0].event["event_data"]


async def test_nothing_starves(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=1, translation_time=10, ageing=5) as rig:
        [low] = await rig.translate(priority=0)
        waited = 0
        while (await rig.job(low))["status"] == "pending" and waited < 20:
            await rig.translate("English", "German", priority=9)
            await rig.advance(10)
            waited += 1
        assert waited <= 6, "9 steps of 5 s, and who was there before"


async def test_short_jobs_have_a_lane_of_their_own(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=1, fast_workers=1, fast_lane=5, translation_time=100) as rig:
        slow = [(await rig.translate())[0] for _ in range(2)]
        [short] = await rig.translate(simulation={"duration_seconds": 5})
        await rig.quiet()
        assert await statuses(rig, [*slow, short]) == ["running", "pending", "running"]


async def test_a_job_that_fails_goes_to_the_back_of_the_line(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=1, translation_time=10) as rig:
        [failing] = await rig.translate(simulation={"retries": 1, "outcome": "completed"})
        [other] = await rig.translate()
        await rig.quiet()
        await rig.advance(10)
        assert await statuses(rig, [failing, other]) == ["pending", "running"]
        assert (await rig.job(failing))["sequence"] == 3


@pytest.mark.parametrize("workers", [None, 1])
async def test_a_line_goes_on_after_a_restart_with_other_settings(tmp_path: Path, workers: int | None) -> None:
    ids, clock = seeded_ids(), SteppedClock()
    async with serving(tmp_path, clock=clock, ids=ids, workers=2, fast_workers=1, fast_lane=5) as rig:
        jobs = [(await rig.translate(simulation={"duration_seconds": 5}))[0] for _ in range(3)]
        await rig.quiet()
    async with serving(tmp_path, clock=clock, ids=ids, workers=workers) as rig:
        await rig.quiet()
        for _ in range(3):
            await rig.advance(5)
        assert await statuses(rig, jobs) == ["completed"] * 3


# Estimates


def test_a_forecast_plays_the_line_through() -> None:
    plan = Plan(pending_seconds=0, running_seconds=7, lane=0)
    job = lifecycle.create(
        job_id="j", workspace_id="w", output_language="Spanish", request={}, plan=plan, event_id="e", now=100
    ).job
    running = lifecycle.advance(job, event_id="e", now=98, links=LINKS).job
    place = Place(ahead=[3, 10], beyond=0, busy=[running])
    assert forecast(job, place, workers=1, now=100) == Forecast(position=3, starts_at=118, ends_at=125)
    assert forecast(job, place, workers=2, now=100) == Forecast(position=3, starts_at=105, ends_at=112)
    assert forecast(job, place, workers=3, now=100) == Forecast(position=3, starts_at=103, ends_at=110)
    assert forecast(job, place, workers=None, now=100).starts_at == 100


class Shop:
    """1,000 jobs that come by and by to a line of 8 workers, under a clock that goes from move to move."""

    WORKERS = Workers(main=8)

    def __init__(self, store: Store, make_planner: MakePlanner) -> None:
        self.clock, self.ids, self.store = SteppedClock(), seeded_ids(), store
        self.planner = make_planner(
            seconds=(30, 300),
            durations={"distribution": "lognormal"},
            odds={"retries": 2},
            error_rate=0.1,
            line=Line(60),
        )
        self.mover = Mover(
            store, self.clock, self.ids, links=LINKS, poll_interval=5, workers=self.WORKERS
        )  # fmt: skip
        self.expected: dict[str, Forecast] = {}
        self.came: dict[str, float] = {}

    async def settle(self) -> None:
        while await self.mover.move_due():
            pass

    async def come(self, priorities: list[int]) -> None:
        changes = [
            lifecycle.create(
                job_id=self.ids("vt"),
                workspace_id=DEFAULT_WORKSPACE,
                output_language="Spanish",
                request={},
                plan=self.planner.plan(Script(), Subject(priority=priority)),
                event_id=self.ids("evt"),
                now=self.clock.now(),
            )
            for priority in priorities
        ]
        await self.store.record(changes)
        for change in changes:
            await self.expect(change.job)
        await self.settle()

    async def expect(self, job: Job) -> None:
        place = await self.store.place(job)
        assert place is not None
        self.came[job.id] = self.clock.now()
        self.expected[job.id] = forecast(job, place, workers=self.WORKERS.main, now=self.clock.now())

    async def next(self) -> bool:
        due = await self.store.next_job_due()
        if due is not None:
            self.clock.advance(due - self.clock.now())
            await self.settle()
        return due is not None

    async def happened(self) -> tuple[dict[str, float], dict[str, float]]:
        """When each job began first, and when it ended."""
        events, _ = await self.store.events_after(None, 0, limit=10_000, wanted=EventFilter())
        began: dict[str, float] = {}
        ended: dict[str, float] = {}
        for event in events:
            assert event.job_id is not None
            if event.type.endswith("running"):
                began.setdefault(event.job_id, event.created_at)
            ended[event.job_id] = event.created_at
        return began, ended


async def test_estimates_are_right_on_average_over_a_thousand_jobs(tmp_path: Path, make_planner: MakePlanner) -> None:
    store = await open_store(str(tmp_path / "shop.db"))
    shop, chance = Shop(store, make_planner), random.Random(3)
    for _ in range(20):
        await shop.come([chance.choice((2, 5, 5, 5, 8)) for _ in range(50)])
        for _ in range(30):
            await shop.next()
    while await shop.next():
        pass
    began, ended = await shop.happened()
    await store.close()
    waits = [began[job] - came for job, came in shop.came.items()]
    starts = [began[job] - expected.starts_at for job, expected in shop.expected.items()]
    ends = [ended[job] - expected.ends_at for job, expected in shop.expected.items()]
    mean = statistics.mean(waits)
    assert len(starts) == 1000
    assert abs(statistics.mean(starts)) < 0.01 * mean
    assert abs(statistics.mean(ends)) < 0.01 * mean
    assert sum(abs(error) < 0.25 * mean for error in starts) > 990


# Durations


@pytest.mark.parametrize(
    ("settings", "subject", "expected"),
    [
        ({}, Subject(), 15),
        ({"per_video_minute": 6}, Subject(video_seconds=90), 24),
        ({"per_video_minute": 6, "video_seconds": 10}, Subject(), 16),
        ({"precision_factor": 3}, Subject(is_precise=True), 45),
        ({"precision_factor": 3}, Subject(), 15),
        ({"per_language": 0.1}, Subject(languages=3), 18),
    ],
)
def test_a_job_takes_longer_for_what_is_asked_of_it(
    settings: dict[str, float], subject: Subject, expected: float
) -> None:
    for distribution in ("fixed", "uniform"):
        durations = Durations(seconds=(10, 20), distribution=distribution, **settings)
        assert durations.draw(0.5, subject) == pytest.approx(expected)


def test_a_lognormal_range_holds_nine_of_ten() -> None:
    durations = Durations(seconds=(10, 40), distribution="lognormal")
    drawn = [durations.draw(number / 1000, Subject()) for number in range(1000)]
    assert drawn == sorted(drawn)
    assert sum(10 <= seconds <= 40 for seconds in drawn) == pytest.approx(900, abs=2)
    assert durations.draw(0.5, Subject()) == pytest.approx(20)
    assert Durations(seconds=(7, 7), distribution="lognormal").draw(0.9, Subject()) == 7
    assert all(one <= other for one, other in itertools.pairwise(drawn))
