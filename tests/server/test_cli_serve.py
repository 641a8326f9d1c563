"""`serve`, as a process: what it says, how it refuses, how it ends."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.commands import invoked
from tests.server.process import PROMPT, Server, ran, started, started_by_a_user
from tests.server.rig import ENDPOINTS, JOBS, VIDEO
from video_translation_server.serve import bind
from video_translation_server.settings import Settings


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, a message without a traceback, and nothing on stdout that a script could take for success."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: "), result.stderr
    for word in words:
        assert word in result.stderr


@contextlib.contextmanager
def silent_receiver() -> Iterator[tuple[str, socket.socket]]:
    """A URL whose server takes connections and never answers, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook", listening


def test_the_first_line_is_where_it_listens(tmp_path: Path) -> None:
    with started_by_a_user(folder=tmp_path) as server:
        assert server.first_line == f"Listening on http://127.0.0.1:{server.port}\n"
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"{server.url}/status", trust_env=False).json()["result"] == "pending"
        server.end()
        assert server.process.stdout is not None
        assert server.process.stdout.read() == "", "the log goes to stderr"
        assert (tmp_path / "video-translation.db").exists(), "the default store"
        assert (tmp_path / "video-translation.db").stat().st_mode & 0o077 == 0, "it holds secrets"


def test_a_busy_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(ran("serve", "--port", str(port), folder=tmp_path), f"port {port}", "in use", "--port")
    assert list(tmp_path.iterdir()) == [], "before anything else has begun"


def test_a_port_that_was_bound_cannot_be_bound_again() -> None:
    with bind(Settings(port=0)) as first, pytest.raises(OSError, match="in use"):
        bind(Settings(port=first.getsockname()[1])).close()


def test_a_host_that_is_not_ours_is_told(tmp_path: Path) -> None:
    result = ran("serve", "--host", "192.0.2.1", "--api-keys", "k", "--port", "0", folder=tmp_path)
    refused(result, "192.0.2.1", "--host")


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    for name, content in (("notes.txt", b"dear diary"), ("big.bin", b"x" * 100_000)):
        file = tmp_path / name
        file.write_bytes(content)
        refused(ran("serve", "--port", "0", "--store", str(file), folder=tmp_path), name, "not a database", "--store")
        assert file.read_bytes() == content


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    before = file.read_bytes()
    refused(ran("serve", "--port", "0", "--store", str(file), folder=tmp_path), "another program", "--store")
    assert file.read_bytes() == before


def test_a_newer_database_is_left_as_it_is(tmp_path: Path) -> None:
    with started("--start-job", "false", folder=tmp_path) as server:
        assert server.end() < PROMPT
    file = tmp_path / "video-translation.db"
    with contextlib.closing(sqlite3.connect(file)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.read_bytes()
    refused(ran("serve", "--port", "0", folder=tmp_path), "schema version 99", "upgrade")
    assert file.read_bytes() == before


def test_a_database_in_use_is_told_and_its_server_goes_on(tmp_path: Path) -> None:
    with started(folder=tmp_path) as server:
        refused(ran("serve", "--port", "0", folder=tmp_path), "in use by another server", "--store")
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "http"], ["port", "--port", "'http'"]),
        (["--port", "70000"], ["--port", "65535"]),
        (["--translation-time", "fast"], ["translation_time", "--translation-time", "'fast'"]),
        (["--translation-time", "15-5"], ["translation_time", "15-5"]),
        (["--error-rate", "2"], ["error_rate", "--error-rate", "'2'"]),
        (["--start-job", "perhaps"], ["start_job", "--start-job", "'perhaps'"]),
        (["--allow-targets", "everywhere"], ["allow_targets", "--allow-targets", "CIDR"]),
        (["--retry-delays", "5,soon"], ["retry_delays", "--retry-delays", "'soon'"]),
        (["--lease", "5"], ["lease", "attempt_timeout"]),
        (["--log-level", "loud"], ["--log-level", "'loud'"]),
        (["--port", "x", "--seed", "y"], ["--port", "--seed"]),
        (["--host", "0.0.0.0"], ["--api-keys", "0.0.0.0"]),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, list) else None,
)
def test_a_bad_flag_is_named(flags: list[str], words: list[str]) -> None:
    """Refused before anything of the server is loaded, so that no process of its own is needed to see it."""
    result = invoked("serve", *flags)
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(line.startswith("error: ") for line in result.stderr.splitlines())
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--log-file", "missing/server.log", ["missing/server.log", "--log-file"]),
        ("--store", "missing/server.db", ["missing/server.db", "--store"]),
        ("--store", "mongodb://here", ["mongodb", "sqlite:///"]),
        ("--ca-file", "missing.pem", ["missing.pem"]),
    ],
)
def test_a_flag_that_cannot_work_here_is_named(tmp_path: Path, flag: str, value: str, words: list[str]) -> None:
    refused(ran("serve", "--port", "0", flag, value, folder=tmp_path), *words)


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    result = ran("serve", "--colour", "red", folder=tmp_path)
    assert result.returncode == 2
    assert "--colour" in result.stderr


def test_a_bad_variable_is_named_too() -> None:
    for variable, value, flag in (("TRANSLATION_TIME", "fast", "--translation-time"), ("VTS_PORT", "http", "--port")):
        result = invoked("serve", **{variable: value})
        assert result.exit_code == 2
        assert flag in result.stderr
        assert repr(value) in result.stderr


def test_keys_are_not_repeated_in_a_refusal(tmp_path: Path) -> None:
    result = ran("serve", "--api-keys", "sesame", "--port", "http", folder=tmp_path)
    refused(result, "--port")
    assert "sesame" not in result.stderr


def ended_job(server: Server, job_id: str | None = None) -> dict[str, object]:
    """The job at its end; long polling is not there yet, so it is asked for again and again."""
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for _ in range(2000):
            found: dict[str, object] = http.get("/status", params=job_id and {"video_translation_id": job_id}).json()
            if found["result"] != "pending":
                return found
    raise AssertionError(found)


def test_variables_set_what_flags_do_not(tmp_path: Path) -> None:
    variables = {"TRANSLATION_TIME": "0", "ERROR_RATE": "1", "VTS_STORE": "named.db", "VTS_LOG_FORMAT": "json"}
    with started(folder=tmp_path, **variables) as server:
        assert ended_job(server)["result"] == "error"
        assert (tmp_path / "named.db").exists()
        server.end()
        assert all(json.loads(line)["timestamp"] for line in server.log().splitlines())


def test_a_flag_beats_a_variable(tmp_path: Path) -> None:
    variables = {"TRANSLATION_TIME": "3600", "ERROR_RATE": "1", "VTS_PORT": "1"}
    with started("--translation-time", "0", "--error-rate", "0", folder=tmp_path, **variables) as server:
        assert ended_job(server)["result"] == "completed"


def test_our_own_variable_beats_the_short_name(tmp_path: Path) -> None:
    variables = {"VTS_TRANSLATION_TIME": "0", "TRANSLATION_TIME": "3600"}
    with started(folder=tmp_path, **variables) as server:
        assert ended_job(server)["result"] in ("completed", "error")


def test_the_log_goes_to_a_file_too(tmp_path: Path) -> None:
    with started("--log-file", "server.log", "--translation-time", "0", folder=tmp_path) as server:
        ended_job(server)
        server.end()
        text = (tmp_path / "server.log").read_text(encoding="utf-8")
        assert text == server.log()
    lines = text.splitlines()
    assert all(re.match(r"\S+Z - (INFO|WARNING) - ", line) for line in lines)
    for word in ("listening", "transition", "request", "stopped"):
        assert any(f" - INFO - {word}" in line for line in lines)


def test_with_keys_it_listens_to_the_network(tmp_path: Path) -> None:
    # Bound to 127.0.0.2: not every interface of the machine that tests run on.
    with started("--host", "127.0.0.2", "--api-keys", "sesame", folder=tmp_path) as server:
        assert httpx.get(f"{server.url}/status", trust_env=False).status_code == 401
        answer = httpx.get(f"{server.url}/status", headers={"X-Api-Key": "sesame"}, trust_env=False)
        assert answer.status_code == 200
        server.end()
        assert "sesame" not in server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    with started_by_a_user("--stop-timeout", "60", "--drain-timeout", "60", folder=tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert server.end(number) < PROMPT
        assert server.process.returncode == 0
        log = server.log()
        assert log.rstrip().endswith("stopped")
        assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_in_time_with_a_request_held_open_and_an_attempt_in_flight(tmp_path: Path, number: int) -> None:
    with silent_receiver() as (url, receiver), started("--start-job", "false", folder=tmp_path) as server:
        httpx.post(f"{server.url}{ENDPOINTS}", json={"url": url}, trust_env=False).raise_for_status()
        body = {"video": VIDEO, "output_languages": ["English"]}
        httpx.post(f"{server.url}{JOBS}", json=body, trust_env=False).raise_for_status()
        attempt, _ = receiver.accept()
        with attempt, socket.create_connection(("127.0.0.1", server.port)) as held:
            assert attempt.recv(4) == b"POST"
            head = (
                f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            )
            held.sendall(f"{head}\r\n{{".encode())
            # Answered on another connection: by now the server has read what was sent before.
            assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
            settings = Settings()
            # First the request gets its time, then the attempt; the rest is for a busy machine, and far below the
            # 10 s that the attempt would take if nobody ended it.
            assert server.end(number) < settings.stop_timeout + settings.drain_timeout + 5
            held.settimeout(5)
            answer = held.makefile("rb").read().decode()
            assert answer.startswith("HTTP/1.1 503 "), "the caller is told that it may try again"
            assert "x-request-id: req_" in answer
        assert server.process.returncode == 0
        log = server.log()
        assert "Traceback" not in log, log
        assert " - INFO - attempt " not in log
    with started("--start-job", "false", folder=tmp_path) as server:
        found = httpx.get(f"{server.url}{JOBS}", trust_env=False).json()["data"]
        assert len(found) == 1, "the half-sent request left nothing"


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with started("--translation-time", "3600", folder=tmp_path) as server:
        first = httpx.get(f"{server.url}/status", trust_env=False).json()
        server.end(signal.SIGKILL)
    with started("--translation-time", "3600", folder=tmp_path) as server:
        assert httpx.get(f"{server.url}/status", trust_env=False).json() == first
