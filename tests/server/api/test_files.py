"""The files of a completed job: for who has their URL, until it expires, whole and in parts."""

import asyncio
import io
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import av
import httpx
import pytest

from tests.server.api.test_assets import upload
from tests.server.footage import clip
from tests.server.promises import refused
from tests.server.rig import HOOK, JOBS, Rig, serving
from video_translation_server.media.studio import Studio

URLS = {
    "video_url": "video/mp4",
    "audio_url": "audio/mp4",
    "srt_caption_url": "application/x-subrip",
    "vtt_caption_url": "text/vtt; charset=utf-8",
}


async def completed(rig: Rig, seconds: float = 3, **fields: Any) -> dict[str, Any]:
    """The resource of a job that has just completed."""
    [job_id] = await rig.translate(simulation={"progression": "immediate", "video_seconds": seconds}, **fields)
    return await rig.job(job_id)


def local(url: str) -> str:
    """What of a URL this server's client needs."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def films(rig: Rig) -> list[str]:
    folder = rig.settings.shelf / "films"
    return sorted(path.suffix for path in folder.iterdir()) if folder.exists() else []


async def test_every_file_of_a_completed_job_can_be_fetched(rig: Rig, http: httpx.AsyncClient) -> None:
    job = await completed(rig, title="Keynote", output_languages=["Spanish (Spain)"])
    for field, media_type in URLS.items():
        answer = await http.get(local(job[field]))
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type), answer.text
        assert len(answer.content) == int(answer.headers["content-length"]) > 0
        assert answer.headers["accept-ranges"] == "bytes"
        name = urlsplit(job[field]).path.rpartition(".")[2]
        assert answer.headers["content-disposition"].startswith("inline;")
        assert f"Keynote%20-%20Spanish%20%28Spain%29.{name}" in answer.headers["content-disposition"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_video_is_as_long_as_its_job_says(rig: Rig, http: httpx.AsyncClient) -> None:
    job = await completed(rig, 3.5)
    assert job["duration"] == 3.5
    content = (await http.get(local(job["video_url"]))).content
    with av.open(io.BytesIO(content), "r") as film:
        assert [stream.type for stream in film.streams] == ["video", "audio", "subtitle"]
        assert (film.duration or 0) / av.time_base == pytest.approx(3.5, abs=0.1)


async def test_the_uploaded_videos_length_becomes_the_jobs(tmp_path: Path) -> None:
    async with serving(tmp_path, seconds_per_video_minute=60, translation_time="0-0") as rig:
        video = {"type": "asset_id", "asset_id": (await upload(rig, clip(7.5)))["asset_id"]}
        [whole] = await rig.translate(video=video)
        [part] = await rig.translate(video=video, start_time=1, end_time=3)
        [tail] = await rig.translate(video=video, start_time=5, end_time=99)
        jobs = [await rig.job(job_id) for job_id in (whole, part, tail)]
        assert [job["duration"] for job in jobs] == [7.5, 2, 2.5]
        now = rig.clock.now()
        assert [job["estimated_completion_at"] - now for job in jobs] == pytest.approx([7.5, 2, 2.5])
        body = {"video": video, "output_languages": ["English"], "start_time": 8}
        refused(await rig.http.post(JOBS, json=body), 400, "invalid_parameter", "start_time", "7.5 s")


async def test_an_event_has_urls_that_still_work_days_later(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register(events=["video_translate.success"])
    job = await completed(rig)
    await rig.quiet()
    data = rig.sender.posts[0].event["event_data"]
    assert data["url"] == data["video_url"]
    assert set(URLS) <= set(data)
    await rig.advance(7 * 86400 - 1)
    assert (await http.get(local(data["srt_caption_url"]))).status_code == 200
    await rig.advance(2)
    refused(await http.get(local(data["srt_caption_url"])), 403, "forbidden", "expires", "expired")
    fresh = await rig.job(job["id"])
    assert (await http.get(local(fresh["srt_caption_url"]))).status_code == 200


async def test_only_our_own_urls_open_anything(rig: Rig, http: httpx.AsyncClient) -> None:
    mine, other = await completed(rig), await completed(rig)
    path, query = urlsplit(mine["vtt_caption_url"]).path, dict(parse_qsl(urlsplit(mine["vtt_caption_url"]).query))
    later = {**query, "expires": str(int(query["expires"]) + 1)}
    for wrong in ({}, later, query | {"signature": "x"}, query | {"signature": "é"}, {"expires": query["expires"]}):
        refused(await http.get(path, params=wrong), 403, "forbidden", "signature")
    refused(await http.get(path.replace(mine["id"], other["id"]), params=query), 403, "forbidden", "signature")
    refused(await http.get(path.replace("captions.vtt", "other.txt"), params=query), 400, "invalid_parameter", "name")


async def test_a_url_needs_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path, api_keys="secret", headers={"X-Api-Key": "secret"}) as rig:
        job = await completed(rig)
        del rig.http.headers["X-Api-Key"]
        refused(await rig.http.get(JOBS), 401, "unauthorized")
        assert (await rig.http.get(local(job["srt_caption_url"]))).status_code == 200


async def test_no_urls_before_there_are_files_and_none_of_a_job_that_is_gone(rig: Rig, http: httpx.AsyncClient) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 10, "url_delay_seconds": 30})
    await rig.advance(10)
    await rig.quiet()
    assert {(await rig.job(job_id))[field] for field in URLS} == {None}
    await rig.advance(30)
    job = await rig.job(job_id)
    await http.post(f"/_sim/jobs/{job_id}/reset")
    assert {(await rig.job(job_id))[field] for field in URLS} == {None}
    await rig.advance(100)
    await http.delete(f"{JOBS}/{job_id}")
    refused(await http.get(local(job["srt_caption_url"])), 404, "resource_not_found")


async def test_parts_of_a_file(rig: Rig, http: httpx.AsyncClient) -> None:
    url = local((await completed(rig))["video_url"])
    whole = await http.get(url)
    content, etag = whole.content, whole.headers["etag"]
    size = len(content)
    parts = {
        "bytes=0-9": (0, 10),
        "bytes=10-": (10, size),
        "bytes=-10": (size - 10, size),
        f"Bytes=5-{size + 100}": (5, size),
        f"bytes={size}-, 3-4": (3, 5),
    }
    for wanted, (first, end) in parts.items():
        answer = await http.get(url, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (206, content[first:end]), wanted
        assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
        assert answer.headers["etag"] == etag
    for passed_over in ("bytes=9-3", "pages=1-2", "bytes=a-b", "bytes=", "5"):
        answer = await http.get(url, headers={"Range": passed_over})
        assert (answer.status_code, len(answer.content)) == (200, size), passed_over
    for missing in (f"bytes={size}-", "bytes=-0"):
        answer = await http.get(url, headers={"Range": missing})
        refused(answer, 416, "invalid_parameter", "Range", str(size))
        assert answer.headers["content-range"] == f"bytes */{size}"


async def test_several_parts_at_once(rig: Rig, http: httpx.AsyncClient) -> None:
    url = local((await completed(rig))["srt_caption_url"])
    content = (await http.get(url)).content
    answer = await http.get(url, headers={"Range": "bytes=0-1, -3"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert content[:2] + b"\r\n" in answer.content
    assert content[-3:] + b"\r\n" in answer.content


async def test_a_part_only_of_what_the_caller_has(rig: Rig, http: httpx.AsyncClient) -> None:
    job = await completed(rig)
    whole = await http.get(local(job["srt_caption_url"]))
    etag = whole.headers["etag"]
    for validator, status in {etag: 206, '"another"': 200, f"W/{etag}": 200}.items():
        headers = {"Range": "bytes=0-0", "If-Range": validator}
        assert (await http.get(local(job["srt_caption_url"]), headers=headers)).status_code == status, validator
    for validator, status in {etag: 304, f'"x", W/{etag}': 304, "*": 304, '"another"': 200}.items():
        answer = await http.get(local(job["srt_caption_url"]), headers={"If-None-Match": validator})
        assert answer.status_code == status, validator
    await http.patch(f"{JOBS}/{job['id']}", json={"title": "Another title"})
    renamed = await http.get(local(job["srt_caption_url"]), headers={"Range": "bytes=0-0", "If-Range": etag})
    assert renamed.status_code == 200, "with another title these are other bytes"
    assert b"Another title" in renamed.content


async def test_head_tells_what_get_would_send(rig: Rig, http: httpx.AsyncClient) -> None:
    url = local((await completed(rig))["audio_url"])
    head, whole = await http.head(url), await http.get(url)
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-length", "content-type", "etag", "accept-ranges", "content-disposition")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]


async def test_a_file_is_made_once_however_many_ask_at_once(rig: Rig, http: httpx.AsyncClient) -> None:
    job = await completed(rig)
    assert films(rig) == []
    made = mock.AsyncMock(side_effect=Studio().write_audio)
    with mock.patch.object(Studio, "write_audio", made):
        answers = await asyncio.gather(*(http.get(local(job["audio_url"])) for _ in range(5)))
        answers.append(await http.get(local(job["audio_url"])))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert made.await_count == 1
    assert films(rig) == [".m4a"]


async def test_a_long_video_is_cut_where_the_server_says(tmp_path: Path) -> None:
    async with serving(tmp_path, longest_film=2) as rig:
        job = await completed(rig, 86400)
        content = (await rig.http.get(local(job["audio_url"]))).content
        with av.open(io.BytesIO(content), "r") as film:
            assert (film.duration or 0) / av.time_base == pytest.approx(2, abs=0.1)


async def test_the_urls_begin_where_callers_reach_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, public_url="https://media.example/app/") as rig:
        job = await completed(rig)
        assert job["video_url"].startswith(f"https://media.example/app/files/{job['id']}/video.mp4?expires=")
        await rig.register(HOOK)


async def test_a_restarted_server_knows_its_urls_again(tmp_path: Path) -> None:
    async with serving(tmp_path, seed=None) as rig:
        job, clock = await completed(rig), rig.clock
    async with serving(tmp_path, seed=None, clock=clock) as rig:
        assert (await rig.http.get(local(job["vtt_caption_url"]))).status_code == 200


async def test_a_server_for_everybody_is_told_that_its_urls_name_nobody(tmp_path: Path) -> None:
    for public_url, warned in {None: 1, "https://media.example": 0}.items():
        async with serving(tmp_path, host="0.0.0.0", api_keys="key", public_url=public_url) as rig:
            assert len(rig.lines("the URLs of files name no host that others can reach; give --public-url")) == warned
