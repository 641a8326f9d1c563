"""`video-translation download`, and `--download`: where files go, what is printed, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.client.fake_server import Answer, FakeServer
from tests.client.file_host import CONTENT, FileHost, Script
from video_translation_client.cli.program import cli

Run = Callable[..., Result]
URL = "https://example.com/talk.mp4"


@pytest.fixture
def run(server: FakeServer) -> Run:
    def invoke(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--base-url", server.url, *words])

    return invoke


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as made:
        yield made


@pytest.fixture
def ended(server: FakeServer, host: FileHost) -> None:
    """Have each job be completed as soon as it is made, but those into German: they fail."""
    server.streams = True

    def translate() -> Answer:
        with server.lock:
            status, answer = server._translate("", {}, server.bodies[-1][1])
            for job_id in answer["data"]["video_translation_ids"]:
                failed = server.jobs[job_id]["output_language"] == "German"
                server.move(job_id, "failed" if failed else "completed", video_url=None if failed else host.url)
        return status, answer

    server.overrides["translate"] = translate


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_file_is_downloaded_to_a_place_or_a_folder(
    server: FakeServer, run: Run, host: FileHost, tmp_path: Path
) -> None:
    job_id = server.new_job()
    server.move(job_id, "completed", video_url=host.url, srt_caption_url=host.url)
    place = tmp_path / "talk.mp4"
    assert run("download", job_id, str(place)).stdout == f"{place}\n"
    assert place.read_bytes() == CONTENT
    again = run("download", job_id, str(place))
    assert (again.exit_code, "say overwrite" in again.stderr) == (1, True)
    assert run("download", job_id, str(place), "--overwrite").exit_code == 0
    (record,) = lines(run("download", job_id, str(tmp_path), "--kind", "srt", "--json"))
    assert record == {"id": job_id, "kind": "srt", "file": f"{tmp_path}/{job_id}.srt", "size": len(CONTENT)}
    audio = run("download", job_id, str(tmp_path), "--kind", "audio", "--json")
    assert (audio.exit_code, json.loads(audio.stderr)["error"]["reason"]) == (1, "download_failed")
    assert run("download", server.new_job(), str(tmp_path)).exit_code == 1
    host.scripts = [Script(cut=10)] * 99
    assert run("download", job_id, f"{tmp_path}/x", "--timeout", "0.1").exit_code == 3


@pytest.mark.usefixtures("ended")
def test_submit_brings_what_has_completed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "videos"
    result = run("submit", URL, "-l", "French", "-l", "German", "--download", str(folder), "--json")
    assert result.exit_code == 1, result.output
    french, german = lines(result)
    assert (french["status"], french["file"]) == ("completed", f"{folder}/{french['id']}.mp4")
    assert (german["status"], "file" in german) == ("failed", False)
    assert [path.read_bytes() for path in folder.iterdir()] == [CONTENT]
    watched = run("watch", french["id"], "--download", str(folder), "--overwrite")
    assert watched.exit_code == 0, watched.output
    assert watched.stdout.rstrip().endswith(f"{folder}/{french['id']}.mp4")


@pytest.mark.usefixtures("ended")
def test_a_video_that_does_not_come_keeps_no_other_from_coming(run: Run, host: FileHost, tmp_path: Path) -> None:
    host.scripts = [Script(status=404)] * 2
    result = run("submit", URL, "-l", "French", "-l", "Polish", "--download", str(tmp_path), "--json")
    assert result.exit_code == 1
    french, polish = lines(result)
    assert ("file" in french, polish["file"]) == (False, f"{tmp_path}/{polish['id']}.mp4")
    assert json.loads(result.stderr)["error"]["reason"] == "download_failed"
    assert french["id"] in result.stderr


def test_no_job_is_started_for_a_folder_that_is_none(run: Run, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("submit", URL, "-l", "French", "--download", str(tmp_path / "file")).exit_code == 2
    assert run("submit", URL, "-l", "French", "--download", str(tmp_path / "file" / "x")).exit_code == 1
    assert server.bodies == []
