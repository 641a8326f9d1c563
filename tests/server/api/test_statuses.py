"""`GET /v3/video-translations/statuses`: many jobs at once, in the real service's words; and when to ask again."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import JOBS, Rig
from video_translation_server.wire.responses import BulkStatus, Page

STATUSES = f"{JOBS}/statuses"


async def statuses(http: httpx.AsyncClient, ids: Sequence[str], **more: str) -> Any:
    answer = await http.get(STATUSES, params={"video_translation_ids": ",".join(ids)} | more)
    return conforms(answer, Page[BulkStatus], f"GET {STATUSES}")


async def test_every_status_has_its_word(rig: Rig, http: httpx.AsyncClient) -> None:
    [cancelled] = await rig.translate(simulation={"duration_seconds": 1000})
    [done] = await rig.translate(simulation={"duration_seconds": 1, "outcome": "completed"})
    [broken] = await rig.translate(simulation={"duration_seconds": 1, "outcome": "failed", "error_message": "no sound"})
    [running] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.advance(1)
    await rig.advance(1)
    await http.post(f"{JOBS}/{cancelled}/cancel")
    [waiting] = await rig.translate(simulation={"duration_seconds": 1000})
    found = (await statuses(http, [waiting, "vt_none", running, broken, cancelled, done]))["data"]
    assert [(item["video_id"], item["status"], item["sequence"], item["progress"]) for item in found] == [
        (waiting, "queued", 1, 0),
        ("vt_none", "not_found", None, None),
        (running, "processing", 2, 11),
        (broken, "failed", 3, 0),
        (cancelled, "failed", 2, 0),
        (done, "completed", 3, 100),
    ]
    assert [item["error"] for item in found[3:]] == [
        {"code": "translation_failed", "message": "no sound"},
        {"code": "cancelled", "message": "Cancelled by the caller"},
        None,
    ]


async def test_the_order_is_that_of_the_first_naming_and_each_is_answered_once(
    rig: Rig, http: httpx.AsyncClient
) -> None:
    one, two, three = await rig.translate("English", "German", "French (France)")
    body = await statuses(http, [three, "vt_none", one, three, two, one, "vt_none"])
    assert [item["video_id"] for item in body["data"]] == [three, "vt_none", one, two]
    assert (body["has_more"], body["next_token"]) == (False, None)


async def test_a_hundred_are_answered_and_one_more_is_refused(rig: Rig, http: httpx.AsyncClient) -> None:
    names = (await http.get(f"{JOBS}/languages")).json()["data"]["languages"][:100]
    ids = await rig.translate(*names)
    assert [item["video_id"] for item in (await statuses(http, ids))["data"]] == ids
    assert len((await statuses(http, ids * 2))["data"]) == 100, "naming one twice does not count"
    answer = await http.get(STATUSES, params={"video_translation_ids": ",".join([*ids, "vt_more"])})
    refused(answer, 400, "invalid_parameter", "video_translation_ids", "at most 100")


async def test_an_unknown_batch_is_named(rig: Rig, http: httpx.AsyncClient) -> None:
    [job_id] = await rig.translate()
    found = (await statuses(http, [job_id], batch_ids="batch_none"))["data"]
    assert [(item["video_id"], item["batch_id"], item["status"]) for item in found] == [
        (job_id, None, "queued"),
        (None, "batch_none", "not_found"),
    ]


@pytest.mark.parametrize("name", ["video_translation_ids", "video-translation-ids", "batch_ids"])
@pytest.mark.parametrize("value", ["", ",", "a,", ",a", "a,,b", "x" * 256, ",".join(map(str, range(101)))])
async def test_a_list_that_is_none_is_refused(http: httpx.AsyncClient, name: str, value: str) -> None:
    refused(await http.get(STATUSES, params={name: value}), 400, "invalid_parameter", name.replace("-", "_"))


async def test_without_any_id_it_says_what_is_missing(http: httpx.AsyncClient) -> None:
    refused(await http.get(STATUSES), 400, "invalid_parameter", "video_translation_ids", "ID,ID")


@pytest.mark.parametrize(
    "name", ["\x00", "a\x00b", "'", "映画", "\udcff".encode("utf-8", "replace").decode(), "x" * 255]
)
async def test_a_strange_id_is_only_unknown(http: httpx.AsyncClient, name: str) -> None:
    found = (await statuses(http, [name, "vt_none"]))["data"]
    assert [(item["video_id"], item["status"]) for item in found] == [(name, "not_found"), ("vt_none", "not_found")]


# When to ask again


async def hints(rig: Rig, job_id: str) -> set[str | None]:
    """What each of the three doors says of one job."""
    asked = [
        (f"{JOBS}/{job_id}", {}),
        ("/status", {"video_translation_id": job_id}),
        (STATUSES, {"video_translation_ids": f"{job_id},vt_none"}),
    ]
    return {(await rig.http.get(path, params=params)).headers.get("retry-after") for path, params in asked}


async def test_retry_after_is_the_rest_until_the_next_planned_move(rig: Rig) -> None:
    """10 s of waiting, then 90 s of running: at least 1 s, at most 30 s, whole seconds, rounded up."""
    [job_id] = await rig.translate(simulation={"duration_seconds": 100})
    for seconds, hint in ((0, "10"), (2.5, "8"), (7, "1"), (0.5, "30"), (70, "20"), (19.9, "1")):
        await rig.advance(seconds)
        assert await hints(rig, job_id) == {hint}
    await rig.advance(1)
    assert await hints(rig, job_id) == {None}, "it has ended: there is nothing to ask for"


async def test_of_many_jobs_the_first_to_move_decides(rig: Rig, http: httpx.AsyncClient) -> None:
    ids = [(await rig.translate(simulation={"duration_seconds": seconds}))[0] for seconds in (200, 70, 120)]
    answer = await http.get(STATUSES, params={"video_translation_ids": ",".join(ids)})
    assert answer.headers["retry-after"] == "7"


async def test_the_estimate_is_the_plans_end_until_the_job_has_ended(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 100, "outcome": "failed"})
    end = rig.clock.now() + 100
    assert (await rig.job(job_id))["estimated_completion_at"] == end
    await rig.advance(12)
    assert (await rig.job(job_id))["estimated_completion_at"] == end + 2, "it was moved 2 s late"
    await rig.advance(90)
    assert (await rig.job(job_id))["estimated_completion_at"] is None
