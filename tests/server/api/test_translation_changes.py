"""`PATCH` and `DELETE /v3/video-translations/{id}`: another title, and a job that is wanted no more."""

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import EVENTS, JOBS, Rig
from video_translation_server.wire.responses import Answer, BulkStatus, Deleted, EventPage, Page, Translation

PATCH = "PATCH /v3/video-translations/{video_translation_id}"
DELETE = "DELETE /v3/video-translations/{video_translation_id}"


async def test_a_title_changes_and_nothing_else_and_nothing_is_pushed(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    [job_id] = await rig.translate(title="old", simulation={"duration_seconds": 100})
    await rig.quiet()
    before = await rig.job(job_id)
    await rig.advance(2.5)
    answer = await http.patch(f"{JOBS}/{job_id}", json={"title": "Película: 映画"})
    data = conforms(answer, Answer[Translation], PATCH)["data"]
    assert data == before | {"title": "Película: 映画", "updated_at": rig.clock.now()}
    assert answer.headers["retry-after"] == "8"
    assert await rig.job(job_id) == data
    assert [post.sequence for post in rig.sender.posts] == [1]
    await rig.advance(7.5)
    assert rig.sender.posts[-1].event["event_data"]["title"] == "Película: 映画", "later events have the new one"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "title"),
        ({"title": None}, "title"),
        ({"title": 7}, "title"),
        ({"title": "x" * 1001}, "title"),
        ({"title": "x", "callback_id": "y"}, "callback_id"),
        ([], "body"),
    ],
)
async def test_what_is_no_title_is_refused(rig: Rig, http: httpx.AsyncClient, body: object, param: str) -> None:
    [job_id] = await rig.translate(title="kept")
    refused(await http.patch(f"{JOBS}/{job_id}", json=body), 400, "invalid_parameter", param)
    assert (await rig.job(job_id))["title"] == "kept"


async def test_an_ended_job_is_deleted_and_its_log_stays(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    [job_id] = await rig.translate(simulation={"duration_seconds": 0})
    await rig.advance(1)
    pushed = [post.event for post in rig.sender.posts]
    data = conforms(await http.delete(f"{JOBS}/{job_id}"), Answer[Deleted], DELETE)["data"]
    assert data == {"id": job_id}
    await rig.quiet()
    assert len(rig.sender.posts) == 3, "there is nothing to tell: it had ended"
    refused(await http.get(f"{JOBS}/{job_id}"), 404, "resource_not_found", "video_translation_id")
    refused(await http.get("/status"), 404, "resource_not_found")
    refused(
        await http.patch(f"{JOBS}/{job_id}", json={"title": "x"}), 404, "resource_not_found", "video_translation_id"
    )
    assert (await http.get(JOBS)).json()["data"] == []
    statuses = await http.get(f"{JOBS}/statuses", params={"video_translation_ids": job_id})
    assert conforms(statuses, Page[BulkStatus])["data"][0]["status"] == "not_found"
    log = conforms(await http.get(EVENTS, params={"after": "cur_0", "video_translate_id": job_id}), EventPage)
    assert log["data"] == pushed


@pytest.mark.parametrize("seconds", [0, 10])
async def test_a_job_that_has_not_ended_is_cancelled_and_its_listeners_hear_of_it(
    rig: Rig, http: httpx.AsyncClient, seconds: float
) -> None:
    await rig.register()
    [job_id] = await rig.translate(simulation={"duration_seconds": 100}, callback_url="https://receiver.example/one")
    await rig.advance(seconds)
    conforms(await http.delete(f"{JOBS}/{job_id}"), Answer[Deleted], DELETE)
    await rig.quiet()
    told = {post.url: post.event for post in rig.sender.posts if post.event["event_type"] == "video_translate.fail"}
    assert len(told) == 2
    for event in told.values():
        assert event["event_data"]["message"] == "Cancelled by the caller"
        assert event["event_data"]["cancelled_at"] == rig.clock.now()
    await rig.advance(1000)
    assert len(await rig.store.due_jobs(rig.clock.now(), 9)) == 0
    refused(await http.delete(f"{JOBS}/{job_id}"), 404, "resource_not_found", "video_translation_id")


async def test_only_what_was_created_later_is_listed(rig: Rig, http: httpx.AsyncClient) -> None:
    [early] = await rig.translate()
    await rig.advance(5)
    [late] = await rig.translate()
    for after, expected in ((0, [late, early]), (1_800_000_000, [late]), (1_800_000_004.5, [late]), (1.8e9 + 5, [])):
        page = conforms(await http.get(JOBS, params={"created-after": after}), Page[Translation])
        assert [job["id"] for job in page["data"]] == expected
    for bad in ("yesterday", "nan", "inf", ""):
        refused(await http.get(JOBS, params={"created_after": bad}), 400, "invalid_parameter", "created_after")
