"""Endpoints in trouble: superseded events, slowing down, giving up, coming back, and the notices of it."""

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, Post, Rig, answered, never, serving
from tests.waiting import eventually
from video_translation_server.model import Outcome, OutcomeKind

START = 1_800_000_000.0
DAY = 86_400
OTHER = "https://other.example/hook"
WATCHER = "https://watcher.example/hook"
NOTICES = {"events": ["endpoint.disabled", "endpoint.recovered", "delivery.exhausted"]}
PENDING: dict[str, Any] = {"events": ["video_translate.pending"]}
ENDLESS: dict[str, Any] = {"simulation": {"duration_seconds": 365 * DAY}}


def kind(post: Post) -> str:
    return str(post.event["event_type"])


async def endpoint(rig: Rig, endpoint_id: str = "ep_1") -> dict[str, Any]:
    found: dict[str, Any] = (await rig.http.get(f"{ENDPOINTS}/{endpoint_id}")).json()["data"]
    return found


async def states(rig: Rig, **query: str) -> Counter[str]:
    found = (await rig.http.get(DELIVERIES, params={"limit": "100"} | query)).json()["data"]
    return Counter(delivery["state"] for delivery in found)


async def notices(rig: Rig) -> list[dict[str, Any]]:
    """The log's notices, the oldest first."""
    found = (await rig.http.get(EVENTS, params={"limit": 100})).json()["data"]
    return [event for event in found[::-1] if event["event_type"] in NOTICES["events"]]


async def enable(rig: Rig, endpoint_id: str = "ep_1") -> None:
    answer = await rig.http.patch(f"{ENDPOINTS}/{endpoint_id}", json={"status": "enabled"})
    assert answer.status_code == 200


async def created(rig: Rig, count: int) -> None:
    """So many jobs that have only a first event."""
    for _ in range(count):
        await rig.translate(**ENDLESS)


async def test_a_receiver_that_cannot_stomach_pending_has_success_within_a_minute(rig: Rig) -> None:
    await rig.register()
    rig.sender.answer = lambda post: answered(500 if post.sequence == 1 else 204)
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    for _ in range(60):
        await rig.advance(1)
    assert rig.sender.sequences(job_id) == [1, 1, 1, 2, 3]
    success = rig.sender.posts[-1]
    assert kind(success) == "video_translate.success"
    assert success.at <= START + 60
    assert await states(rig) == {"superseded": 1, "delivered": 2}
    assert not rig.lines("loop failed; it starts again")
    await rig.advance(2 * DAY)
    assert len(rig.sender.posts) == 5, "what was set aside is not tried again by itself"


async def test_what_was_superseded_can_be_resent(rig: Rig) -> None:
    await rig.register()
    rig.sender.answer = lambda post: answered(500 if post.sequence == 1 and post.at < START + DAY else 204)
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    for _ in range(60):
        await rig.advance(1)
    await rig.advance(DAY)
    answer = await rig.http.post(f"{DELIVERIES}/dlv_1/resend")
    assert answer.json()["data"]["state"] == "due"
    await rig.quiet()
    assert rig.sender.sequences(job_id) == [1, 1, 1, 2, 3, 1]
    assert await states(rig) == {"delivered": 3}


async def test_the_last_event_of_a_job_is_never_superseded(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="1,1,1,1") as rig:
        await rig.register()
        rig.sender.answer = lambda _: answered(500)
        [job_id] = await rig.translate(simulation={"duration_seconds": 10})
        await rig.quiet()
        for _ in range(60):
            await rig.advance(1)
        assert Counter(rig.sender.sequences(job_id))[3] == 5
        last = (await rig.http.get(f"{DELIVERIES}/dlv_3")).json()["data"]
        assert (last["event_type"], last["state"], last["attempts"]) == ("video_translate.success", "dead", 5)


async def test_410_disables_and_keeps(rig: Rig) -> None:
    await rig.register(HOOK)
    await rig.register(WATCHER, **NOTICES)
    rig.sender.answer = lambda post: answered(410 if post.url == HOOK and post.at < START + DAY else 204)
    jobs = await rig.translate("English", "German", simulation={"duration_seconds": 10})
    await rig.quiet()
    for seconds in (1, 9):
        await rig.advance(seconds)
    found = await endpoint(rig)
    assert (found["status"], found["disabled_reason"]) == ("disabled", "it answered 410 Gone")
    assert await states(rig, endpoint_id="ep_1") == {"due": 2, "waiting": 4}
    [notice] = await notices(rig)
    assert notice["event_type"] == "endpoint.disabled"
    assert notice["event_data"] == {"endpoint_id": "ep_1", "url": HOOK, "reason": "it answered 410 Gone"}
    assert [kind(post) for post in rig.sender.posts if post.url == WATCHER] == ["endpoint.disabled"]
    sent = len(rig.sender.posts)
    await rig.advance(DAY)
    assert len(rig.sender.posts) == sent, "a disabled endpoint gets nothing"
    await enable(rig)
    await rig.quiet()
    assert await states(rig, endpoint_id="ep_1") == {"delivered": 6}
    for job_id in jobs:
        assert rig.sender.sequences(job_id)[-3:] == [1, 2, 3]
    assert {post.at for post in rig.sender.posts[sent:]} == {rig.clock.now()}, "the whole backlog at once"


async def test_three_days_without_a_success_disable_an_endpoint(rig: Rig) -> None:
    await rig.register(HOOK, **PENDING)
    await rig.register(WATCHER, **NOTICES)
    rig.sender.answer = lambda post: answered(500 if post.url == HOOK else 204)
    for _ in range(6):
        await rig.translate(**ENDLESS)
        await rig.quiet()
        assert (await endpoint(rig))["status"] == "enabled"
        for _ in range(5):
            await rig.advance(7200)
    await rig.advance(7200 * 6 - 1)
    found = await endpoint(rig)
    assert (found["status"], found["failing_since"]) == ("enabled", "2027-01-15T08:00:00.000Z"), "a second is left"
    await rig.advance(1)
    await rig.translate(**ENDLESS)
    await rig.quiet()
    found = await endpoint(rig)
    reason = "no success since 2027-01-15T08:00:00.000Z"
    assert (found["status"], found["disabled_reason"]) == ("disabled", reason)
    [notice] = [event for event in await notices(rig) if event["event_type"] == "endpoint.disabled"]
    assert notice["event_data"] == {"endpoint_id": "ep_1", "url": HOOK, "reason": reason}
    assert [kind(post) for post in rig.sender.posts if post.url == WATCHER].count("endpoint.disabled") == 1
    held = await states(rig, endpoint_id="ep_1", state="due")
    assert held["due"] >= 1
    rig.sender.answer = lambda _: answered()
    sent = len(rig.sender.posts)
    await rig.translate(**ENDLESS)
    await rig.advance(DAY)
    assert [post for post in rig.sender.posts[sent:] if post.url == HOOK] == []
    await enable(rig)
    await rig.quiet()
    found = await endpoint(rig)
    assert (found["status"], found["disabled_reason"], found["failing_since"]) == ("enabled", None, None)
    assert (await states(rig, endpoint_id="ep_1"))["delivered"] == held["due"] + 1


async def test_one_success_starts_the_three_days_anew(tmp_path: Path) -> None:
    async with serving(tmp_path, disable_after=3600, retry_delays="600," * 20) as rig:
        await rig.register(**PENDING)
        rig.sender.answer = lambda post: answered(204 if post.job == "vt_2" else 500)
        await rig.translate(**ENDLESS)
        for _ in range(5):
            await rig.quiet()
            await rig.advance(600)
        await rig.translate(**ENDLESS)
        await rig.quiet()
        for _ in range(5):
            await rig.advance(600)
        assert (await endpoint(rig))["status"] == "enabled", "6000 s of failures, but never 3600 in a row"
        for _ in range(3):
            await rig.advance(600)
        assert (await endpoint(rig))["status"] == "disabled"


async def test_nothing_sent_is_no_failure(rig: Rig) -> None:
    await rig.register(**PENDING)
    await rig.advance(30 * DAY)
    assert (await endpoint(rig))["status"] == "enabled"


async def test_an_endpoint_that_answers_again_gets_its_backlog_at_once_but_paced(rig: Rig) -> None:
    await rig.register(HOOK, max_in_flight=2, **PENDING)
    await rig.register(WATCHER, **NOTICES)
    rig.sender.answer = lambda post: answered(500 if post.at < START + 200 and post.url == HOOK else 204)
    await created(rig, 12)
    await rig.quiet()
    for seconds in (5, 30, 120):
        await rig.advance(seconds)
    assert (await states(rig, endpoint_id="ep_1")) == {"due": 12}
    peaks: list[int] = []

    async def watched(_: Post) -> Outcome:
        await asyncio.sleep(0)  # the others of the same claim begin
        peaks.append(sum(post.url == HOOK for post in rig.sender.in_flight))
        return answered()

    rig.sender.answer = watched
    await rig.advance(60)
    await created(rig, 1)
    await rig.quiet()
    assert await states(rig, endpoint_id="ep_1") == {"delivered": 13}, "10 min early: the success made them due"
    assert max(peaks) == 2
    [notice] = await notices(rig)
    assert notice["event_type"] == "endpoint.recovered"
    assert notice["event_data"] == {
        "endpoint_id": "ep_1",
        "url": HOOK,
        "failing_since": "2027-01-15T08:00:00.000Z",
    }
    assert kind(rig.sender.posts[-1]) == "endpoint.recovered" or any(
        kind(post) == "endpoint.recovered" and post.url == WATCHER for post in rig.sender.posts
    )
    assert (await endpoint(rig))["failing_since"] is None


async def test_a_short_trouble_is_not_told(rig: Rig) -> None:
    await rig.register(**PENDING)
    statuses = iter([500, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    await created(rig, 1)
    await rig.quiet()
    await rig.advance(5)
    assert await states(rig) == {"delivered": 1}
    assert await notices(rig) == []


OVERLOADED = [
    *(answered(status) for status in (429, 502, 503, 504)),
    *(Outcome(kind=kind) for kind in (OutcomeKind.READ_TIMEOUT, OutcomeKind.CONNECT_TIMEOUT, OutcomeKind.SLOW_BODY)),
]


@pytest.mark.parametrize("outcome", OVERLOADED, ids=lambda outcome: str(outcome.status or outcome.kind))
async def test_an_overloaded_endpoint_gets_pauses_that_grow_and_others_none(rig: Rig, outcome: Outcome) -> None:
    await rig.register(HOOK, **PENDING)
    await rig.register(OTHER, **PENDING)
    rig.sender.answer = lambda post: outcome if post.url == HOOK else answered()
    await created(rig, 1)
    await rig.quiet()
    offsets = []
    for _ in range(40):
        await rig.translate(**ENDLESS)
        await rig.quiet()
        sent = [post for post in rig.sender.posts if post.url == HOOK]
        offsets = sorted({post.at - START for post in sent})
        await rig.advance(1)
    gaps = [later - earlier for earlier, later in pairwise(offsets)]
    assert gaps[:4] == [1, 2, 4, 8], gaps
    others = [post for post in rig.sender.posts if post.url == OTHER]
    assert len(others) == 41, "its neighbour gets each at once"
    assert [post.at for post in others[1:]] == [START + second for second in range(40)]


async def test_an_overloaded_endpoint_gets_fewer_at_once(rig: Rig) -> None:
    await rig.register(HOOK, max_in_flight=8, **PENDING)
    rig.sender.answer = lambda _: answered(503)
    await created(rig, 40)
    await rig.quiet()
    bursts: list[int] = []
    for seconds in (0, 1, 2, 4, 8):
        before = len(rig.sender.posts)
        await rig.advance(seconds)
        bursts.append(len(rig.sender.posts) - before)
    assert sum(bursts[1:]) > 0
    assert bursts[1:] == sorted(bursts[1:], reverse=True), bursts
    assert bursts[-1] == 1, "down to one at a time"


async def test_an_error_that_is_no_overload_slows_nobody_down(rig: Rig) -> None:
    await rig.register(HOOK, **PENDING)
    rig.sender.answer = lambda _: answered(500)
    for _ in range(5):
        await created(rig, 1)
        await rig.quiet()
    assert [post.at for post in rig.sender.posts] == [START] * 5


async def test_exhausted_is_told_once_and_never_of_a_notice(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="1,1", max_in_flight=1) as rig:
        await rig.register(HOOK, **PENDING)
        await rig.register(WATCHER, **NOTICES)
        await rig.register(OTHER, **NOTICES)
        rig.sender.answer = lambda _: answered(500)
        await rig.translate(**ENDLESS)
        await rig.quiet()
        for _ in range(30):
            await rig.advance(1)
        [notice] = await notices(rig)
        assert notice["event_type"] == "delivery.exhausted"
        assert notice["event_data"] == {
            "endpoint_id": "ep_1",
            "url": HOOK,
            "delivery_id": "dlv_1",
            "event_id": "evt_1",
            "event_type": "video_translate.pending",
            "video_translate_id": "vt_1",
            "attempts": 3,
            "last_outcome": "status",
            "last_status": 500,
        }
        sent = Counter((post.url, kind(post)) for post in rig.sender.posts)
        assert sent == {
            (HOOK, "video_translate.pending"): 3,
            (WATCHER, "delivery.exhausted"): 3,
            (OTHER, "delivery.exhausted"): 3,
        }
        assert await states(rig) == {"dead": 3}


async def test_an_endpoint_is_not_told_of_itself(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="") as rig:
        await rig.register(HOOK)
        rig.sender.answer = lambda post: answered(410 if post.job == "vt_2" else 500)
        await rig.translate("English", "German", **ENDLESS)
        await rig.quiet()
        assert Counter(event["event_type"] for event in await notices(rig)) == {
            "delivery.exhausted": 1,
            "endpoint.disabled": 1,
        }
        rig.sender.answer = lambda _: answered()
        await enable(rig)
        await rig.quiet()
        assert {kind(post) for post in rig.sender.posts} == {"video_translate.pending"}


async def test_what_is_in_flight_when_an_endpoint_is_disabled_still_counts(rig: Rig) -> None:
    await rig.register(HOOK, **PENDING)
    rig.sender.answer = lambda _: never()
    await rig.translate(**ENDLESS)
    await eventually(lambda: rig.sender.in_flight)
    assert (await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"status": "disabled"})).status_code == 200
    assert await states(rig) == {"due": 1}
