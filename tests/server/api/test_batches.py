"""`/v3/video-translations/batches`: several translations in one request, and one event at their end."""

import json
from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import EVENTS, HOOK, JOBS, VIDEO, Rig
from video_translation_server.wire.responses import Answer, BatchAnswer, BulkStatus, EventPage, Page

BATCHES = f"{JOBS}/batches"
GET = "GET /v3/video-translations/batches/{batch_id}"
ONE: dict[str, Any] = {"video": VIDEO, "output_languages": ["English"], "simulation": {"duration_seconds": 10}}
BROKEN = ONE | {"simulation": {"duration_seconds": 10, "outcome": "failed", "error_message": "no sound"}}


async def start(http: httpx.AsyncClient, *asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await http.post(BATCHES, json={"video_translations": list(asked)} | more)
    data: dict[str, Any] = conforms(answer, Answer[BatchAnswer], GET)["data"]
    return data


async def read(http: httpx.AsyncClient, batch_id: str, **params: Any) -> dict[str, Any]:
    answer = await http.get(f"{BATCHES}/{batch_id}", params=params)
    data: dict[str, Any] = conforms(answer, Answer[BatchAnswer], GET)["data"]
    return data


async def test_a_batch_goes_from_queued_to_its_end(rig: Rig, http: httpx.AsyncClient) -> None:
    two = ONE | {"output_languages": ["German", "French (France)"], "title": "second"}
    batch = await start(http, BROKEN, two, title="week 47")
    assert await read(http, batch["batch_id"]) == batch
    assert batch | {"items": []} == {
        "batch_id": "batch_1",
        "title": "week 47",
        "status": "processing",
        "total_items": 3,
        "counts_by_status": {"queued": 3, "processing": 0, "completed": 0, "failed": 0},
        "created_at": 1_800_000_000,
        "items": [],
        "has_more": False,
        "next_token": None,
    }
    jobs = [await rig.job(item["video_id"]) for item in batch["items"]]
    assert [job["output_language"] for job in jobs] == ["English", "German", "French (France)"]
    assert [job["title"] for job in jobs] == [None, "second", "second"]
    await rig.advance(1)
    assert {item["status"] for item in (await read(http, "batch_1"))["items"]} == {"processing"}
    await rig.advance(9)
    ended = await read(http, "batch_1")
    assert (ended["status"], ended["counts_by_status"]["completed"]) == ("completed", 2)
    assert [(item["item_index"], item["status"], item["error"]) for item in ended["items"]] == [
        (0, "failed", {"code": "translation_failed", "message": "no sound"}),
        (1, "completed", None),
        (2, "completed", None),
    ]


async def test_one_event_tells_of_its_end_to_endpoints_and_to_its_callback(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register(events=["batch.finished"])
    own = ONE | {"callback_url": "https://receiver.example/job"}
    batch = await start(http, own, ONE, callback_url="https://receiver.example/batch")
    await rig.advance(1)
    await rig.advance(9)
    told = {(post.url, post.event["event_type"]) for post in rig.sender.posts}
    assert told == {
        (HOOK, "batch.finished"),
        ("https://receiver.example/batch", "batch.finished"),
        ("https://receiver.example/job", "video_translate.success"),
    }
    assert len(rig.sender.posts) == 3
    found = await http.get(EVENTS, params={"entity_id": batch["batch_id"]})
    [event] = conforms(found, EventPage)["data"]
    ended = await read(http, batch["batch_id"])
    assert event["event_data"] == {name: ended[name] for name in event["event_data"]}
    assert set(ended) - set(event["event_data"]) == {"items", "has_more", "next_token"}


async def test_a_batch_of_which_nothing_came_has_failed(rig: Rig, http: httpx.AsyncClient) -> None:
    batch = await start(http, BROKEN, ONE)
    await http.post(f"{JOBS}/{batch['items'][1]['video_id']}/cancel")
    await rig.advance(1)
    await rig.advance(9)
    ended = await read(http, batch["batch_id"])
    assert (ended["status"], ended["counts_by_status"]["failed"]) == ("failed", 2)
    assert ended["items"][1]["error"] == {"code": "cancelled", "message": "Cancelled by the caller"}


async def test_a_batch_that_is_over_at_once_says_so_in_its_answer(rig: Rig, http: httpx.AsyncClient) -> None:
    at_once = ONE | {"simulation": {"progression": "immediate"}}
    batch = await start(http, at_once, at_once)
    assert (batch["status"], batch["counts_by_status"]["completed"]) == ("completed", 2)
    assert await read(http, batch["batch_id"]) == batch
    log = conforms(await http.get(EVENTS, params={"event_type": "batch.finished"}), EventPage)
    assert [event["event_data"]["batch_id"] for event in log["data"]] == [batch["batch_id"]]
    assert (await rig.stored())[0] == 2


async def test_an_own_id_that_is_taken_is_refused_with_the_whole_batch(rig: Rig, http: httpx.AsyncClient) -> None:
    named = ONE | {"simulation": {"id": "mine"}}
    answer = await http.post(BATCHES, json={"video_translations": [named, named]})
    refused(answer, 409, "conflict", "simulation.id", "mine")
    assert await rig.stored() == (0, 0, 0)


async def test_its_items_are_paged_in_their_order(http: httpx.AsyncClient) -> None:
    names = (await http.get(f"{JOBS}/languages")).json()["data"]["languages"][:60]
    batch = await start(http, *[ONE | {"output_languages": names}] * 2)
    assert (batch["total_items"], len(batch["items"]), batch["has_more"]) == (120, 100, True)
    rest = await read(http, batch["batch_id"], token=batch["next_token"])
    assert [item["item_index"] for item in batch["items"] + rest["items"]] == list(range(120))
    assert (rest["has_more"], rest["next_token"]) == (False, None)
    for params, param in (({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"token": "x"}, "token")):
        refused(await http.get(f"{BATCHES}/{batch['batch_id']}", params=params), 400, "invalid_parameter", param)


async def test_statuses_are_asked_for_by_batch_too(http: httpx.AsyncClient) -> None:
    first, second = await start(http, ONE, ONE), await start(http, ONE)
    ids = f"{second['batch_id']},batch_none,{first['batch_id']}"
    answer = await http.get(f"{JOBS}/statuses", params={"batch_ids": ids})
    found = conforms(answer, Page[BulkStatus], "GET /v3/video-translations/statuses")["data"]
    assert [(item["batch_id"], item["item_index"], item["status"]) for item in found] == [
        ("batch_2", 0, "queued"),
        ("batch_none", None, "not_found"),
        ("batch_1", 0, "queued"),
        ("batch_1", 1, "queued"),
    ]
    assert answer.headers["retry-after"] == "1"


async def test_the_same_key_starts_one_batch(rig: Rig, http: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "week-47"}
    body = {"video_translations": [ONE, ONE]}
    first, again = [await http.post(BATCHES, json=body, headers=headers) for _ in range(2)]
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert (await rig.stored())[0] == 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "video_translations"),
        ({"video_translations": []}, "video_translations"),
        ({"video_translations": [ONE] * 101}, "video_translations"),
        ({"video_translations": ONE}, "video_translations"),
        (
            {"video_translations": [ONE, ONE | {"output_languages": ["Klingon"]}]},
            "video_translations[1].output_languages[0]",
        ),
        ({"video_translations": [ONE, ONE | {"codec": "av1"}]}, "video_translations[1].codec"),
        ({"video_translations": [ONE | {"callback_url": "http://10.0.0.1/"}]}, "video_translations[0].callback_url"),
        (
            {"video_translations": [ONE, ONE | {"video": {"type": "asset_id", "asset_id": "asset_none"}}]},
            "video_translations[1].video.asset_id",
        ),
        ({"video_translations": [ONE], "callback_url": "http://10.0.0.1/"}, "callback_url"),
        ({"video_translations": [ONE], "title": 7}, "title"),
        ({"video_translations": [ONE], "callback_id": "x"}, "callback_id"),
    ],
)
async def test_a_bad_batch_is_refused_as_a_whole(rig: Rig, http: httpx.AsyncClient, body: Any, param: str) -> None:
    answer = await http.post(BATCHES, content=json.dumps(body), headers={"Content-Type": "application/json"})
    refused(answer, 400, "invalid_parameter", param)
    assert await rig.stored() == (0, 0, 0)


async def test_a_batch_has_at_most_a_thousand_jobs(rig: Rig, http: httpx.AsyncClient) -> None:
    names = (await http.get(f"{JOBS}/languages")).json()["data"]["languages"]
    count = 1000 // len(names) + 1
    answer = await http.post(BATCHES, json={"video_translations": [ONE | {"output_languages": names}] * count})
    refused(answer, 400, "invalid_parameter", "video_translations", "at most 1000")
    assert await rig.stored() == (0, 0, 0)


async def test_an_unknown_batch_is_not_found(http: httpx.AsyncClient) -> None:
    refused(await http.get(f"{BATCHES}/batch_none"), 404, "resource_not_found", "batch_id", "batch_none")
