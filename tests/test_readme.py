"""Every code block of the README is executed, against a real server."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.local_server import LocalServer
from tests.forked import ForkedServer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "bash"]
COMMANDS = [code for code in SHELL if "bin/video-translation " in code]
CURL = [code for code in SHELL if code.startswith("curl")]
OTHERS = {
    "make demo\n",
    "make run\n",
    "make test\nmake check\nmake integration-test\n",
    ".venv/bin/python -m uvicorn my_service:app --port 9000\n",
    ".venv/bin/video-translation-server serve --help\n",
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("VTS_", "MAKE", "MFLAGS"))}
PATIENCE = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    store = tmp_path_factory.mktemp("readme") / "jobs.db"
    with ForkedServer(store, "--translation-time", "0.5", "--error-rate", "0") as running:
        yield running


def run(command: list[str] | str) -> str:
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=ROOT,
        env=ENVIRONMENT | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def at(server: LocalServer, code: str) -> str:
    """The block, for this server instead of the one on port 8000; the virtual environment is the tests' own."""
    return code.replace("localhost:8000", f"localhost:{server.port}").replace(".venv/bin/", "")


def test_every_block_is_covered_here() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "bash", "text"}
    assert len(PYTHON) == 4
    assert set(SHELL) - set(CURL) - set(COMMANDS) == OTHERS
    assert len(COMMANDS) == 2


@pytest.mark.parametrize("code", [*PYTHON[:2], PYTHON[3]], ids=["blocking", "callback", "awaiting"])
def test_a_script_runs(server: LocalServer, code: str) -> None:
    output = run([sys.executable, "-c", at(server, code)])
    assert "vt_" in output
    assert "/files/vt_" in output or "it failed, as it was told to" in output


def test_the_embedded_receiver_gets_the_pushes(server: LocalServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "my_service.py").write_text(at(server, PYTHON[2]).replace("9000", str(port)), encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "my_service:app", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as service:
        assert service.stdout is not None
        lines: list[str] = []
        job: str | None = None
        watchdog = threading.Timer(PATIENCE, service.kill)
        watchdog.start()
        for line in service.stdout:
            lines.append(line)
            if "running on" in line:
                query = {"video_url": "https://example.com/talk.mp4", "language": "Czech"}
                job = httpx.post(f"http://127.0.0.1:{port}/translate", params=query).json()["job"]
            if job is not None and f"{job} completed" in line:
                service.send_signal(signal.SIGINT)
        watchdog.cancel()
    assert re.findall(rf"{job} (\w+)$", "".join(lines), flags=re.MULTILINE) == ["pending", "running", "completed"], (
        lines
    )


@pytest.mark.skipif(not shutil.which("curl") and "CI" not in os.environ, reason="curl is not installed")
@pytest.mark.parametrize("code", CURL)
def test_curl(server: LocalServer, code: str) -> None:
    answer = json.loads(run(at(server, code)))
    assert "error" not in answer
    # The newest job is that of whichever block ran last; one of them is told to fail.
    assert "data" in answer or answer["result"] in ("pending", "completed", "error")


@pytest.mark.parametrize("code", COMMANDS, ids=["client", "keys"])
def test_commands(server: LocalServer, code: str) -> None:
    place = f"export VIDEO_TRANSLATION_BASE_URL={server.url} VTS_URL={server.url}\n"
    output = run("set -e\n" + place + at(server, code))
    # A key of another workspace shows none of the jobs that are there.
    assert ("vt_" in output) == ("submit" in code), output
    assert "ID" in output


def test_the_demo_prints_what_the_readme_shows() -> None:
    shown = next(code for language, code in BLOCKS if language == "text").strip().splitlines()[-1]
    summary = json.loads(run("make --no-print-directory demo").strip().splitlines()[-1])
    assert summary | {"push_latency_ms": None} == json.loads(shown) | {"push_latency_ms": None}
    assert summary["push_latency_ms"].keys() == json.loads(shown)["push_latency_ms"].keys()


def test_help_names_every_setting(server: LocalServer) -> None:
    assert "--translation-time" in run(at(server, ".venv/bin/video-translation-server serve --help"))


def test_make_run_serves_until_ctrl_c(tmp_path: Path) -> None:
    environment = ENVIRONMENT | {"VTS_PORT": "0", "VTS_STORE": str(tmp_path / "run.db")}
    with subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as make:
        assert make.stdout is not None
        line = make.stdout.readline()
        assert line.startswith("Listening on http://127.0.0.1:")
        assert httpx.get(line.split()[-1] + "/status").json()["result"] == "pending"
        os.killpg(make.pid, signal.SIGINT)  # what Ctrl-C does: to the whole group that was started here
        make.wait(timeout=PATIENCE)


def test_the_integration_run_ends_well_and_says_what_it_cost() -> None:
    output = run("make --no-print-directory integration-test")
    assert "server | " in output
    assert "client | " in output
    assert "requests per job: 1.50 (of which asking for a status: 1)" in output
    assert "completion to the client knowing: p50 " in output


def test_make_alone_prints_every_verb() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^  make ([a-z-]+) ", run("make"), re.MULTILINE)) == verbs
    assert {"test", "check", "integration-test"} <= verbs


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
