"""Nothing vanishes: resend, recover, replay, callback URLs, retention, and a stop that drains."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.server.promises import refused
from tests.server.rig import (
    DELIVERIES,
    ENDPOINTS,
    EVENTS,
    HOOK,
    RECOVERIES,
    FakeSender,
    Post,
    Rig,
    SteppedClock,
    answered,
    never,
    seeded_ids,
    serving,
)
from tests.waiting import PATIENCE, eventually
from video_translation_server import upkeep
from video_translation_server.delivery.worker import Worker
from video_translation_server.model import Outcome

START = 1_800_000_000.0
BEGINNING = {"since": "2027-01-15T08:00:00Z"}
DAY = 86_400
SCHEDULE = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
OTHER = "https://other.example/hook"
PENDING: dict[str, Any] = {"events": ["video_translate.pending"]}
ENDLESS: dict[str, Any] = {"simulation": {"duration_seconds": 365 * DAY}}


async def deliveries(rig: Rig, **query: str) -> list[dict[str, Any]]:
    """The oldest first."""
    found: list[dict[str, Any]] = (await rig.http.get(DELIVERIES, params={"limit": "100"} | query)).json()["data"]
    return found[::-1]


async def states(rig: Rig, **query: str) -> Counter[str]:
    return Counter(delivery["state"] for delivery in await deliveries(rig, **query))


async def swept(rig: Rig, verb: str, endpoint_id: str = "ep_1", **body: str) -> str:
    answer = await rig.http.post(f"{ENDPOINTS}/{endpoint_id}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["recovery_id"])


async def recovery(rig: Rig, recovery_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await rig.http.get(f"{RECOVERIES}/{recovery_id}")).json()["data"]
    return found


async def test_a_resend_joins_the_schedule(rig: Rig) -> None:
    rig.sender.answer = lambda _: answered(500)
    await rig.register(**PENDING)
    await rig.translate(**ENDLESS)
    await rig.quiet()
    for delay in SCHEDULE:
        await rig.advance(delay)
    assert await states(rig) == {"dead": 1}
    await rig.advance(3600)
    resent_at = rig.clock.now()
    await rig.http.post(f"{DELIVERIES}/dlv_1/resend")
    await rig.quiet()
    for delay in SCHEDULE:
        await rig.advance(delay)
    instants = [post.at for post in rig.sender.posts[11:]]
    assert instants == [resent_at + sum(SCHEDULE[:number]) for number in range(11)], "11 attempts again"
    [found] = await deliveries(rig)
    assert (found["state"], found["attempts"]) == ("dead", 22)
    log = (await rig.http.get(f"{DELIVERIES}/dlv_1")).json()["data"]["attempt_log"]
    assert [attempt["number"] for attempt in log] == list(range(1, 23))


async def dead_and_missed(rig: Rig) -> None:
    """Two jobs whose events are dead at ep_1, one that was delivered, one from before its time."""
    await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    await rig.advance(1)
    await rig.advance(9)
    await rig.register()
    rig.sender.answer = lambda post: answered(204 if post.job == "vt_4" else 500)
    for _ in range(3):
        await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    for _ in range(40):
        await rig.advance(1)
    assert (await states(rig))["delivered"] == 3
    assert (await states(rig))["dead"] + (await states(rig))["superseded"] == 6
    rig.sender.answer = lambda _: answered()
    rig.sender.posts.clear()
    rig.logs.clear()


async def test_recover_takes_up_what_failed_and_what_was_never_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="1,1,1") as rig:
        await dead_and_missed(rig)
        found = await recovery(rig, await swept(rig, "recover", **BEGINNING))
        await rig.quiet()
        assert rig.sender.sequences("vt_4") == []
        for job_id in ("vt_1", "vt_2", "vt_3"):
            assert rig.sender.sequences(job_id) == [1, 2, 3], "in order among themselves"
        found = await recovery(rig, found["recovery_id"])
        assert (found["status"], found["deliveries"]) == ("finished", 9)
        assert await states(rig) == {"delivered": 12}


async def test_recover_passes_over_what_was_before(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="1,1,1") as rig:
        await dead_and_missed(rig)
        await swept(rig, "recover", since="2027-01-15T08:00:10.5Z")
        await rig.quiet()
        assert {post.job: post.sequence for post in rig.sender.posts} == {"vt_2": 3, "vt_3": 3}


async def test_replay_sends_only_what_was_never_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="1,1,1") as rig:
        await dead_and_missed(rig)
        first = await swept(rig, "replay")
        await rig.quiet()
        assert rig.sender.sequences("vt_1") == [1, 2, 3]
        assert {post.job for post in rig.sender.posts} == {"vt_1"}
        assert (await recovery(rig, first))["deliveries"] == 3
        again = await swept(rig, "replay")
        await rig.quiet()
        assert (await recovery(rig, again))["deliveries"] == 0, "now everything was sent"
        assert len(rig.sender.posts) == 3


async def test_a_sweep_goes_on_where_a_restart_stopped_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "CHUNK", 4)
    monkeypatch.setattr(upkeep, "BACKLOG", 4)
    clock, ids = SteppedClock(), seeded_ids()
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        for _ in range(20):
            await rig.translate(**ENDLESS)
        await rig.register(max_in_flight=2)
        sender.answer = lambda _: never()
        recovery_id = await swept(rig, "replay")
        await eventually(lambda: len(sender.in_flight) == 2)
        found = await recovery(rig, recovery_id)
        assert (found["status"], found["deliveries"]) == ("running", 4), "no more than may wait"
    sender.answer = lambda _: answered()
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        await rig.quiet()
        for _ in range(10):
            await rig.advance(5)
        found = await recovery(rig, recovery_id)
        assert (found["status"], found["deliveries"]) == ("finished", 20)
        assert await states(rig) == {"delivered": 20}
        assert set(Counter(post.job for post in sender.posts).values()) <= {1, 2}
        assert sum(Counter(post.job for post in sender.posts).values()) == 22, "only the two in flight were repeated"


async def test_a_sweep_of_an_endpoint_that_is_deleted_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "CHUNK", 2)
    monkeypatch.setattr(upkeep, "BACKLOG", 2)
    for _ in range(6):
        await rig.translate(**ENDLESS)
    await rig.register(max_in_flight=1)
    rig.sender.answer = lambda _: never()
    recovery_id = await swept(rig, "replay")
    await eventually(lambda: rig.sender.in_flight)
    await rig.http.delete(f"{ENDPOINTS}/ep_1")
    rig.clock.advance(5)
    deadline = time.monotonic() + PATIENCE
    while (await recovery(rig, recovery_id))["status"] == "running":
        assert time.monotonic() < deadline
    assert len(rig.sender.posts) == 1
    assert set(await states(rig)) == {"dead"}


async def test_a_callback_url_gets_the_end_of_its_own_job(rig: Rig) -> None:
    await rig.register(OTHER)
    [completed] = await rig.translate(callback_url=HOOK, callback_id="order-17", simulation={"duration_seconds": 10})
    script = {"outcome": "failed", "error_message": "No audio", "duration_seconds": 10}
    [failed] = await rig.translate(callback_url=f"{HOOK}/2", simulation=script)
    await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    for seconds in (1, 9):
        await rig.advance(seconds)
    calls = {post.url: post for post in rig.sender.posts if post.url != OTHER}
    assert sum(post.url != OTHER for post in rig.sender.posts) == 2
    assert (calls[HOOK].job, calls[HOOK].event["event_type"]) == (completed, "video_translate.success")
    assert calls[HOOK].event["event_data"]["callback_id"] == "order-17"
    assert (calls[f"{HOOK}/2"].job, calls[f"{HOOK}/2"].event["event_type"]) == (failed, "video_translate.fail")
    secret = (await rig.http.get("/v3/webhooks/secret")).json()["data"]["secret"]
    for post in calls.values():
        Webhook(secret).verify(post.body, dict(post.headers))
        assert post.headers["Heygen-Signature"] == hmac.new(secret.encode(), post.body, hashlib.sha256).hexdigest()
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert post.headers["webhook-signature"] == f"v1,{expected}"
    listed = (await rig.http.get(ENDPOINTS)).json()["data"]
    assert [endpoint["url"] for endpoint in listed] == [OTHER], "a callback is no endpoint that anyone has registered"


async def test_a_callback_url_gets_what_was_asked_for_instead(rig: Rig) -> None:
    wanted = ["video_translate.pending", "video_translate.running", "video_translate.success"]
    script = {"duration_seconds": 10}
    [job] = await rig.translate(callback_url=HOOK, callback_events=wanted, simulation=script)
    [other] = await rig.translate(callback_url=HOOK, callback_events=wanted[1:2], simulation=script)
    await rig.translate()
    for seconds in (0, 1, 9):
        await rig.advance(seconds)
    assert rig.sender.sequences(job) == [1, 2, 3]
    assert rig.sender.sequences(other) == [2]
    assert len(rig.sender.posts) == 4


async def test_a_callback_is_retried_and_kept_like_any_other(rig: Rig) -> None:
    statuses = iter([500, 500, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    [job_id] = await rig.translate(callback_url=HOOK, simulation={"duration_seconds": 0})
    await rig.quiet()
    for seconds in (5, 30):
        await rig.advance(seconds)
    [found] = await deliveries(rig, video_translate_id=job_id)
    assert (found["state"], found["attempts"]) == ("delivered", 3)
    await rig.http.post(f"{DELIVERIES}/{found['delivery_id']}/resend")
    rig.sender.answer = lambda _: answered()
    await rig.quiet()
    assert len(rig.sender.posts) == 4


async def test_each_language_has_its_own_callback(rig: Rig) -> None:
    jobs = await rig.translate("English", "German", callback_url=HOOK, simulation={"duration_seconds": 0})
    await rig.quiet()
    assert sorted(post.job for post in rig.sender.posts) == sorted(jobs)


async def test_a_callback_survives_a_restart(tmp_path: Path) -> None:
    clock, ids = SteppedClock(), seeded_ids()
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        [job_id] = await rig.translate(callback_url=HOOK, simulation={"duration_seconds": 10})
        await rig.quiet()
        secret = (await rig.http.get("/v3/webhooks/secret")).json()["data"]["secret"]
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        for seconds in (1, 9):
            await rig.advance(seconds)
        [post] = sender.posts
        assert (post.job, post.sequence) == (job_id, 3)
        Webhook(secret).verify(post.body, dict(post.headers))


async def test_delivered_rows_go_after_8_days_and_the_rest_after_31(rig: Rig) -> None:
    await rig.register(HOOK, **PENDING)
    await rig.register(OTHER, **PENDING)
    answer = Outcome(kind=answered().kind, status=500, body=b"what it said")
    rig.sender.answer = lambda post: answered() if post.url == HOOK else answer
    cursor = "cur_0"
    await rig.translate(**ENDLESS)
    await rig.quiet()
    for delay in SCHEDULE:
        await rig.advance(delay)
    assert await states(rig) == {"delivered": 1, "dead": 1}
    log = (await rig.http.get(f"{DELIVERIES}/dlv_2")).json()["data"]["attempt_log"]
    assert {attempt["response_body"] for attempt in log} == {"what it said"}
    await rig.advance(8 * DAY)
    [kept] = await deliveries(rig)
    assert (kept["delivery_id"], kept["state"]) == ("dlv_2", "dead")
    refused(await rig.http.get(f"{DELIVERIES}/dlv_1"), 404, "resource_not_found", "delivery_id")
    log = (await rig.http.get(f"{DELIVERIES}/dlv_2")).json()["data"]["attempt_log"]
    assert {attempt["response_body"] for attempt in log} == {""}, "the lines stay, what the receiver said does not"
    assert len(log) == 11
    assert (await rig.http.get(EVENTS, params={"after": cursor})).status_code == 200
    await rig.advance(23 * DAY)
    assert await deliveries(rig) == []
    assert (await rig.http.get(EVENTS)).json()["data"] == []
    refused(await rig.http.get(EVENTS, params={"after": cursor}), 410, "cursor_expired", "after", "cur_")
    assert (await rig.job("vt_1"))["status"] == "pending", "a job is kept"


async def test_a_cursor_from_the_refusal_reads_on(rig: Rig) -> None:
    await rig.translate(simulation={"duration_seconds": 0})
    await rig.quiet()
    await rig.advance(20 * DAY)
    await rig.translate(**ENDLESS)
    await rig.advance(11 * DAY)
    answer = await rig.http.get(EVENTS, params={"after": "cur_0"})
    refused(answer, 410, "cursor_expired", "after", "cur_3")
    page = (await rig.http.get(EVENTS, params={"after": "cur_3"})).json()
    assert [event["event_data"]["video_translate_id"] for event in page["data"]] == ["vt_2"]


async def test_what_is_held_ages_with_its_event(rig: Rig) -> None:
    await rig.register(**PENDING)
    await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"status": "disabled"})
    await rig.translate(**ENDLESS)
    await rig.quiet()
    await rig.advance(2 * DAY)
    await rig.translate(**ENDLESS)
    await rig.quiet()
    await rig.advance(29 * DAY)
    assert [delivery["video_translate_id"] for delivery in await deliveries(rig)] == ["vt_2"], "31 days, and 29"
    await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"status": "enabled"})
    await rig.quiet()
    assert [post.job for post in rig.sender.posts] == ["vt_2"]


async def test_what_waited_behind_something_pruned_goes_on(rig: Rig) -> None:
    await rig.register()
    await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"status": "disabled"})
    [job_id] = await rig.translate(simulation={"duration_seconds": 50 * DAY})  # it runs from day 5 on
    await rig.quiet()
    for days in (5, 26):
        await rig.advance(days * DAY)
    await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"status": "enabled"})
    await rig.quiet()
    assert rig.sender.sequences(job_id) == [2]


async def test_a_short_retention_ends_no_schedule(tmp_path: Path) -> None:
    async with serving(tmp_path, keep_dead=60, keep_delivered=60) as rig:
        rig.sender.answer = lambda _: answered(500)
        await rig.register(**PENDING)
        await rig.translate(**ENDLESS)
        await rig.quiet()
        for delay in SCHEDULE:
            await rig.advance(delay / 2)
            await rig.advance(delay / 2)
        assert len(rig.sender.posts) == 11


async def test_a_stop_lets_attempts_end_and_keeps_their_answers(tmp_path: Path) -> None:
    clock, ids = SteppedClock(), seeded_ids()
    sender = FakeSender(clock)
    release = asyncio.Event()

    async def slow(_: Post) -> Outcome:
        await release.wait()
        return answered()

    sender.answer = slow
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids, drain_timeout=30) as rig:
        await rig.register()
        await rig.translate("English", "German", **ENDLESS)
        await eventually(lambda: len(sender.in_flight) == 2)
        asyncio.get_running_loop().call_later(0.05, release.set)
        logs = rig.logs
    assert (sender.aborted, sender.in_flight) == (0, [])
    assert [line["verdict"] for line in logs if line["event"] == "attempt"] == ["delivered"] * 2
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        await rig.quiet()
        assert await states(rig) == {"delivered": 2}
        assert len(sender.posts) == 2


async def test_a_stop_that_has_waited_long_enough_aborts_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ids = SteppedClock(), seeded_ids()
    sender = FakeSender(clock)
    release = asyncio.Event()

    async def uneven(post: Post) -> Outcome:
        if post.job == "vt_1":
            return await never()
        await release.wait()
        return answered()

    async def stop(worker: Worker) -> None:
        release.set()  # one of two is answered while the stop waits
        await ended(worker)

    ended = Worker._stop
    monkeypatch.setattr(Worker, "_stop", stop)
    sender.answer = uneven
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids, drain_timeout=0.2) as rig:
        await rig.register()
        await rig.translate("English", "German", **ENDLESS)
        await eventually(lambda: len(sender.in_flight) == 2)
        before = time.monotonic()
    assert time.monotonic() - before < PATIENCE
    assert sender.aborted == 1
    sender.answer = lambda _: answered()
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        await rig.quiet()
        assert Counter(post.job for post in sender.posts) == {"vt_1": 2, "vt_2": 1}
        assert [delivery["attempts"] for delivery in await deliveries(rig)] == [1, 1]
