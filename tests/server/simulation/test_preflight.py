"""Videos at URLs, where fetching is on: fetched and looked at before their jobs begin, off everybody's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.footage import clip
from tests.server.outbound.servers import Peer, Server
from tests.server.rig import HOOK, JOBS, Rig, seeded_ids, serving
from tests.waiting import PATIENCE, eventually

FILM = clip(6)
PREFLIGHT = "video_translate.preflight"


class Videos:
    """A server of videos: `content` by path, and how often each was asked for."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {"/film.mp4": FILM, "/words.mp4": b"no film", "/empty.mp4": b""}
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.port = 0

    async def answer(self, peer: Peer) -> None:
        path = (await peer.reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        self.asked.append(path)
        await self.may_answer.wait()
        content = self.content.get(path)
        if content is None:
            await peer.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        else:
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))

    def at(self, path: str) -> dict[str, str]:
        return {"type": "url", "url": f"http://127.0.0.1:{self.port}{path}"}


@asynccontextmanager
async def videos() -> AsyncIterator[Videos]:
    found = Videos()
    server = Server(found.answer)
    await server.start("127.0.0.1", None)
    found.port = server.port
    try:
        yield found
    finally:
        await server.stop()


@asynccontextmanager
async def fetching(folder: Path, **settings: Any) -> AsyncIterator[tuple[Rig, Videos]]:
    """A server that fetches, and one that it fetches from; a minute of video takes a minute, and nothing else does."""
    given: dict[str, Any] = {"fetch_videos": True, "seconds_per_video_minute": 60, "translation_time": "0-0"}
    async with videos() as source, serving(folder, **(given | settings)) as rig:
        yield rig, source


async def looked_at(rig: Rig, job_id: str) -> dict[str, Any]:
    """The job once its video has been looked at."""
    with rig.store.bells.jobs.listen() as bell:
        async with asyncio.timeout(PATIENCE):
            while (await rig.store.job(None, job_id)).in_preflight:
                await bell.wait()
                bell.clear()
    await rig.quiet()
    return await rig.job(job_id)


async def test_the_length_of_what_is_there_makes_the_time(tmp_path: Path) -> None:
    async with fetching(tmp_path, pending_share=0.5) as (rig, source):
        await rig.register()
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        job = await looked_at(rig, job_id)
        assert (job["status"], job["duration"]) == ("pending", 6)
        assert job["estimated_completion_at"] == rig.clock.now() + 6
        await rig.advance(3)
        await rig.advance(3)
        assert (await rig.job(job_id))["status"] == "completed"
        assert [post.event["event_type"] for post in rig.sender.posts] == [
            f"video_translate.{name}" for name in ("pending", "running", "success")
        ]
        assert list((tmp_path / "server.db-assets").iterdir()) == [], "nothing of it is kept"


async def test_a_part_is_what_is_asked_for(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"), start_time=1, end_time=3.5)
        assert (await looked_at(rig, job_id))["duration"] == 2.5
        [job_id] = await rig.translate(video=source.at("/film.mp4"), start_time=6)
        job = await looked_at(rig, job_id)
        assert (job["status"], job["failure_message"]) == ("failed", "The video is too short to be translated")


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/none.mp4", "download_failed", "The video could not be downloaded from its URL: it answers 404"),
        ("/words.mp4", "validation_failed", "The format of the video is not supported"),
        ("/empty.mp4", "validation_failed", "The format of the video is not supported"),
    ],
)
async def test_what_cannot_be_had_or_is_no_video_fails_before_it_begins(
    tmp_path: Path, path: str, kind: str, message: str
) -> None:
    async with fetching(tmp_path) as (rig, source):
        await rig.register(events=[f"{PREFLIGHT}.{kind}"])
        callback = f"{HOOK}/once"
        [job_id] = await rig.translate(video=source.at(path), callback_url=callback, callback_id="order-7")
        job = await looked_at(rig, job_id)
        assert (job["status"], job["sequence"], job["failure_message"]) == ("failed", 2, message)
        await eventually(lambda: len(rig.sender.posts) == 2)
        assert {post.url for post in rig.sender.posts} == {HOOK, callback}, "callbacks hear of it too"
        for post in rig.sender.posts:
            data = post.event["event_data"]
            assert post.event["event_type"] == f"{PREFLIGHT}.{kind}"
            assert (data["status"], data["result"], data["message"]) == ("failed", "error", message)
            assert (data["video_translate_id"], data["callback_id"], data["sequence"]) == (job_id, "order-7", 2)


async def test_too_large_a_video_is_not_downloaded(tmp_path: Path) -> None:
    async with fetching(tmp_path, max_fetch_bytes=100) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        assert "it has more than 100 bytes" in (await looked_at(rig, job_id))["failure_message"]


async def test_no_address_inside_is_fetched_from(tmp_path: Path) -> None:
    async with fetching(tmp_path, host="0.0.0.0", api_keys="key", headers={"X-Api-Key": "key"}) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        job = await looked_at(rig, job_id)
        assert (job["status"], source.asked) == ("failed", [])
        assert "127.0.0.1 is loopback" in job["failure_message"]


async def test_without_the_setting_nothing_is_fetched(tmp_path: Path) -> None:
    async with fetching(tmp_path, fetch_videos=False) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        await rig.quiet()
        assert (source.asked, (await rig.job(job_id))["duration"]) == ([], 60)


async def test_who_says_the_length_is_believed(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"), simulation={"video_seconds": 9})
        await rig.quiet()
        assert (source.asked, (await rig.job(job_id))["duration"]) == ([], 9)


async def test_the_languages_of_one_request_share_one_look(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source):
        jobs = await rig.translate("English", "French", "German", video=source.at("/film.mp4"))
        assert [(await looked_at(rig, job_id))["duration"] for job_id in jobs] == [6, 6, 6]
        assert source.asked == ["/film.mp4"]


async def test_a_slow_source_holds_up_nobody_else(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source), videos() as slow:
        slow.content["/slow.mp4"] = FILM
        slow.may_answer.clear()
        [waiting] = await rig.translate(video=slow.at("/slow.mp4"))
        await eventually(lambda: slow.asked == ["/slow.mp4"])
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        assert (await looked_at(rig, job_id))["duration"] == 6
        assert (await rig.job(waiting))["status"] == "pending"
        slow.may_answer.set()
        assert (await looked_at(rig, waiting))["duration"] == 6


async def test_another_title_in_between_is_kept_and_a_cancelled_job_stays_so(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source):
        source.may_answer.clear()
        renamed, cancelled = await rig.translate("English", "French", video=source.at("/film.mp4"))
        await eventually(lambda: source.asked == ["/film.mp4"])
        await rig.http.patch(f"{JOBS}/{renamed}", json={"title": "New"})
        await rig.http.post(f"{JOBS}/{cancelled}/cancel")
        source.may_answer.set()
        job = await looked_at(rig, renamed)
        assert (job["title"], job["duration"], job["status"]) == ("New", 6, "pending")
        job = await rig.job(cancelled)
        assert (job["status"], job["sequence"], job["duration"]) == ("failed", 2, 60)


async def test_a_restarted_server_looks_again(tmp_path: Path) -> None:
    ids = seeded_ids()
    async with fetching(tmp_path, ids=ids) as (rig, source):
        source.may_answer.clear()
        [job_id, other] = await rig.translate("English", "French", video=source.at("/film.mp4"))
        await eventually(lambda: source.asked == ["/film.mp4"])
        clock = rig.clock
    assert [path.name for path in (tmp_path / "server.db-assets").iterdir()] == []
    async with serving(tmp_path, clock=clock, ids=ids, seconds_per_video_minute=60) as rig:
        assert (await rig.job(other))["status"] != "failed"
        job = await looked_at(rig, job_id)
        assert job["duration"] == 60, "one that does not fetch any more begins it as it was planned"
        assert job["status"] != "failed"


async def test_a_job_of_no_time_has_its_whole_life_after_the_look(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"), simulation={"progression": "immediate"})
        job = await looked_at(rig, job_id)
        assert (job["status"], job["sequence"], job["duration"]) == ("completed", 3, 6)


async def test_the_queue_counts_it_only_then(tmp_path: Path) -> None:
    async with fetching(tmp_path, workers=1, fast_workers=1, fast_lane=5) as (rig, source):
        [job_id] = await rig.translate(video=source.at("/film.mp4"))
        job = await looked_at(rig, job_id)
        assert (job["status"], job["estimated_completion_at"]) == ("running", rig.clock.now() + 6)
        assert (await rig.store.job(None, job_id)).plan.lane == 0, "6 s are none of the fast lane's"
