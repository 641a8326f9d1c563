"""The program `video-translation` as a whole: help, completion, and how fast it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.client.fake_server import FakeServer
from tests.waiting import PATIENCE
from video_translation_client.cli.program import cli

PROGRAM = [sys.executable, "-m", "video_translation_client"]


def everything() -> list[list[str]]:
    found: list[list[str]] = []

    def visit(command: object, words: list[str]) -> None:
        found.append(words)
        for name, inner in getattr(command, "commands", {}).items():
            visit(inner, [*words, name])

    visit(cli, [])
    return found


@pytest.mark.parametrize("words", everything(), ids=" ".join)
def test_every_command_has_help_and_the_shared_options(words: list[str]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    assert "completion" in words or "--json" in result.output


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete ")])
def test_completion_scripts(shell: str, mark: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert mark in result.output
    assert "_VIDEO_TRANSLATION_COMPLETE" in result.output


def test_the_shell_completes_commands() -> None:
    asked = {"_VIDEO_TRANSLATION_COMPLETE": "bash_complete", "COMP_WORDS": "video-translation sta", "COMP_CWORD": "1"}
    done = subprocess.run(
        PROGRAM, env=os.environ | asked, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.split() == ["plain,status"]


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], {"httpx", "rich.console", "uvicorn", "fastapi", "asyncio"}),
        (["status"], {"uvicorn", "fastapi"}),
    ],
)
def test_a_command_loads_only_what_it_uses(words: list[str], unwanted: set[str]) -> None:
    program = """
import sys
from video_translation_client.cli.program import cli
try:
    cli(["--base-url", "http://127.0.0.1:1", *sys.argv[1:]])
finally:
    print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "video_translation_client.cli.jobs" in done.stderr.split()
    assert unwanted & set(done.stderr.split()) == set()


def test_a_broken_pipe_is_quiet(server: FakeServer) -> None:
    server.new_job()
    reading, writing = os.pipe()
    os.close(reading)
    words = [*PROGRAM, "--base-url", server.url, "status"]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_traceback_and_deletes_its_endpoint(
    server: FakeServer, number: signal.Signals, code: int
) -> None:
    job_id = server.new_job()
    words = [*PROGRAM, "--base-url", server.url, "watch", job_id, "--mode", "webhook"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    server.wait_for(lambda: bool(server.endpoints), PATIENCE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(job_id)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (code, "")
    assert server.endpoints == {}


@pytest.mark.parametrize(
    ("age", "hint"),
    [
        ("99999999999d", "give a shorter age"),
        ("9999999d", "give a shorter age"),
        ("yesterday", "an age as 30m, 2h, 1d"),
    ],
)
def test_a_time_that_is_none_is_told_in_one_line(age: str, hint: str) -> None:
    result = CliRunner().invoke(cli, ["webhooks", "recover", "ep_1", "--since", age])
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.parametrize("words", [["--api-key", "hemlig\n"], ["--request-timeout", "inf"], ["--base-url", "http://"]])
def test_an_option_that_will_not_do_is_usage_and_shows_no_key(words: list[str]) -> None:
    result = CliRunner().invoke(cli, [*words, "status"])
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "hemlig" not in result.stderr


def test_an_endpoint_is_shown_as_the_service_tells_it(server: FakeServer) -> None:
    words = ["--base-url", server.url, "--json", "webhooks", "create", "http://localhost:1/hook"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "has_description" not in result.stdout
