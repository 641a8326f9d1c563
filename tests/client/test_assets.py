"""`client.assets`: what is refused before anything is sent, what is sent, and that it is read anew for each try."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.conftest import NEVER, MakeClient
from tests.client.fake_server import FakeServer, error
from video_translation_client import (
    Asset,
    AsyncVideoTranslationClient,
    PayloadTooLargeError,
    ServerUnreachableError,
    VideoTranslationClient,
)

MIB = 1024 * 1024
CONTENT = b"\x00--boundary\r\n" * 20_000


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "talk é.mp4"
    path.write_bytes(CONTENT)
    return path


def failing(times: int, answer: Any) -> Callable[[], Any]:
    """Answer the first requests like this, and those that follow as usual."""
    left = [answer] * times
    return lambda: left.pop() if left else None


def test_a_file_becomes_an_asset(server: FakeServer, make_client: MakeClient, video: Path) -> None:
    heard: list[tuple[int, int]] = []
    asset = make_client(api_key="sk_1").assets.upload(video, progress=lambda sent, size: heard.append((sent, size)))
    assert asset == Asset("asset_1", "video/mp4", video.stat().st_size)
    assert asset.source == {"type": "asset_id", "asset_id": "asset_1"}
    (upload,) = server.uploads
    assert (upload.name, upload.media_type, upload.content) == (video.name, "video/mp4", video.read_bytes())
    assert server.headers[-1]["x-api-key"] == "sk_1"
    assert server.headers[-1]["idempotency-key"]
    assert heard == sorted(heard)
    assert len(heard) > 3
    assert heard[-1] == (asset.size, asset.size)


async def test_the_async_client_sends_the_same(server: FakeServer, video: Path) -> None:
    heard: list[tuple[int, int]] = []
    server.overrides["upload"] = failing(1, error(503, "internal_error"))
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        asset = await client.assets.upload(str(video), progress=lambda sent, size: heard.append((sent, size)))
        raw = await client.with_raw_response.upload_asset(video)
    assert (asset.id, raw.result.id, raw.status) == ("asset_1", "asset_2", 200)
    assert [upload.content for upload in server.uploads] == [CONTENT] * 2
    assert heard.count((asset.size or 0, asset.size or 0)) >= 2, "each try reads it to its end"


def test_each_try_reads_the_file_from_its_beginning_under_one_key(
    server: FakeServer, make_client: MakeClient, video: Path
) -> None:
    server.overrides["upload"] = failing(2, error(503, "internal_error"))
    make_client().assets.upload(video)
    assert [upload.content for upload in server.uploads] == [video.read_bytes()]
    lengths = [headers["content-length"] for headers in server.headers]
    assert len(lengths) == 3
    assert len(set(lengths)) == 1
    assert len({headers["idempotency-key"] for headers in server.headers}) == 1


def test_a_file_that_is_gone_before_the_next_try_is_a_missing_file(
    server: FakeServer, make_client: MakeClient, video: Path
) -> None:
    def remove() -> Any:
        video.unlink()
        return error(503, "internal_error")

    server.overrides["upload"] = remove
    with pytest.raises(FileNotFoundError):
        make_client().assets.upload(video)


def test_what_cannot_be_uploaded_is_refused_before_anything_is_sent(
    server: FakeServer, make_client: MakeClient, tmp_path: Path
) -> None:
    empty, large = tmp_path / "empty.mp4", tmp_path / "large.mp4"
    empty.touch()
    with large.open("wb") as file:
        file.truncate(40 * MIB)
    upload = make_client().assets.upload
    for path, kind, words in (
        (tmp_path / "none.mp4", FileNotFoundError, "there is no file .*none.mp4"),
        (tmp_path, IsADirectoryError, "is no file"),
        (empty, ValueError, "is empty"),
        (large, ValueError, r"has 40.0 MiB, and the service takes 32 MiB: .* give its URL"),
    ):
        with pytest.raises(kind, match=words):
            upload(path)
        with pytest.raises(kind, match=words):
            make_client().translate(path, ["French"])
    assert server.headers == []


def test_a_service_that_takes_less_says_so(server: FakeServer, make_client: MakeClient, video: Path) -> None:
    server.overrides["upload"] = lambda: error(413, "request_too_large", "the file is larger than 9 bytes")
    with pytest.raises(PayloadTooLargeError, match="larger than 9 bytes"):
        make_client().assets.upload(video)
    assert server.count("upload") == 1


class Swallowing(httpx.BaseTransport):
    """Takes what is sent piece by piece, and keeps nothing of it."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.sent = 0
        self.timeouts: list[dict[str, float]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.timeouts.append(request.extensions["timeout"])
        assert isinstance(request.stream, httpx.SyncByteStream)
        self.sent = sum(len(piece) for piece in request.stream)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(32 * MIB)
    swallowing = Swallowing(httpx.Response(200, json={"data": {"id": "asset_9", "name": "large"}}))
    with (
        httpx.Client(transport=swallowing) as http,
        VideoTranslationClient("http://localhost:1", http_client=http) as client,
    ):
        tracemalloc.start()
        asset = client.assets.upload(large)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert swallowing.sent > 32 * MIB
    assert peak < 4 * MIB
    assert (asset.id, asset.extra) == ("asset_9", {"name": "large"})


def test_an_upload_has_more_time_than_other_calls_and_what_is_said_wins(video: Path) -> None:
    swallowing = Swallowing(httpx.ConnectError("away"))
    with (
        httpx.Client(transport=swallowing) as http,
        VideoTranslationClient("http://localhost:1", http_client=http, max_retries=0) as client,
    ):
        for upload in (client.assets.upload, client.with_options(timeout=7).assets.upload):
            with pytest.raises(ServerUnreachableError):
                upload(video)
        with pytest.raises(ServerUnreachableError):
            client.assets.upload(video, timeout=3)
    assert [(times["pool"], times["read"], times["write"]) for times in swallowing.timeouts] == [
        (600.0, 60.0, 60.0),
        (7.0, 7.0, 7.0),
        (3.0, 3.0, 3.0),
    ]


def test_a_path_is_uploaded_and_its_asset_translated(server: FakeServer, make_client: MakeClient, video: Path) -> None:
    subtitles = video.with_name("talk.srt")
    subtitles.write_text("1")
    (job,) = make_client().translate(video, "French", srt=subtitles, idempotency_key="order-17")
    assert job.snapshot is not None
    assert job.snapshot.output_language == "French"
    assert server.bodies[-1][1] == {
        "video": {"type": "asset_id", "asset_id": "asset_1"},
        "output_languages": ["French"],
        "srt": {"type": "asset_id", "asset_id": "asset_2"},
    }
    keys = [headers["idempotency-key"] for headers in server.headers if "idempotency-key" in headers]
    assert keys == ["order-17:file0", "order-17:file1", "order-17"]


def test_text_is_never_taken_for_a_file(server: FakeServer, make_client: MakeClient, video: Path) -> None:
    client = make_client()
    with pytest.raises(ValueError, match=r"a file on this computer: pass pathlib.Path"):
        client.translate(str(video), ["French"])
    client.translate("talk.mp4", ["French"])  # whatever the service makes of it
    assert server.uploads == []
    assert server.bodies[-1][1]["video"] == {"type": "url", "url": "talk.mp4"}


async def test_the_async_client_uploads_a_path_too(server: FakeServer, video: Path) -> None:
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        (job,) = await client.translate(video, ["French"])
        raw = await client.with_raw_response.translate(video, ["German"])
    assert job.id == "vt_1"
    assert [one.id for one in raw.result] == ["vt_2"]
    assert [body["video"]["asset_id"] for name, body in server.bodies if name == "translate"] == ["asset_1", "asset_2"]
