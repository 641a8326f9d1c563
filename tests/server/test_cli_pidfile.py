"""The pid file: its lock says who runs, whatever is written in it; nobody else is ever ended."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.server.commands import invoked, refusal, told
from tests.waiting import PATIENCE
from video_translation_server.cli.exits import Refusal
from video_translation_server.cli.pidfile import PidFile, Running, until


@contextmanager
def bystander(stdout: IO[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that has nothing to do with us, and goes on until its stdin ends."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE)


@pytest.fixture
def instance(tmp_path: Path) -> PidFile:
    return PidFile(tmp_path / "server.pid")


def test_a_file_belongs_to_whoever_has_its_lock(instance: PidFile) -> None:
    assert instance.running() is None, "there is none yet"
    file = instance.claim()
    assert file is not None
    with file:
        assert instance.running() == Running(None, None)
        assert instance.claim(0.05) is None
        file.write("17\n")
        file.flush()
        assert instance.running() == Running(17, None)
        file.write("Listening on http://127.0.0.1:8000\n")
        file.flush()
        assert instance.running() == Running(17, "http://127.0.0.1:8000")
    assert instance.running() is None, "stale, although it still has a pid"
    again = instance.claim()
    assert again is not None
    with again:
        assert instance.running() == Running(None, None), "and nothing of the one before"


def test_a_process_holds_the_file_that_is_its_stdout_until_it_ends(instance: PidFile) -> None:
    file = instance.claim()
    assert file is not None
    with file, bystander(stdout=file) as holder:
        file.close()
        assert instance.running() is not None
        assert instance.wrote(holder.pid)
        holder.kill()
        holder.wait(PATIENCE)
        assert instance.running() is None
    assert not instance.wrote(os.getpid())
    assert instance.remove(1)
    assert not instance.path.exists()


def test_whoever_waited_for_a_file_that_was_removed_gets_the_one_that_is_there(instance: PidFile) -> None:
    first = instance.claim()
    assert first is not None
    waited: list[IO[str] | None] = []
    waiter = threading.Thread(target=lambda: waited.append(instance.claim(10)))
    waiter.start()
    with first:
        instance.path.unlink()
    waiter.join(PATIENCE)
    [second] = waited
    assert second is not None
    with second:
        assert os.path.samestat(os.fstat(second.fileno()), instance.path.stat())
        assert instance.running() is not None


@pytest.mark.parametrize("content", ["dear diary\n", "17\nnotes\n", "\x00\xff"])
def test_a_file_that_is_no_pid_file_is_left_as_it_is(instance: PidFile, content: str) -> None:
    instance.path.write_text(content, encoding="latin-1")
    before = instance.path.read_bytes()
    for command in ("start", "stop"):
        error = refusal(command, "--pid-file", str(instance.path), code=2)
        assert "it is no pid file" in error["message"]
        assert "--pid-file" in error["message"]
    assert instance.path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "server.pid", Path("/proc/self/status")):
        assert str(path) in refusal("start", "--pid-file", str(path), code=2)["message"]
    assert refusal("start", "--pid-file", str(tmp_path), code=2)["reason"] == "usage"


def test_stop_leaves_the_process_of_a_stale_file_alone(instance: PidFile) -> None:
    with bystander() as foreign:
        instance.path.write_text(f"{foreign.pid}\nListening on http://127.0.0.1:8000\n", encoding="utf-8")
        stopped = told("stop", "--pid-file", str(instance.path))
        assert (stopped["stopped"], stopped["pid"]) == (False, None)
        assert foreign.poll() is None
    assert not instance.path.exists(), "nobody's file is tidied away"
    assert "no server of" in invoked("stop", "--pid-file", str(instance.path)).stdout


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell whose stdout a file is")
def test_stop_leaves_a_process_alone_that_is_not_the_one_that_holds_the_file(instance: PidFile) -> None:
    file = instance.claim()
    assert file is not None
    with file, bystander() as foreign:
        file.write(f"{foreign.pid}\nListening on http://127.0.0.1:8000\n")
        file.flush()
        error = refusal("stop", "--pid-file", str(instance.path), code=1)
        assert error["reason"] == "foreign_process"
        assert str(foreign.pid) in error["message"]
        assert foreign.poll() is None


def test_a_server_that_is_only_just_starting_is_neither_stopped_nor_started_again(instance: PidFile) -> None:
    file = instance.claim()
    assert file is not None
    with file:
        assert refusal("stop", "--pid-file", str(instance.path), code=1)["reason"] == "starting"
        assert refusal("start", "--pid-file", str(instance.path), code=1)["reason"] == "already_running"


def test_a_condition_is_waited_for_and_no_longer_than_that() -> None:
    answers = iter([False, False, True])
    assert until(lambda: next(answers), 10)
    assert not until(lambda: False, 0)


def test_a_refusal_is_told_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    Refusal("one\ntwo").show()
    assert capsys.readouterr().err == "error: one\nerror: two\n"
