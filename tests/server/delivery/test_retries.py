"""When a failed delivery is tried again, and what it holds up meanwhile."""

from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.server.rig import HOOK, FakeSender, Post, Rig, answered, never, serving
from tests.server.store.builders import deliveries_of
from tests.waiting import eventually
from video_translation_server.model import DEFAULT_WORKSPACE, Delivery, DeliveryState, Outcome
from video_translation_server.store import EventFilter

SCHEDULE = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
START = 1_800_000_000.0
OTHER = "https://other.example/hook"


async def the_delivery(rig: Rig, event_id: str = "evt_1") -> Delivery:
    [found] = await deliveries_of(rig.store, DEFAULT_WORKSPACE, event_id)
    return found


async def one_event(rig: Rig) -> None:
    """One delivery in all: the other events of the job have no endpoint."""
    await rig.register(events=["video_translate.pending"])
    await rig.translate()
    await rig.quiet()


async def test_the_schedule_is_kept_to_the_instant(rig: Rig) -> None:
    rig.sender.answer = lambda _: answered(500)
    await one_event(rig)
    instants = [START]
    for number, delay in enumerate(SCHEDULE, start=1):
        assert len(rig.sender.posts) == number
        await rig.advance(delay - 0.5)
        assert len(rig.sender.posts) == number, f"attempt {number + 1} came early"
        await rig.advance(0.5)
        instants.append(instants[-1] + delay)
    assert [post.at for post in rig.sender.posts] == instants
    assert len(rig.sender.posts) == 11
    assert 23 * 3600 < instants[-1] - START < 25 * 3600, "about a day"
    delivery = await the_delivery(rig)
    assert (delivery.state, delivery.attempts, delivery.due_at) == (DeliveryState.DEAD, 11, None)
    assert rig.lines("attempt")[-1]["verdict"] == "dead"
    await rig.advance(30 * 86400)
    assert len(rig.sender.posts) == 11
    log = await rig.store.attempts(delivery.id)
    assert [(attempt.number, attempt.started_at, attempt.outcome.status) for attempt in log] == [
        (number, instant, 500) for number, instant in enumerate(instants, start=1)
    ]


async def test_every_attempt_sends_the_same_bytes(rig: Rig) -> None:
    rig.sender.answer = lambda _: answered(500)
    await one_event(rig)
    for delay in SCHEDULE:
        await rig.advance(delay)
    assert len(rig.sender.posts) == 11
    assert len({post.body for post in rig.sender.posts}) == 1
    assert len({post.headers["webhook-id"] for post in rig.sender.posts}) == 1
    [event] = await rig.store.events_before(DEFAULT_WORKSPACE, 2, limit=1, wanted=EventFilter())
    assert event.body == rig.sender.posts[0].body


async def test_jitter_only_ever_adds(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_jitter=0.2) as rig:
        rig.sender.answer = lambda _: answered(500)
        await rig.register(events=["video_translate.pending"])
        await rig.translate(*["English", "German", "French", "Italian", "Japanese", "Korean"])
        await rig.quiet()
        delays = [(await the_delivery(rig, f"evt_{number}")).due_at for number in range(1, 7)]
        added = [(due or 0) - START - 5 for due in delays]
        assert all(0 <= more <= 1.0001 for more in added)
        assert len(set(added)) == 6
        assert max(added) > 0.1


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("120", 120),
        ("3600", 3600),
        ("999999999999999999", 3600),
        ("1", 5),
        ("0", 5),
        ("-100", 5),
        ("1.5", 5),
        ("soon", 5),
        ("", 5),
        (formatdate(START + 300, usegmt=True), 300),
        (formatdate(START - 300, usegmt=True), 5),
        (formatdate(START + 10**6, usegmt=True), 3600),
        ("Fri, 99 Foo 2027 99:99:99 GMT", 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_a_floor(rig: Rig, retry_after: str, expected: float, status: int) -> None:
    rig.sender.answer = lambda _: answered(status, retry_after)
    await one_event(rig)
    assert (await the_delivery(rig)).due_at == START + expected
    await rig.advance(expected - 0.5)
    assert len(rig.sender.posts) == 1
    await rig.advance(0.5)
    assert len(rig.sender.posts) == 2


async def test_a_retry_that_works_is_the_last(rig: Rig) -> None:
    statuses = iter([500, 302, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    await one_event(rig)
    await rig.advance(5)
    await rig.advance(30)
    delivery = await the_delivery(rig)
    assert (delivery.state, delivery.attempts, delivery.first_attempt_at) == (DeliveryState.DELIVERED, 3, START)
    await rig.advance(86400)
    assert len(rig.sender.posts) == 3


def failing(sender: FakeSender, fails: Callable[[Post], bool]) -> None:
    sender.answer = lambda post: answered(500) if fails(post) else answered()


async def test_later_events_of_the_job_wait_for_the_first(rig: Rig) -> None:
    await rig.register()
    failing(rig.sender, lambda post: post.at < START + 30)
    [job_id] = await rig.translate(simulation={"duration_seconds": 10, "outcome": "completed"})
    await rig.quiet()
    for _ in range(10):
        await rig.advance(1)
    assert (await rig.job(job_id))["status"] == "completed"
    assert set(rig.sender.sequences(job_id)) == {1}
    for _ in range(30):
        await rig.advance(1)
    assert rig.sender.sequences(job_id) == [1, 1, 1, 2, 3]
    assert [post.at - START for post in rig.sender.posts] == [0, 5, 35, 35, 35], "then without delay"


async def test_other_jobs_and_endpoints_do_not_wait(rig: Rig) -> None:
    await rig.register(HOOK)
    await rig.register(OTHER)
    failing(rig.sender, lambda post: post.url == HOOK and post.job == "vt_1")
    await rig.translate("English", "German", simulation={"duration_seconds": 10})
    for seconds in (0, 1, 9):
        await rig.advance(seconds)
    refused = rig.sender.sequences("vt_1", HOOK)
    assert refused.count(1) == 3, "each success of the other job at this endpoint makes the retry due"
    assert refused == sorted(refused), "what comes after it waits all the same"
    for job, url in (("vt_2", HOOK), ("vt_1", OTHER), ("vt_2", OTHER)):
        assert rig.sender.sequences(job, url) == [1, 2, 3]
        assert [post.at - START for post in rig.sender.posts if (post.job, post.url) == (job, url)] == [0, 1, 10]


async def test_a_dead_delivery_releases_the_next(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="5,5") as rig:
        await rig.register()
        failing(rig.sender, lambda post: post.sequence == 1)
        [job_id] = await rig.translate(simulation={"duration_seconds": 1})
        for _ in range(20):
            await rig.advance(1)
        assert rig.sender.sequences(job_id) == [1, 1, 1, 2, 3]
        verdicts = [line["verdict"] for line in rig.lines("attempt")]
        assert verdicts[2:] == ["dead", "delivered", "delivered"]


async def test_a_hanging_endpoint_holds_up_nobody_else(tmp_path: Path) -> None:
    async with serving(tmp_path, max_in_flight=4, concurrency=16) as rig:
        await rig.register(HOOK)
        await rig.register(OTHER)

        async def answer(post: Post) -> Outcome:
            return await never() if post.url == HOOK else answered()

        rig.sender.answer = answer
        jobs = [(await rig.translate(simulation={"duration_seconds": 10}))[0] for _ in range(20)]
        for seconds in (0, 1, 9):
            await rig.advance(seconds)
        await eventually(lambda: len(rig.sender.in_flight) == 4)
        assert all(rig.sender.sequences(job, OTHER) == [1, 2, 3] for job in jobs)
        assert sum(post.url == HOOK for post in rig.sender.posts) == 4


async def test_a_deleted_endpoint_gets_no_retry(rig: Rig) -> None:
    rig.sender.answer = lambda _: answered(500)
    await one_event(rig)
    await rig.http.delete("/v3/webhooks/endpoints/ep_1")
    await rig.advance(86400)
    assert len(rig.sender.posts) == 1
    assert (await the_delivery(rig)).state is DeliveryState.DEAD


async def test_an_endpoint_gets_nothing_from_before_its_time(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.advance(1)
    await rig.register()
    await rig.advance(9)
    assert rig.sender.sequences(job_id) == [3]
