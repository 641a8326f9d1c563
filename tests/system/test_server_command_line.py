"""`video-translation-server` as real processes: started in the background, used, stopped, killed; and its guide."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.commands import refusal, told
from tests.server.process import COMMAND, environment, ran
from tests.waiting import PATIENCE
from video_translation_server.cli.pidfile import PidFile, until

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "server-command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
VIDEO = "https://example.com/talk.mp4"
FLAGS = ("--port", "0", "--start-job", "false")

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no pid files there"),
]


class Folder:
    """The folder that everything runs in: a server is a process of its own, and finds its files by their defaults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.instance = PidFile(path / "video-translation.pid")

    def start(self, *flags: str, code: int = 0, **variables: str) -> dict[str, Any]:
        """The document that `start` prints, as a process that ends while the server goes on."""
        done = ran("start", *FLAGS, *flags, "--json", folder=self.path, **variables)
        assert done.returncode == code, done
        assert (done.stdout == "") == (done.stderr != ""), "one document, on one of both"
        document: dict[str, Any] = json.loads(done.stdout or done.stderr)
        return document


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Where the commands are typed; the server that a test leaves running there is ended."""
    monkeypatch.chdir(tmp_path)
    found = Folder(tmp_path)
    yield found
    running = found.instance.running()
    if running is not None and running.pid is not None:
        os.kill(running.pid, signal.SIGKILL)
        assert found.instance.remove(PATIENCE)


def test_a_server_is_started_used_and_stopped_twice_in_a_row(folder: Folder) -> None:
    for turn in (1, 2):
        started = folder.start()
        assert folder.instance.running() is not None
        assert folder.path / started["pid_file"] == folder.instance.path
        found = told("status")
        assert [found[name] for name in ("running", "ready", "url", "pid")] == [
            *(True, True, started["url"]),
            *(started["pid"],),
        ]
        again = folder.start(code=1)
        assert again["error"]["reason"] == "already_running"
        assert started["url"] in again["error"]["message"]
        job = f"order-{turn}"
        script = "progression=immediate,outcome=completed"
        told("jobs", "create", VIDEO, "-l", "German", "--id", job, "--simulate", script)
        assert told("jobs", "status", job)["status"] == "completed"
        assert told("jobs", "completed")[0]["id"] == job
        assert len(told("jobs", "list")) == turn, "what was there before is still there"
        stopped = told("stop")
        assert stopped == {"stopped": True, "killed": False, "pid": started["pid"], "pid_file": started["pid_file"]}
        assert told("status", code=4)["running"] is False
        assert not folder.instance.path.exists()
    log = (folder.path / "video-translation.log").read_text(encoding="utf-8")
    assert [line.split(" - ")[2].split()[0] for line in log.splitlines()].count("stopped") == 2
    assert told("stop")["stopped"] is False


def test_a_killed_server_is_told_from_one_that_runs_and_nothing_is_lost(folder: Folder) -> None:
    started = folder.start()
    told("jobs", "create", VIDEO, "-l", "German", "--id", "mine", "--simulate", "duration=3600")
    os.kill(started["pid"], signal.SIGKILL)
    assert until(lambda: folder.instance.running() is None, PATIENCE)
    assert f"{started['pid']}\n" in folder.instance.path.read_text(encoding="utf-8"), "the file is stale"
    assert told("status", "--url", started["url"], code=4)["running"] is False
    assert told("stop")["stopped"] is False
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as foreign:
        folder.instance.path.write_text(f"{foreign.pid}\nListening on {started['url']}\n", encoding="utf-8")
        again = folder.start()
        assert told("jobs", "status", "mine")["status"] in ("pending", "running")
        assert told("stop")["pid"] == again["pid"]
        assert foreign.poll() is None
        foreign.communicate(b"\n", timeout=PATIENCE)


def test_a_server_that_does_not_end_is_killed_in_time(folder: Folder) -> None:
    started = folder.start()
    os.kill(started["pid"], signal.SIGSTOP)
    stopped = told("stop", "--timeout", "0.2")
    assert (stopped["stopped"], stopped["killed"]) == (True, True)
    assert folder.instance.running() is None


def test_of_two_that_start_at_once_one_runs(folder: Folder) -> None:
    command = [*COMMAND, "start", *FLAGS, "--json"]
    both = [
        subprocess.Popen(
            command,
            cwd=folder.path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=60) for one in both]
    assert sorted(one.returncode for one in both) == [0, 1], said
    assert json.loads(next(errors for _, errors in said if errors))["error"]["reason"] == "already_running"
    assert told("status")["running"] is True


def test_why_a_server_does_not_start_is_told_and_nothing_is_left(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = folder.start("--port", port, code=2)
    assert f"port {port}" in busy["error"]["message"]
    assert not folder.instance.path.exists()
    late = folder.start("--timeout", "0.01", code=3)
    assert "no answer within 0.01 s" in late["error"]["message"]
    assert not folder.instance.path.exists()
    assert "missing" in folder.start("--log-file", "missing/x.log", code=2)["error"]["message"]


def test_options_and_variables_reach_the_server_and_keys_are_no_arguments(folder: Folder) -> None:
    started = folder.start(
        *("--admin-key", "root-sesame", "--require-key", "true", "--log-file", "own.log", "--log-format", "json"),
        VTS_SIMULATOR="false",
        VTS_LOG_FILE="not-this.log",
    )
    assert refusal("jobs", "list", code=1)["status"] == 403
    assert told("jobs", "list", "--admin-key", "root-sesame") == []
    assert told("status", VTS_ADMIN_KEY="root-sesame")["clock"] is None
    if Path("/proc/self/cmdline").exists():
        assert b"sesame" not in Path(f"/proc/{started['pid']}/cmdline").read_bytes()
    told("stop")
    lines = (folder.path / "own.log").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert (events[0], events[-1], events.count("stopped")) == ("listening", "stopped", 1)
    assert not (folder.path / "not-this.log").exists()


def test_the_blocks_of_the_guide_run_one_after_the_other(folder: Folder) -> None:
    assert len(BLOCKS) >= 5
    done = subprocess.run(
        ["bash", "-c", "set -exo pipefail\n" + "".join(BLOCKS)],
        cwd=folder.path,
        env=environment(VTS_PORT="0") | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1] == "stopped"
    assert folder.instance.running() is None


def test_every_command_of_the_script_names_tests_that_run_it() -> None:
    table = GUIDE.partition("| the script | here | run by |")[2].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]
    assert len(rows) == 14
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for script, command, shown in rows[:-1]:
        assert f"def {shown.strip('`')}(" in sources, script
        assert command.startswith("`")
    assert rows[-1][:2] == ["run the tests", "`make test`"]
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
