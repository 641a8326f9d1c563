"""An uploaded video on its way through a server in a test's hand: probed, translated, and its files downloaded."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import httpx
import pytest

from tests.server.footage import clip
from video_translation_server.testing import TranslationServer

JOBS = "/v3/video-translations"
SECONDS = 4.5
PATIENCE = 40
"""Real seconds: a film is made by a process of its own, whose turn may come late on a busy machine."""


def fetched(url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.request(method, url, headers=headers, timeout=PATIENCE, trust_env=False)


@pytest.fixture
def api(translation_server: TranslationServer) -> Any:
    with httpx.Client(base_url=translation_server.url, timeout=PATIENCE, trust_env=False) as client:
        yield client


def upload(api: httpx.Client, content: bytes) -> dict[str, Any]:
    answer = api.post("/v3/assets", files={"file": ("talk.mp4", content, "video/mp4")})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def translated(api: httpx.Client, server: TranslationServer, **fields: Any) -> dict[str, Any]:
    """The resource of a completed translation of an uploaded film into Spanish."""
    asset = upload(api, clip(SECONDS, audio=True))
    video = {"type": "asset_id", "asset_id": asset["asset_id"]}
    answer = api.post(JOBS, json={"video": video, "output_languages": ["Spanish (Spain)"], **fields})
    [job_id] = answer.json()["data"]["video_translation_ids"]
    server.advance(60)
    data: dict[str, Any] = api.get(f"{JOBS}/{job_id}").json()["data"]
    assert data["status"] == "completed"
    return data


def seconds_of(text: str) -> float:
    hours, minutes, seconds = text.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_what_is_uploaded_can_be_downloaded_translated(
    api: httpx.Client, translation_server: TranslationServer, tmp_path: Path
) -> None:
    job = translated(api, translation_server, title="Keynote")
    assert job["duration"] == pytest.approx(SECONDS, abs=0.1)
    film = httpx.get(job["video_url"])
    assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(film.content), "r") as opened:
        assert [stream.codec_context.name for stream in opened.streams] == ["h264", "aac", "mov_text"]
        assert (opened.duration or 0) / av.time_base == pytest.approx(job["duration"], abs=0.1)
        assert opened.metadata["title"] == "Keynote (Spanish (Spain))"
    with av.open(io.BytesIO(httpx.get(job["audio_url"]).content), "r") as opened:
        assert [stream.type for stream in opened.streams] == ["audio"]
        assert (opened.duration or 0) / av.time_base == pytest.approx(job["duration"], abs=0.1)
    path = tmp_path / "film.mp4"
    path.write_bytes(film.content)
    probe = shutil.which("ffprobe")
    if probe is not None:
        command = [probe, "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", str(path)]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert (seen.stdout.split(), seen.stderr) == (["h264", "aac", "mov_text"], "")


def test_the_captions_parse_and_end_with_the_video(api: httpx.Client, translation_server: TranslationServer) -> None:
    job = translated(api, translation_server)
    srt = httpx.get(job["srt_caption_url"]).content.decode("utf-8")
    vtt = httpx.get(job["vtt_caption_url"]).content.decode("utf-8")
    assert vtt.startswith("WEBVTT\n\n")
    for text in (srt, vtt):
        times = re.findall(r"^([\d:,.]+) --> ([\d:,.]+)$", text, re.MULTILINE)
        assert seconds_of(times[0][0]) == 0
        assert seconds_of(times[-1][1]) == pytest.approx(job["duration"], abs=0.01)
        assert "Spanish (Spain)" in text


def test_a_download_that_broke_off_goes_on_where_it_stopped(
    api: httpx.Client, translation_server: TranslationServer
) -> None:
    url = translated(api, translation_server)["video_url"]
    first = httpx.get(url, headers={"Range": "bytes=0-999"})
    assert (first.status_code, len(first.content)) == (206, 1000)
    again = {"Range": "bytes=1000-", "If-Range": first.headers["etag"]}
    rest = httpx.get(url, headers=again)
    assert rest.status_code == 206
    assert first.content + rest.content == httpx.get(url).content
    assert first.headers["content-range"] == f"bytes 0-999/{1000 + len(rest.content)}"


def test_a_url_dies_with_the_virtual_clock_and_a_new_one_is_read(
    api: httpx.Client, translation_server: TranslationServer
) -> None:
    job = translated(api, translation_server)
    translation_server.advance(7 * 86400 + 1)
    dead = httpx.get(job["video_url"])
    assert (dead.status_code, dead.json()["error"]["code"]) == (403, "forbidden")
    fresh = api.get(f"{JOBS}/{job['id']}").json()["data"]["video_url"]
    assert httpx.head(fresh).status_code == 200


class _Film(BaseHTTPRequestHandler):
    """One film at /film.mp4, by way of /moved."""

    def do_GET(self) -> None:
        content = clip(SECONDS)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/film.mp4")
            self.end_headers()
        elif self.path == "/film.mp4":
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        else:
            self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the library's name)
        """Say nothing."""


@pytest.fixture
def source() -> Iterator[str]:
    """The URL of a server of videos."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Film) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_clock_waits_until_a_video_at_a_url_has_been_looked_at(source: str, tmp_path: Path) -> None:
    settings = {"fetch_videos": True, "seconds_per_video_minute": 60, "translation_time": "0-0"}
    with (
        TranslationServer(tmp_path, **settings) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as api,
    ):
        jobs = []
        for path in ("/moved", "/none.mp4"):
            body = {"video": {"type": "url", "url": source + path}, "output_languages": ["English"]}
            jobs += api.post(JOBS, json=body).json()["data"]["video_translation_ids"]
        server.advance(SECONDS - 1)
        good, bad = [api.get(f"{JOBS}/{job_id}").json()["data"] for job_id in jobs]
        assert (good["status"], good["duration"]) == ("running", SECONDS)
        assert (bad["status"], bad["failure_message"][-14:]) == ("failed", "it answers 404")
        server.advance(1)
        assert api.get(f"{JOBS}/{jobs[0]}").json()["data"]["status"] == "completed"
        events = api.get("/v3/webhooks/events", params={"limit": 100}).json()["data"]
        assert "video_translate.preflight.download_failed" in {event["event_type"] for event in events}


def test_what_is_no_video_is_refused_at_the_submission(api: httpx.Client) -> None:
    asset = upload(api, b"these are words and no film")
    assert (asset["mime_type"], asset["duration"]) == ("application/octet-stream", None)
    video = {"type": "asset_id", "asset_id": asset["asset_id"]}
    answer = api.post(JOBS, json={"video": video, "output_languages": ["English"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "video.asset_id")
