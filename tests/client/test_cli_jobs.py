"""`video-translation submit`, `status`, `watch`: what they send, print and exit with."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.client.fake_server import FakeServer
from tests.waiting import PATIENCE
from video_translation_client.cli.program import cli

Run = Callable[..., Result]
URL = "https://example.com/talk.mp4"


@pytest.fixture
def run(server: FakeServer) -> Run:
    def invoke(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--base-url", server.url, *words])

    return invoke


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def ending(server: FakeServer) -> Iterator[Callable[[str], None]]:
    """Have each job that is created end at once as told."""
    threads: list[threading.Thread] = []

    def end_as(status: str) -> None:
        def move() -> None:
            with server.changed:
                assert server.changed.wait_for(lambda: bool(server.jobs), PATIENCE)
                for job_id in server.jobs:
                    server.move(job_id, "running", progress=50)
                    server.move(job_id, status, progress=100)

        threads.append(threading.Thread(target=move))
        threads[-1].start()

    yield end_as
    for thread in threads:
        thread.join(PATIENCE)


def test_submit_makes_a_job_per_language_and_sends_what_was_said(server: FakeServer, run: Run) -> None:
    result = run(
        *("submit", URL, "-l", "French", "-l", "German", "--title", "Talk", "--callback-id", "42"),
        *("--option", "speaker_num=2", "--simulate", "outcome=failed,duration=3,error=disk full"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["vt_1  French  pending", "vt_2  German  pending"]
    assert server.bodies[-1][1] == {
        "video": {"type": "url", "url": URL},
        "output_languages": ["French", "German"],
        "title": "Talk",
        "callback_id": "42",
        "speaker_num": 2,
        "simulation": {"outcome": "failed", "duration_seconds": 3, "error_message": "disk full"},
    }


def test_submit_takes_an_asset(server: FakeServer, run: Run) -> None:
    assert run("submit", "asset:abc", "-l", "French").exit_code == 0
    assert server.bodies[-1][1]["video"] == {"type": "asset_id", "asset_id": "abc"}


def test_submit_uploads_a_file(tmp_path: Path, run: Run, server: FakeServer) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"x")
    result = run("submit", str(video), "-l", "French")
    assert (result.exit_code, result.stderr) == (0, f"uploading {video}\n")
    assert [upload.content for upload in server.uploads] == [b"x"]
    assert server.bodies[-1][1]["video"] == {"type": "asset_id", "asset_id": "asset_1"}


def test_submit_says_what_is_wrong_with_a_file(tmp_path: Path, run: Run, server: FakeServer) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, code, words in (
        ("empty.mp4", 2, "is empty"),
        ("none.mp4", 1, "there is no file"),
        ("", 1, "is no file: name one"),
    ):
        result = run("submit", f"{tmp_path}/{name}", "-l", "French")
        assert (result.exit_code, words in result.stderr) == (code, True), result.output
    result = run("submit", "ftp://example.com/talk.mp4", "-l", "French")
    assert (result.exit_code, "no asset:ID and no file" in result.stderr) == (2, True)
    assert server.headers == []


@pytest.mark.parametrize("words", [("--option", "speaker_num"), ("--simulate", "=3"), ("--wait", "--timeout", "0")])
def test_wrong_words_are_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert run("submit", URL, "-l", "French", *words).exit_code == 2


def test_wrong_usage_is_an_object_too_for_programs(run: Run) -> None:
    result = run("submit", URL, "-l", "French", "--simulate", "x", "--json")
    assert (result.exit_code, json.loads(result.stderr)["error"]["reason"]) == (2, "usage")


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1)])
def test_submit_and_wait_exits_by_outcome(run: Run, ending: Callable[[str], None], status: str, code: int) -> None:
    ending(status)
    result = run("submit", URL, "-l", "French", "--wait", "--json")
    assert result.exit_code == code, result.output
    (job,) = lines(result)
    assert (job["id"], job["status"], job["output_language"]) == ("vt_1", status, "French")
    assert result.stderr == ""


def test_submit_and_wait_gives_up_when_told(run: Run) -> None:
    result = run("submit", URL, "-l", "French", "--wait", "--timeout", "0.01", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stderr)["error"]["reason"] == "timeout"
    assert "video-translation watch vt_1" in result.stderr


def test_status_shows_the_newest_or_the_named(server: FakeServer, run: Run) -> None:
    first, second = server.new_job(), server.new_job(output_language="German")
    assert lines(run("status", "--json"))[0]["id"] == second
    assert [job["id"] for job in lines(run("--json", "status", first, second, first))] == [first, second]
    fields = dict(line.split(maxsplit=1) for line in run("status", first).stdout.splitlines())
    assert (fields["id"], fields["output_language"], fields["title"]) == (first, "French", "-")


def test_status_exits_with_1_when_a_job_failed(server: FakeServer, run: Run) -> None:
    good, bad = server.new_job(), server.new_job()
    server.move(bad, "failed", failure_message="no sound")
    result = run("status", good, bad)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].endswith("failed  no sound")


def test_watch_prints_each_change_and_ends_with_the_jobs(
    server: FakeServer, run: Run, ending: Callable[[str], None]
) -> None:
    job_id = server.new_job()
    ending("completed")
    result = run("watch", job_id, "--json")
    assert result.exit_code == 0, result.output
    found = lines(result)
    assert found[-1]["status"] == "completed"
    assert [job["sequence"] for job in found] == sorted({job["sequence"] for job in found})


def test_a_job_that_is_not_there_is_told_in_one_line(run: Run) -> None:
    for words in (("status", "nope"), ("watch", "nope")):
        result = run(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1


def test_a_server_that_is_not_there_is_exit_code_4(server: FakeServer, run: Run) -> None:
    server.stop()
    result = run("status", "--json")
    assert result.exit_code == 4
    assert json.loads(result.stderr)["error"]["reason"] == "server_unreachable"


def test_what_a_server_says_cannot_steer_the_terminal(server: FakeServer, run: Run) -> None:
    job_id = server.new_job(title="\x1b[2J\nx", output_language="\x1b[31m")
    for words in (("status", job_id), ("status", job_id, server.new_job())):
        assert "\x1b" not in run(*words).output


def test_the_key_comes_from_the_flag_or_the_environment(
    server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.new_job()
    run("status", "--api-key", "flag")
    assert server.headers[-1]["x-api-key"] == "flag"
    monkeypatch.setenv("HEYGEN_API_KEY", "variable")
    monkeypatch.setenv("VIDEO_TRANSLATION_BASE_URL", server.url)
    assert CliRunner().invoke(cli, ["status"]).exit_code == 0
    assert server.headers[-1]["x-api-key"] == "variable"
