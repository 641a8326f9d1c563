"""A file of this computer, translated by a real server, and back on this computer: by command and by call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import pytest

from examples.local_server import LocalServer
from tests.server.footage import clip
from tests.waiting import PATIENCE
from video_translation_client import AsyncVideoTranslationClient, DownloadError, VideoTranslationClient
from video_translation_server.testing import TranslationServer

SECONDS = 2.5
LANGUAGE = "Spanish (Spain)"
PROGRAM = [sys.executable, "-m", "video_translation_client"]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(clip(SECONDS, audio=True))
    return path


def assert_plays(path: Path, *kinds: str) -> None:
    with av.open(str(path), "r") as opened:
        assert [stream.type for stream in opened.streams] == list(kinds)
        assert (opened.duration or 0) / av.time_base == pytest.approx(SECONDS, abs=0.1)


def test_a_file_is_submitted_and_its_translation_downloaded_by_one_command(
    make_server: Callable[..., LocalServer], video: Path, tmp_path: Path
) -> None:
    server = make_server("--translation-time", "0.3")
    server.start()
    words = ["submit", str(video), "-l", LANGUAGE, "-l", "French (France)", "--download", "out", "--json"]
    done = subprocess.run(
        [*PROGRAM, "--base-url", server.url, *words],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_API_BASE"))},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [job["output_language"] for job in found] == [LANGUAGE, "French (France)"]
    for job in found:
        assert job["file"] == f"out/{job['id']}.mp4"
        assert_plays(tmp_path / job["file"], "video", "audio", "subtitle")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{job['id']}.mp4" for job in found}


@pytest.fixture
def client(translation_server: TranslationServer) -> Iterator[VideoTranslationClient]:
    with VideoTranslationClient(translation_server.url) as made:
        yield made


def test_every_file_of_a_job_comes_also_where_its_url_comes_late_or_has_expired(
    translation_server: TranslationServer, client: VideoTranslationClient, video: Path, tmp_path: Path
) -> None:
    (job,) = client.translate(video, LANGUAGE, simulation={"url_delay_seconds": 120})
    with pytest.raises(DownloadError, match="wait for its end first"):
        job.download(tmp_path)
    translation_server.complete(job.id)
    assert job.result(PATIENCE).video_url is None
    with pytest.raises(TimeoutError, match="has no URL for its video yet"):
        job.download(tmp_path, timeout=0.1)
    translation_server.advance(121)
    assert_plays(job.download(tmp_path), "video", "audio", "subtitle")
    assert_plays(job.download(tmp_path, "audio"), "audio")
    assert "-->" in job.download(tmp_path, "srt").read_text("utf-8")
    assert job.download(tmp_path, "vtt").read_text("utf-8").startswith("WEBVTT")
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(job.id)} == {
        f"{job.id}{suffix}" for suffix in (".mp4", ".m4a", ".srt", ".vtt")
    }
    with VideoTranslationClient(translation_server.url) as other:
        again = other.job(job.id)
        stale = again.refresh().video_url
        translation_server.advance(8 * 86400)
        assert httpx.get(stale or "", trust_env=False).status_code == 403
        assert again.snapshot is not None
        assert again.snapshot.video_url == stale
        assert_plays(again.download(tmp_path / "fresh.mp4"), "video", "audio", "subtitle")


class Cutting(httpx.BaseTransport):
    """Breaks the first answers of a film off after some bytes."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.ranges: list[str | None] = []
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if not request.url.path.endswith(".mp4"):
            return answer
        self.ranges.append(request.headers.get("range"))
        assert "x-api-key" not in request.headers
        if self.times > 0:
            self.times -= 1
            assert isinstance(answer.stream, httpx.SyncByteStream)
            return httpx.Response(answer.status_code, headers=answer.headers, stream=_Cut(answer.stream))
        return answer

    def close(self) -> None:
        self._inner.close()


class _Cut(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            yield piece[:1000]
            raise httpx.ReadError("cut off on purpose")

    def close(self) -> None:
        self._inner.close()


def test_a_download_that_breaks_off_goes_on_with_the_servers_own_ranges(
    translation_server: TranslationServer, video: Path, tmp_path: Path
) -> None:
    cutting = Cutting(2)
    with (
        httpx.Client(transport=cutting) as http,
        VideoTranslationClient(translation_server.url, api_key="sk_1", http_client=http) as client,
    ):
        (job,) = client.translate(video, LANGUAGE)
        translation_server.complete(job.id)
        job.result(PATIENCE)
        assert_plays(job.download(tmp_path), "video", "audio", "subtitle")
    assert cutting.ranges == [None, "bytes=1000-", "bytes=2000-"]


async def test_the_async_client_sends_and_brings_the_same(
    translation_server: TranslationServer, video: Path, tmp_path: Path
) -> None:
    async with AsyncVideoTranslationClient(translation_server.url) as client:
        asset = await client.assets.upload(video)
        assert asset.media_type == "video/mp4"
        assert asset.duration == pytest.approx(SECONDS, abs=0.1)
        (job,) = await client.translate(asset.source, LANGUAGE)
        translation_server.complete(job.id)
        await job.result(PATIENCE)
        assert_plays(await job.download(tmp_path), "video", "audio", "subtitle")
