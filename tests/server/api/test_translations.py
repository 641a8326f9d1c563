"""`/v3/video-translations`: create, get, list, languages."""

import json

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import JOBS, VIDEO, Rig
from video_translation_server.wire.responses import Answer, Created, Languages, Page, Translation

GET_ONE = "GET /v3/video-translations/{video_translation_id}"
LIST = "GET /v3/video-translations"

GOOD_JOB = {"video": VIDEO, "output_languages": ["English"]}
AS_JSON = {"Content-Type": "application/json"}

EVERYTHING = {
    "video": VIDEO,
    "output_languages": ["Japanese"],
    "title": "Película: 映画",
    "input_language": "English",
    "mode": "precision",
    "translate_audio_only": True,
    "callback_id": "order-17",
    "audio": {"type": "url", "url": "https://example.com/talk.mp3"},
    "srt": {"type": "url", "url": "https://example.com/talk.srt"},
    "srt_role": "input",
    "speaker_num": 2,
    "start_time": 1,
    "end_time": 9.5,
    "brand_glossary_id": "g",
    "brand_voice_id": "v",
    "folder_id": "f",
    "fps_mode": "cfr",
    "keep_the_same_format": True,
    "stock_voice_config": {"use_stock_voice": True, "preferred_stock_voice_ids": ["a"]},
    "disable_music_track": True,
    "enable_caption": True,
    "enable_dynamic_duration": False,
    "enable_speech_enhancement": True,
    "enable_watermark": True,
    "simulation": {"outcome": "failed", "duration_seconds": 5, "error_message": "No audio track"},
}


async def test_a_request_becomes_one_job_per_language_in_their_order(rig: Rig, http: httpx.AsyncClient) -> None:
    answer = await http.post(JOBS, json={"video": VIDEO, "output_languages": ["Japanese", "English", "German"]})
    body = conforms(answer, Answer[Created], "POST /v3/video-translations")
    ids = body["data"]["video_translation_ids"]
    assert [(await rig.job(job_id))["output_language"] for job_id in ids] == ["Japanese", "English", "German"]


async def test_a_new_job_is_pending_with_every_field_there(rig: Rig, http: httpx.AsyncClient) -> None:
    [job_id] = await rig.translate("English")
    body = conforms(await http.get(f"{JOBS}/{job_id}"), Answer[Translation], GET_ONE)
    assert body["data"] == {
        "id": job_id,
        "title": None,
        "status": "pending",
        "input_language": None,
        "output_language": "English",
        "translate_audio_only": False,
        "duration": 60,
        "video_url": None,
        "audio_url": None,
        "srt_caption_url": None,
        "vtt_caption_url": None,
        "failure_message": None,
        "callback_id": None,
        "created_at": 1_800_000_000,
        "sequence": 1,
        "progress": 0,
        "updated_at": 1_800_000_000.0,
        "cancelled_at": None,
        "estimated_completion_at": 1_800_000_010.0,
        "priority": 5,
        "queue_position": None,
        "estimated_start_at": 1_800_000_001.0,
    }


async def test_every_field_of_the_real_request_is_taken(rig: Rig, http: httpx.AsyncClient) -> None:
    answer = await http.post(JOBS, json=EVERYTHING)
    [job_id] = answer.json()["data"]["video_translation_ids"]
    job = conforms(await http.get(f"{JOBS}/{job_id}"), Answer[Translation], GET_ONE)["data"]
    assert job["title"] == "Película: 映画"
    assert job["input_language"] == "English"
    assert job["translate_audio_only"] is True
    assert job["callback_id"] == "order-17"
    await rig.advance(0.5)
    await rig.advance(4.5)
    assert (await rig.job(job_id))["failure_message"] == "No audio track"


async def test_optional_fields_may_be_null(http: httpx.AsyncClient) -> None:
    strings = ["title", "input_language", "callback_url", "callback_id", "brand_glossary_id", "brand_voice_id"]
    others = ["audio", "srt", "srt_role", "speaker_num", "start_time", "end_time", "folder_id", "fps_mode"]
    nullable = [*strings, *others, "keep_the_same_format", "stock_voice_config"]
    body = {"video": VIDEO, "output_languages": ["English"]} | dict.fromkeys(nullable)
    conforms(await http.post(JOBS, json=body), Answer[Created], "POST /v3/video-translations")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_job_runs_its_course(rig: Rig, http: httpx.AsyncClient, outcome: str) -> None:
    [job_id] = await rig.translate(simulation={"outcome": outcome, "duration_seconds": 100})
    await rig.advance(10)
    running = conforms(await http.get(f"{JOBS}/{job_id}"), Answer[Translation], GET_ONE)["data"]
    assert (running["status"], running["sequence"], running["updated_at"]) == ("running", 2, 1_800_000_010.0)
    await rig.advance(90)
    ended = conforms(await http.get(f"{JOBS}/{job_id}"), Answer[Translation], GET_ONE)["data"]
    assert (ended["status"], ended["sequence"], ended["created_at"]) == (outcome, 3, 1_800_000_000)
    assert (ended["video_url"] is not None, ended["progress"] == 100) == (outcome == "completed",) * 2
    assert (ended["failure_message"] is not None) == (outcome == "failed")


async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient) -> None:
    for job_id in ("vt_none", "%00", "%F0%9F%8E%AC", "a" * 5000, "..%2F.."):
        answer = await http.get(f"{JOBS}/{job_id}")
        assert answer.status_code == 404
    refused(await http.get(f"{JOBS}/vt_none"), 404, "resource_not_found", "video_translation_id", "vt_none")


async def test_the_list_is_newest_first_and_paged(rig: Rig, http: httpx.AsyncClient) -> None:
    ids = [(await rig.translate())[0] for _ in range(12)]
    first = conforms(await http.get(JOBS), Page[Translation], LIST)
    assert len(first["data"]) == 10, "the default page"
    assert first["has_more"] is True
    second = conforms(await http.get(JOBS, params={"token": first["next_token"]}), Page[Translation], LIST)
    assert (second["has_more"], second["next_token"]) == (False, None)
    assert [job["id"] for job in first["data"] + second["data"]] == ids[::-1]


async def test_pages_hold_together_while_new_jobs_arrive(rig: Rig, http: httpx.AsyncClient) -> None:
    ids = [(await rig.translate())[0] for _ in range(4)]
    first = (await http.get(JOBS, params={"limit": 2})).json()
    await rig.translate()
    second = (await http.get(JOBS, params={"limit": 2, "token": first["next_token"]})).json()
    assert [job["id"] for job in first["data"] + second["data"]] == ids[::-1]
    assert second["has_more"] is False


async def test_an_exact_page_has_no_next(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.translate("English", "German")
    page = conforms(await http.get(JOBS, params={"limit": 2}), Page[Translation], LIST)
    assert (len(page["data"]), page["has_more"], page["next_token"]) == (2, False, None)


async def test_an_empty_list_is_a_list(http: httpx.AsyncClient) -> None:
    assert conforms(await http.get(JOBS), Page[Translation], LIST) == {
        "data": [],
        "has_more": False,
        "next_token": None,
    }


async def test_the_list_can_be_narrowed_to_a_status(rig: Rig, http: httpx.AsyncClient) -> None:
    [done] = await rig.translate(simulation={"duration_seconds": 0, "outcome": "completed"})
    await rig.advance(1)
    [waiting] = await rig.translate(simulation={"duration_seconds": 1000})
    for status, expected in (("completed", [done]), ("pending", [waiting]), ("running", []), ("failed", [])):
        page = conforms(await http.get(JOBS, params={"status": status}), Page[Translation], LIST)
        assert [job["id"] for job in page["data"]] == expected


async def test_languages_are_names_that_can_be_asked_for(rig: Rig, http: httpx.AsyncClient) -> None:
    body = conforms(await http.get(f"{JOBS}/languages"), Answer[Languages], "GET /v3/video-translations/languages")
    names = body["data"]["languages"]
    assert "English" in names
    assert "Spanish (Spain)" in names
    assert len(set(names)) == len(names)
    assert len(await rig.translate(*names)) == len(names)


async def test_languages_are_all_or_none(rig: Rig, http: httpx.AsyncClient) -> None:
    before = await rig.stored()
    answer = await http.post(JOBS, json={"video": VIDEO, "output_languages": ["English", "Klingon"]})
    refused(answer, 400, "invalid_parameter", "output_languages[1]", "/v3/video-translations/languages")
    assert await rig.stored() == before


async def test_a_body_of_1_mb_is_read(http: httpx.AsyncClient) -> None:
    head = json.dumps(GOOD_JOB).encode()
    fits = head + b" " * (1024 * 1024 - len(head))
    assert (await http.post(JOBS, content=fits, headers=AS_JSON)).status_code == 200
    refused(await http.post(JOBS, content=fits + b" ", headers=AS_JSON), 413, "request_too_large")


@pytest.mark.parametrize("media_type", ["application/json", "application/JSON; charset=utf-8", "application/json ;a=b"])
async def test_json_may_be_spelled_in_these_ways(http: httpx.AsyncClient, media_type: str) -> None:
    answer = await http.post(JOBS, content=json.dumps(GOOD_JOB), headers={"Content-Type": media_type})
    assert answer.status_code == 200


async def test_characters_of_every_kind_are_kept(rig: Rig) -> None:
    title = "a\x00b\u2028\U0001f3ac\u202e\x7f'\"\\</script>"
    [job_id] = await rig.translate(title=title, callback_id=title)
    job = await rig.job(job_id)
    assert (job["title"], job["callback_id"]) == (title, title)
    assert (await rig.register(description=title))["description"] == title
