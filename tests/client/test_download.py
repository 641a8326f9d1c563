"""`job.download`: from a host that cuts off, lies, forgets and refuses, the whole file comes, or nothing of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.conftest import NEVER, MakeClient
from tests.client.fake_server import FakeServer
from tests.client.file_host import CONTENT, FileHost, Script
from tests.waiting import PATIENCE
from video_translation_client import (
    AsyncVideoTranslationClient,
    ClientClosedError,
    DownloadError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    ServerUnreachableError,
    VideoTranslationClient,
    WaitTimeoutError,
)

KIB = 1024


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "videos"
    made.mkdir()
    return made


def completed(server: FakeServer, url: str | None, **fields: Any) -> str:
    job_id = server.new_job()
    server.move(job_id, "completed", video_url=url, **fields)
    return job_id


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_file_is_whole_in_its_folder_and_nothing_is_beside_it(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    job_id = completed(server, host.url)
    heard: list[tuple[int, int | None]] = []
    place = make_client().job(job_id).download(folder, progress=lambda come, size: heard.append((come, size)))
    assert place == folder / f"{job_id}.mp4"
    assert place.read_bytes() == CONTENT
    assert names(folder) == [place.name]
    assert heard == sorted(heard)
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    (folder / "plain").touch()
    assert place.stat().st_mode == (folder / "plain").stat().st_mode, "who may read it is as for any file"


def test_nothing_of_the_clients_goes_to_the_host_of_the_file(
    server: FakeServer, host: FileHost, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="video_translation_client")
    host.scripts = [Script(status=302, headers={"location": host.url + "&again=1"}), Script(cut=1000)]
    with (
        httpx.Client(headers={"x-api-key": "sk_http"}, cookies={"session": "sk_cookie"}, auth=("a", "sk_auth")) as http,
        VideoTranslationClient(
            *(server.url,),
            api_key="sk_client",
            default_headers={"authorization": "Bearer sk_header"},
            http_client=http,
            poll=NEVER,
            safety_net=NEVER,
        ) as client,
    ):
        client.job(completed(server, host.url)).download(folder / "talk.mp4")
    assert len(host.requests) == 3
    for _, headers in host.requests:
        assert "sk_" not in str({**headers, "cookie": headers.get("cookie", "")})
        assert headers["user-agent"].startswith("video-translation-client/")
    assert "sig_secret" not in caplog.text
    assert "broke off" in caplog.text


def test_a_connection_that_breaks_off_goes_on_where_it_was(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    host.scripts = [Script(cut=100 * KIB), Script(cut=50 * KIB)]
    client = make_client()
    place = client.job(completed(server, host.url)).download(str(folder / "talk.mp4"))
    assert place.read_bytes() == CONTENT
    first, *ranges = host.asked
    assert first is None
    starts = [int(str(part).removeprefix("bytes=").removesuffix("-")) for part in ranges]
    assert starts == sorted(starts)
    assert 0 < starts[0] <= 100 * KIB
    assert all(headers["if-range"] == '"v1"' for _, headers in host.requests[1:])
    assert client.metrics().requests["download"] == 3


@pytest.mark.parametrize("validator", [{"etag": ""}, {"etag": 'W/"v1"'}])
def test_what_cannot_be_told_to_be_the_same_file_begins_anew(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path, validator: dict[str, str]
) -> None:
    host.scripts = [Script(cut=100 * KIB, headers=validator)]
    assert make_client().job(completed(server, host.url)).download(folder).read_bytes() == CONTENT
    assert host.asked == [None, None]


def test_a_host_that_knows_no_ranges_sends_it_all_again(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    host.ranges = False
    host.scripts = [Script(cut=100 * KIB)]
    assert make_client().job(completed(server, host.url)).download(folder).read_bytes() == CONTENT
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Script(status=206, headers={"content-range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"}),
        Script(status=206, headers={"content-range": "bytes 5-9/10"}),
        Script(status=206, headers={"content-range": "nonsense"}),
        Script(status=206, headers={"etag": '"v2"'}),
        Script(status=416, headers={"content-range": "bytes */10"}),
    ],
    ids=["another place", "another size", "no place", "another file", "no such part"],
)
def test_a_part_that_does_not_fit_is_not_added(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path, answer: Script
) -> None:
    host.scripts = [Script(cut=100 * KIB), answer]
    assert make_client().job(completed(server, host.url)).download(folder).read_bytes() == CONTENT
    assert host.asked[2] is None


def test_another_file_in_its_place_is_taken_from_its_beginning(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    host.scripts = [Script(cut=100 * KIB), Script(status=200, content=b"another", headers={"etag": '"v2"'})]
    assert make_client().job(completed(server, host.url)).download(folder).read_bytes() == b"another"


@pytest.mark.parametrize("script", [Script(cut=1000), Script(claim=len(CONTENT) + 9, cut=len(CONTENT))])
def test_a_file_that_is_never_whole_is_not_there(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path, script: Script
) -> None:
    host.ranges = False
    host.scripts = [script] * 9
    with pytest.raises(ServerUnreachableError, match=r"broke off .* of \d+ bytes had come"):
        make_client(max_retries=1).job(completed(server, host.url)).download(folder)
    assert len(host.requests) == 2
    assert names(folder) == []


def test_a_part_that_ends_too_soon_is_no_whole_file(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    short = Script(status=206, claim=10, cut=10)
    host.scripts = [Script(cut=100 * KIB), short]
    assert make_client().job(completed(server, host.url)).download(folder).read_bytes() == CONTENT
    assert len(host.requests) == 3


@pytest.mark.parametrize("status", [500, 503, 429, 204])
def test_a_host_that_fails_is_asked_again_and_in_the_end_named(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path, status: int
) -> None:
    host.scripts = [Script(status=status)]
    client = make_client(max_retries=1)
    assert client.job(completed(server, host.url)).download(folder / "a.mp4").read_bytes() == CONTENT
    host.scripts = [Script(status=status)] * 9
    with pytest.raises(DownloadError, match=rf"127\.0\.0\.1:\d+ answered with {status}") as caught:
        client.job(completed(server, host.url)).download(folder / "b.mp4")
    assert (caught.value.status, caught.value.kind) == (status, "video")
    assert "sig_secret" not in str(caught.value)
    assert names(folder) == ["a.mp4"]


def test_the_hosts_own_word_for_when_to_come_back_counts(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    host.scripts = [Script(status=503, headers={"retry-after": "3600"})]
    with pytest.raises(DownloadError, match="503"):
        make_client().job(completed(server, host.url)).download(folder)
    assert len(host.requests) == 1


def test_a_host_that_leads_in_circles_or_to_a_file_of_this_computer_is_given_up(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    host.scripts = [Script(status=307, headers={"location": "/elsewhere"})] * 99
    with pytest.raises(DownloadError, match="answered with 307"):
        make_client(max_retries=0).job(completed(server, host.url)).download(folder)
    assert {path for path, _ in host.requests[1:]} == {"/elsewhere"}
    assert len(host.requests) == 6
    host.scripts = [Script(status=302, headers={"location": "file:///etc/passwd"})]
    with pytest.raises(DownloadError, match="none of HTTP"):
        make_client().job(completed(server, host.url)).download(folder)


def test_an_expired_url_is_got_anew_once_and_the_part_that_came_is_kept(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    job_id = completed(server, host.url)
    job = make_client().job(job_id)
    job.refresh()
    server.jobs[job_id]["video_url"] = host.url + "&new=1"
    asked = server.count("job")
    host.scripts = [Script(cut=100 * KIB), Script(status=403)]
    assert job.download(folder).read_bytes() == CONTENT
    assert server.count("job") == asked + 1
    assert [path.endswith("&new=1") for path, _ in host.requests] == [False, False, True]
    assert host.asked[2] is not None
    host.scripts = [Script(status=403)] * 2
    with pytest.raises(DownloadError, match="answered with 403"):
        job.download(folder, overwrite=True)
    assert server.count("job") == asked + 2
    assert names(folder) == [f"{job_id}.mp4"]
    assert host.scripts == []


def test_a_job_that_has_not_ended_or_failed_is_refused(
    server: FakeServer, make_client: MakeClient, folder: Path
) -> None:
    client, job_id = make_client(), server.new_job()
    with pytest.raises(DownloadError, match=rf"job {job_id} is pending: wait for its end first"):
        client.job(job_id).download(folder)
    server.move(job_id, "failed", failure_message="no sound")
    with pytest.raises(JobFailedError, match="no sound"):
        client.job(job_id).download(folder)
    cancelled = server.new_job()
    server.move(cancelled, "failed", cancelled_at=1.0)
    with pytest.raises(JobCancelledError):
        client.job(cancelled).download(folder)
    with pytest.raises(NotFoundError):
        client.job("vt_none").download(folder)
    assert names(folder) == []


def test_a_url_that_comes_late_is_waited_for(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    job_id = completed(server, None)
    asked: list[int] = []

    def answer() -> Any:
        asked.append(1)
        if len(asked) == 3:
            server.jobs[job_id]["video_url"] = host.url

    client = make_client()
    assert client.get_job(job_id).video_url is None
    server.overrides["job"] = answer
    assert client.job(job_id).download(folder).read_bytes() == CONTENT
    assert len(asked) == 3
    with pytest.raises(WaitTimeoutError, match="has no URL for its video yet") as caught:
        client.job(completed(server, None)).download(folder, timeout=0.05)
    assert caught.value.snapshot is not None
    assert caught.value.snapshot.status == "completed"


def test_other_files_and_those_that_there_are_not(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    job_id = completed(server, None, audio_url=host.url, srt_caption_url=host.url, vtt_caption_url=host.url)
    job = make_client().job(job_id)
    for kind, suffix in (("audio", ".m4a"), ("srt", ".srt"), ("vtt", ".vtt")):
        assert job.download(folder, kind) == folder / (job_id + suffix)  # type: ignore[arg-type]
    with pytest.raises(DownloadError, match="has no video; it has audio, srt, vtt"):
        job.download(folder)
    with pytest.raises(ValueError, match="kind must be one of video, audio, srt, vtt: 'mp3'"):
        job.download(folder, "mp3")  # type: ignore[arg-type]
    server.jobs[job_id]["audio_url"] = "file:///etc/passwd"
    with pytest.raises(DownloadError, match="none of HTTP"):
        make_client().job(job_id).download(folder / "x", "audio")


def test_what_is_there_stays_unless_told(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    place = folder / "talk.mp4"
    place.write_bytes(b"old")
    job = make_client().job(completed(server, host.url))
    with pytest.raises(FileExistsError, match="say overwrite to replace it"):
        job.download(place)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/none'"):
        job.download(folder / "none" / "talk.mp4")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        job.download(f"{folder}/none/")
    assert host.requests == []
    host.scripts = [Script(before=lambda: (folder / "new.mp4").write_bytes(b"meanwhile"))]
    with pytest.raises(FileExistsError):
        job.download(folder / "new.mp4")
    assert (folder / "new.mp4").read_bytes() == b"meanwhile"
    assert job.download(place, overwrite=True).read_bytes() == CONTENT
    assert sorted(names(folder)) == ["new.mp4", "talk.mp4"]


@pytest.mark.parametrize(("job_id", "name"), [("../../x", "_.._x.mp4"), ("...", "job.mp4"), (".hidden", "hidden.mp4")])
def test_a_jobs_id_names_no_other_folder(  # noqa: PLR0917 - fixtures
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path, job_id: str, name: str
) -> None:
    server.overrides["job"] = lambda: (200, {"data": {"id": job_id, "status": "completed", "video_url": host.url}})
    assert make_client().job(job_id).download(folder) == folder / name


def test_the_time_may_run_out_and_the_client_be_closed(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    client = make_client()
    job = client.job(completed(server, host.url))
    host.scripts = [Script(cut=10)] * 9
    with pytest.raises(WaitTimeoutError, match="was not downloaded"):
        job.download(folder, timeout=0.1)
    host.scripts = [Script(before=client.close)]
    with pytest.raises((ClientClosedError, ServerUnreachableError)):
        job.download(folder)
    with pytest.raises(ClientClosedError):
        job.download(folder)
    assert names(folder) == []


def test_what_the_callers_own_progress_raises_ends_it(
    server: FakeServer, make_client: MakeClient, host: FileHost, folder: Path
) -> None:
    def stop(_: int, __: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_client().job(completed(server, host.url)).download(folder, progress=stop)
    assert names(folder) == []


async def test_the_async_client_does_the_same(server: FakeServer, host: FileHost, folder: Path) -> None:
    job_id = completed(server, host.url + "&old=1")
    host.scripts = [Script(cut=100 * KIB), Script(status=403)]
    heard: list[tuple[int, int | None]] = []
    async with AsyncVideoTranslationClient(server.url, api_key="sk_1", poll=NEVER, safety_net=NEVER) as client:
        job = client.job(job_id)
        place = await job.download(folder, progress=lambda come, size: heard.append((come, size)))
        assert (place, heard[-1]) == (folder / f"{job_id}.mp4", (len(CONTENT), len(CONTENT)))
        with pytest.raises(FileExistsError):
            await job.download(folder)
        host.scripts = [Script(cut=10)] * 9
        with pytest.raises(WaitTimeoutError):
            await job.download(folder / "other.mp4", timeout=0.1)
        with pytest.raises(DownloadError, match="is pending"):
            await client.job(server.new_job()).download(folder / "other.mp4")
    assert [headers.get("x-api-key") for _, headers in host.requests if "x-api-key" in headers] == []
    assert names(folder) == [place.name]
    assert place.read_bytes() == CONTENT


async def test_a_download_that_is_cancelled_leaves_nothing(server: FakeServer, host: FileHost, folder: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        go_on.wait(PATIENCE)

    host.scripts = [Script(before=hang)]
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        running = asyncio.create_task(client.job(completed(server, host.url)).download(folder))
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        assert len(names(folder)) == 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        go_on.set()
    assert names(folder) == []
