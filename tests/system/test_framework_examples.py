"""Each framework's example is started as a user would, against a real server, and gets real deliveries."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.local_server import LocalServer
from tests.forked import Forked, ForkedServer

ROOT = Path(__file__).parents[2]
PATIENCE = 40
FRAMEWORKS = ["fastapi", "asgi", "flask", "django"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    store = tmp_path_factory.mktemp("frameworks") / "jobs.db"
    flags = ("--translation-time", "0.3", "--error-rate", "0", "--start-job", "false")
    with ForkedServer(store, *flags) as running:
        yield running


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_example_is_pushed_each_transition_and_leaves_nothing_behind(
    server: LocalServer, framework: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", f"examples.{framework}_app"]
    environment = os.environ | {"PORT": "0", "VIDEO_TRANSLATION_BASE_URL": server.url}
    errors = tmp_path / "stderr.txt"
    with (
        errors.open("w") as stderr,
        Forked(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr) as service,
    ):
        assert service.stdout is not None
        watchdog = threading.Timer(PATIENCE, service.kill)
        watchdog.start()
        lines: list[str] = []
        job = transitions = None
        for line in service.stdout:
            lines.append(line)
            if line.startswith("Receiving at "):
                root = line.split()[-1].partition("/webhooks")[0]
                job = httpx.post(f"{root}/translate", timeout=PATIENCE).json()["job"]
            elif line == f"{job} completed\n":
                transitions = httpx.get(f"{root}/jobs/{job}", timeout=PATIENCE).json()
                service.send_signal(signal.SIGINT)
        watchdog.cancel()
    expected = ["pending", "running", "completed"]
    assert transitions == expected, "".join(lines) + errors.read_text()
    assert [line.split()[1] for line in lines if line.startswith(f"{job} ")] == expected
    assert "Traceback" not in errors.read_text()
    assert httpx.get(f"{server.url}/v3/webhooks/endpoints").json()["data"] == []
