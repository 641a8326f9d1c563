"""`GET /status`: the mission's own door."""

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import Rig
from video_translation_server.wire.responses import Status


async def test_without_any_job_it_is_not_found(http: httpx.AsyncClient) -> None:
    refused(await http.get("/status"), 404, "resource_not_found", message="POST /v3/video-translations")


async def test_an_unknown_id_is_not_found(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.translate()
    answer = await http.get("/status", params={"video_translation_id": "vt_none"})
    refused(answer, 404, "resource_not_found", "video_translation_id", "vt_none")


@pytest.mark.parametrize(("outcome", "result"), [("completed", "completed"), ("failed", "error")])
async def test_it_speaks_the_words_of_the_mission(rig: Rig, http: httpx.AsyncClient, outcome: str, result: str) -> None:
    [job_id] = await rig.translate(simulation={"outcome": outcome, "duration_seconds": 10})
    seen = []
    for seconds in (0, 1, 9):
        await rig.advance(seconds)
        body = conforms(await http.get("/status"), Status)
        assert body["id"] == job_id
        seen.append((body["result"], body["status"], body["sequence"]))
    assert seen == [("pending", "pending", 1), ("pending", "running", 2), (result, outcome, 3)]


async def test_without_an_id_it_is_the_newest_job(rig: Rig, http: httpx.AsyncClient) -> None:
    [first, second] = await rig.translate("English", "German")
    assert (await http.get("/status")).json()["id"] == second
    named = await http.get("/status", params={"video_translation_id": first})
    assert conforms(named, Status)["id"] == first


async def test_it_has_no_envelope_and_all_of_the_job(rig: Rig, http: httpx.AsyncClient) -> None:
    [job_id] = await rig.translate(title="a talk", callback_id="order-17")
    body = (await http.get("/status")).json()
    assert body == {"result": "pending"} | await rig.job(job_id)


@pytest.mark.parametrize("name", ["video_translation_id", "video-translation-id"])
async def test_the_name_may_have_hyphens(rig: Rig, http: httpx.AsyncClient, name: str) -> None:
    [first, _] = await rig.translate("English", "German")
    assert (await http.get("/status", params={name: first})).json()["id"] == first
