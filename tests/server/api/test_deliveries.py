"""`/v3/webhooks/deliveries` and `/recoveries`: reading what was sent, and sending it again."""

from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import DELIVERIES, ENDPOINTS, HOOK, RECOVERIES, Rig, answered, never
from tests.waiting import eventually
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.wire.responses import Answer, DeliveryAnswer, DeliveryWithAttempts, Page, Recovery

OTHER = "https://other.example/hook"
ENDLESS: dict[str, Any] = {"simulation": {"duration_seconds": 100_000}}


async def listed(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = conforms(await http.get(DELIVERIES, params=query), Page[DeliveryAnswer])["data"]
    return found


async def one(http: httpx.AsyncClient, delivery_id: str = "dlv_1") -> dict[str, Any]:
    answer = await http.get(f"{DELIVERIES}/{delivery_id}")
    found: dict[str, Any] = conforms(answer, Answer[DeliveryWithAttempts])["data"]
    return found


async def resent(http: httpx.AsyncClient, delivery_id: str = "dlv_1") -> dict[str, Any]:
    answer = await http.post(f"{DELIVERIES}/{delivery_id}/resend")
    found: dict[str, Any] = conforms(answer, Answer[DeliveryAnswer])["data"]
    return found


async def test_a_delivery_is_told_with_its_attempts(rig: Rig, http: httpx.AsyncClient) -> None:
    outcomes = iter(
        [
            Outcome(kind=OutcomeKind.REFUSED, detail="connection refused", address="192.0.2.7"),
            Outcome(kind=OutcomeKind.STATUS, status=503, retry_after="7", body=b"busy \xff\x00", address="192.0.2.7"),
            answered(),
        ]
    )
    rig.sender.answer = lambda _: next(outcomes)
    await rig.register()
    await rig.translate(**ENDLESS)
    await rig.quiet()
    waiting = await one(http)
    assert (waiting["state"], waiting["attempts"], waiting["due_at"]) == ("due", 1, "2027-01-15T08:00:05.000Z")
    await rig.advance(5)
    await rig.advance(30)
    found = await one(http)
    log = found.pop("attempt_log")
    assert found == {
        "delivery_id": "dlv_1",
        "event_id": "evt_1",
        "event_type": "video_translate.pending",
        "endpoint_id": "ep_1",
        "video_translate_id": "vt_1",
        "sequence": 1,
        "state": "delivered",
        "attempts": 3,
        "due_at": None,
        "first_attempt_at": "2027-01-15T08:00:00.000Z",
        "settled_at": "2027-01-15T08:00:35.000Z",
    }
    assert await listed(http) == [found]
    assert all(0 <= attempt.pop("duration_ms") < 60_000 for attempt in log)
    empty = {"status": None, "detail": "", "retry_after": None, "response_body": "", "address": None}
    assert log == [
        empty
        | {
            "number": 1,
            "started_at": "2027-01-15T08:00:00.000Z",
            "outcome": "refused",
            "detail": "connection refused",
            "address": "192.0.2.7",
        },
        empty
        | {
            "number": 2,
            "started_at": "2027-01-15T08:00:05.000Z",
            "outcome": "status",
            "status": 503,
            "retry_after": "7",
            "response_body": "busy \ufffd\x00",
            "address": "192.0.2.7",
        },
        empty | {"number": 3, "started_at": "2027-01-15T08:00:35.000Z", "outcome": "status", "status": 204},
    ]


async def test_the_list_is_narrowed(rig: Rig, http: httpx.AsyncClient) -> None:
    rig.sender.answer = lambda post: answered(204 if post.url == HOOK else 500)
    await rig.register(HOOK)
    await rig.register(OTHER)
    await rig.translate("English", "German", simulation={"duration_seconds": 10})
    await rig.quiet()
    await rig.advance(1)
    everything = await listed(http, limit=100)
    assert len(everything) == 8
    for name, value in (
        ("endpoint_id", "ep_1"),
        ("video_translate_id", "vt_2"),
        ("event_id", "evt_1"),
        ("state", "delivered"),
        ("state", "due"),
        ("state", "waiting"),
    ):
        expected = [delivery for delivery in everything if delivery[name] == value]
        assert expected
        assert await listed(http, **{name: value}) == expected
    both = await listed(http, endpoint_id="ep_2", state="waiting", video_translate_id="vt_1")
    assert [(delivery["sequence"], delivery["due_at"]) for delivery in both] == [(2, None)]
    assert (await http.get(DELIVERIES, params={"video-translate-id": "vt_1"})).json()["data"] == await listed(
        http, video_translate_id="vt_1"
    )
    for name in ("endpoint_id", "video_translate_id", "event_id"):
        assert await listed(http, **{name: "nothing"}) == []


async def test_the_list_is_newest_first_and_paged(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    for _ in range(5):
        await rig.translate(**ENDLESS)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = (await http.get(DELIVERIES, params={"limit": "2"} | token)).json()
        seen += [delivery["delivery_id"] for delivery in page["data"]]
        if not page["has_more"]:
            assert page["next_token"] is None
            break
        token = {"token": page["next_token"]}
    assert seen == [f"dlv_{number}" for number in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize("state", ["", "done", "DEAD", "delivered,dead", "\x00"])
async def test_an_unknown_state_is_refused(http: httpx.AsyncClient, state: str) -> None:
    refused(await http.get(DELIVERIES, params={"state": state}), 400, "invalid_parameter", "state", "'dead'")


@pytest.mark.parametrize("name", ["endpoint_id", "video_translate_id", "event_id"])
async def test_an_id_has_a_length(http: httpx.AsyncClient, name: str) -> None:
    refused(await http.get(DELIVERIES, params={name: "x" * 256}), 400, "invalid_parameter", name, "255")


IDS = ["dlv_1", "dlv_0", "dlv_", "1", "dlv_-1", "dlv_1.5", "dlv_1e3", "dlv_%201", "dlv_\u0661", "DLV_1", "evt_1", "%00"]
HUGE = ["dlv_" + "9" * 18, "dlv_" + "9" * 19, "dlv_" + "9" * 3000]


async def test_a_delivery_that_is_not_there_is_named_as_it_was_asked_for(http: httpx.AsyncClient) -> None:
    refused(await http.get(f"{DELIVERIES}/dlv_7"), 404, "resource_not_found", "delivery_id", "no delivery dlv_7")


@pytest.mark.parametrize("delivery_id", IDS + HUGE, ids=lambda value: ascii(value)[:20])
async def test_an_unknown_delivery_is_not_found(http: httpx.AsyncClient, delivery_id: str) -> None:
    for answer in (
        await http.get(f"{DELIVERIES}/{delivery_id}"),
        await http.post(f"{DELIVERIES}/{delivery_id}/resend"),
    ):
        refused(answer, 404, "resource_not_found", "delivery_id")


@pytest.mark.parametrize("recovery_id", ["rec_none", "1", "%00", "ep_1", "x" * 3000])
async def test_an_unknown_recovery_is_not_found(http: httpx.AsyncClient, recovery_id: str) -> None:
    refused(await http.get(f"{RECOVERIES}/{recovery_id}"), 404, "resource_not_found", "recovery_id")


async def test_what_was_delivered_can_be_sent_again(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    await rig.translate(**ENDLESS)
    await rig.advance(60)
    before = await resent(http)
    assert (before["state"], before["due_at"], before["settled_at"]) == ("due", "2027-01-15T08:01:00.000Z", None)
    await rig.quiet()
    after = await one(http)
    assert (after["state"], after["attempts"]) == ("delivered", 2)
    assert [attempt["number"] for attempt in after["attempt_log"]] == [1, 2]
    first, second = rig.sender.posts
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


async def test_what_failed_once_is_sent_at_once(rig: Rig, http: httpx.AsyncClient) -> None:
    statuses = iter([500, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    await rig.register()
    await rig.translate(**ENDLESS)
    await rig.quiet()
    await resent(http)
    await rig.quiet()
    assert (await one(http))["state"] == "delivered"
    assert [post.at for post in rig.sender.posts] == [1_800_000_000] * 2


async def test_what_waits_for_another_is_not_resent(rig: Rig, http: httpx.AsyncClient) -> None:
    rig.sender.answer = lambda _: answered(500)
    await rig.register()
    await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    await rig.advance(1)
    before = await one(http, "dlv_2")
    refused(await http.post(f"{DELIVERIES}/dlv_2/resend"), 409, "conflict", message="waits")
    assert await one(http, "dlv_2") == before


async def test_what_is_in_flight_is_not_sent_twice(rig: Rig, http: httpx.AsyncClient) -> None:
    rig.sender.answer = lambda _: never()
    await rig.register()
    await rig.translate(**ENDLESS)
    await eventually(lambda: rig.sender.in_flight)
    assert (await resent(http))["state"] == "due"
    rig.clock.advance(5)
    assert (await one(http))["attempts"] == 0
    assert len(rig.sender.posts) == 1


async def test_what_an_endpoint_took_with_it_is_not_resent(rig: Rig, http: httpx.AsyncClient) -> None:
    rig.sender.answer = lambda post: answered(204 if post.job == "vt_1" else 500)
    await rig.register()
    await rig.translate("English", "German", **ENDLESS)
    await rig.quiet()
    await http.delete(f"{ENDPOINTS}/ep_1")
    before = [await one(http, delivery_id) for delivery_id in ("dlv_1", "dlv_2")]
    assert [delivery["state"] for delivery in before] == ["delivered", "dead"]
    for delivery_id in ("dlv_1", "dlv_2"):
        refused(await http.post(f"{DELIVERIES}/{delivery_id}/resend"), 409, "conflict", message="ep_1")
    await rig.advance(86_400)
    assert len(rig.sender.posts) == 2
    assert [await one(http, delivery_id) for delivery_id in ("dlv_1", "dlv_2")] == before


@pytest.mark.parametrize("verb", ["recover", "replay"])
async def test_a_sweep_is_told_of_until_it_is_done(rig: Rig, http: httpx.AsyncClient, verb: str) -> None:
    await rig.translate(**ENDLESS)
    await rig.register()
    await rig.quiet()
    answer = await http.post(f"{ENDPOINTS}/ep_1/{verb}", json={"since": "2027-01-15T09:00:00+01:00"})
    started = conforms(answer, Answer[Recovery])["data"]
    assert started == {
        "recovery_id": "rec_1",
        "endpoint_id": "ep_1",
        "kind": verb,
        "since": "2027-01-15T08:00:00.000Z",
        "status": "running",
        "deliveries": 0,
        "created_at": "2027-01-15T08:00:00.000Z",
        "finished_at": None,
    }
    await rig.quiet()
    ended = conforms(await http.get(f"{RECOVERIES}/rec_1"), Answer[Recovery])["data"]
    assert ended == started | {"status": "finished", "deliveries": 1, "finished_at": "2027-01-15T08:00:00.000Z"}
    assert [post.job for post in rig.sender.posts] == ["vt_1"]


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
@pytest.mark.parametrize("verb", ["recover", "replay"])
async def test_the_beginning_of_time_is_a_time(rig: Rig, http: httpx.AsyncClient, verb: str, since: str) -> None:
    await rig.translate(**ENDLESS)
    await rig.register()
    conforms(await http.post(f"{ENDPOINTS}/ep_1/{verb}", json={"since": since}), Answer[Recovery])
    await rig.quiet()
    assert conforms(await http.get(f"{RECOVERIES}/rec_1"), Answer[Recovery])["data"]["deliveries"] == 1


@pytest.mark.parametrize("body", [None, b"{}", b'{"since": null}'])
async def test_a_replay_without_since_begins_with_the_log(
    rig: Rig, http: httpx.AsyncClient, body: bytes | None
) -> None:
    await rig.translate("English", "German", **ENDLESS)
    await rig.register()
    await http.post(f"{ENDPOINTS}/ep_1/replay", content=body, headers={"Content-Type": "application/json"})
    await rig.quiet()
    assert {post.job for post in rig.sender.posts} == {"vt_1", "vt_2"}
