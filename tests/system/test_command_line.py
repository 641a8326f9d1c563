"""`video-translation` beside a real server: what needs its stream, its endpoints and its deliveries; and the guide."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from examples.local_server import LocalServer
from tests.forked import ForkedServer
from tests.waiting import PATIENCE
from video_translation_client._signature import Keyring
from video_translation_client.cli.program import cli

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
PROGRAM = [sys.executable, "-m", "video_translation_client"]
VIDEO = "https://example.com/talk.mp4"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    store = tmp_path_factory.mktemp("cli") / "jobs.db"
    with ForkedServer(store, "--translation-time", "0.2", "--error-rate", "0") as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDEO_TRANSLATION_API_KEY", "HEYGEN_API_KEY", "HEYGEN_API_BASE", "VIDEO_TRANSLATION_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDEO_TRANSLATION_BASE_URL", server.url)


@pytest.fixture
def run() -> Run:
    def invoke(*words: str, code: int = 0) -> list[dict[str, Any]]:
        result: Result = CliRunner().invoke(cli, ["--json", *words])
        assert result.exit_code == code, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    return invoke


def submit(run: Run, **script: object) -> str:
    words = ",".join(f"{name}={value}" for name, value in {"duration": 3600, **script}.items())
    (job,) = run("submit", VIDEO, "-l", "French (France)", "--simulate", words)
    return str(job["id"])


def settled(run: Run, delivery_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        (delivery,) = run("webhooks", "delivery", delivery_id)
        if delivery["settled_at"] is not None:
            return delivery
        time.sleep(0.02)
    raise AssertionError("the delivery was never settled")


def test_jobs_are_listed_with_filters_and_cancelled_once(run: Run) -> None:
    job_id = submit(run)
    (job,) = run("cancel", job_id)
    assert (job["id"], job["status"], job["failure_message"]) == (job_id, "failed", "Cancelled by the caller")
    assert job["cancelled_at"] is not None
    run("cancel", job_id, code=1)
    assert run("list", "--status", "failed", "--language", "French (France)", "--limit", "1")[0]["id"] == job_id
    assert len(run("list", "--all")) >= 2
    assert {"language": "French (France)"} in run("languages")


def test_an_endpoint_from_its_creation_to_its_end(run: Run, httpserver: HTTPServer) -> None:
    url = httpserver.url_for("/hook")
    (made,) = run("webhooks", "create", url, "--events", "video_translate.success", "--description", "ours")
    endpoint = made["endpoint_id"]
    assert made["secret"].startswith("whsec_")
    assert endpoint in [found["endpoint_id"] for found in run("webhooks", "list")]
    assert run("webhooks", "update", endpoint, "--events", "all", "--disable")[0]["status"] == "disabled"
    assert run("webhooks", "get", endpoint)[0]["events"] is None
    (rotated,) = run("webhooks", "rotate-secret", endpoint, "--overlap", "60")
    assert rotated["secret"] not in ("", made["secret"])
    assert run("webhooks", "recover", endpoint, "--since", "1h")[0]["kind"] == "recover"
    assert run("webhooks", "replay", endpoint)[0]["kind"] == "replay"
    assert run("webhooks", "delete", endpoint) == [{"endpoint_id": endpoint, "deleted": True}]
    run("webhooks", "get", endpoint, code=1)
    run("webhooks", "update", endpoint, code=2)


def test_a_delivery_can_be_looked_at_and_sent_again(run: Run, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data(status=204)
    (made,) = run("webhooks", "create", httpserver.url_for("/hook"), "--events", "video_translate.fail")
    (delivery,) = run("webhooks", "test", made["endpoint_id"])
    attempts = settled(run, delivery["id"])["attempt_log"]
    assert [attempt["status"] for attempt in attempts] == [204]
    found = run("webhooks", "deliveries", "--endpoint", made["endpoint_id"])
    assert [(item["id"], item["event_type"]) for item in found] == [(delivery["id"], "endpoint.test")]
    assert run("webhooks", "resend", delivery["id"])[0]["id"] == delivery["id"]
    run("webhooks", "delete", made["endpoint_id"])


def test_the_log_and_its_types_can_be_read(run: Run) -> None:
    job_id = submit(run)
    (event,) = run("webhooks", "events", "--job", job_id, "--type", "video_translate.pending")
    assert event["event_data"]["video_translate_id"] == job_id
    assert "video_translate.success" in [found["event_type"] for found in run("webhooks", "event-types")]
    assert len(run("webhooks", "events", "--after", "cur_0", "--limit", "2")) == 2


def test_listen_begins_where_it_is_told_and_narrows(run: Run) -> None:
    first, second = run("listen", "--from", "cur_0", "--limit", "2")
    assert first["event"]["event_type"] == "video_translate.pending"
    assert run("listen", "--from", first["cursor"], "--limit", "1") == [second]
    submit(run)
    (found,) = run("listen", "--from", "cur_0", "--limit", "1", "--events", "video_translate.success")
    assert found["event"]["event_type"] == "video_translate.success"
    run("listen", "--from", "nonsense", code=2)


def test_listen_forwards_with_signatures_that_hold(run: Run, httpserver: HTTPServer) -> None:
    taken: list[tuple[bytes, dict[str, str]]] = []

    def take(request: Request) -> Response:
        taken.append((request.get_data(), dict(request.headers)))
        return Response(status=204 if len(taken) == 1 else 500)

    httpserver.expect_request("/hook", method="POST").respond_with_handler(take)
    to = ("--forward-to", httpserver.url_for("/hook"), "--secret", SECRET)
    found = run("listen", "--from", "cur_0", "--limit", "2", *to)
    assert [item["forwarded"]["status"] for item in found] == [204, 500]
    for body, headers in taken:
        lowered = {name.lower(): value for name, value in headers.items()}
        assert Keyring([SECRET]).verify(body, headers, now=time.time()).family == "standard"
        del lowered["webhook-signature"]
        assert Keyring([SECRET]).verify(body, lowered, now=time.time()).family == "heygen"
        assert json.loads(body)["event_id"] == lowered["webhook-id"]


def test_listen_goes_on_when_the_local_app_is_away(run: Run) -> None:
    (found,) = run("listen", "--from", "cur_0", "--limit", "1", "--forward-to", "http://127.0.0.1:1/hook")
    assert found["forwarded"]["status"] is None
    assert "127.0.0.1:1" in found["forwarded"]["error"]
    run("listen", "--forward-to", "localhost:3000", code=2)
    run("listen", "--forward-to", "http://localhost:3000", "--secret", "nonsense!", code=2)


def test_ctrl_c_ends_listening_at_once_and_leaves_nothing_behind(run: Run) -> None:
    before = run("webhooks", "list")
    words = [*PROGRAM, "listen", "--from", "cur_0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Listening to ")
    assert process.stdout is not None
    assert "video_translate." in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, "")
    assert run("webhooks", "list") == before


def test_the_guide_is_read() -> None:
    assert len(BLOCKS) >= 8


@pytest.mark.timeout(240)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split()[:2]))
def test_each_block_of_the_guide_runs(block: str, server: LocalServer, tmp_path: Path) -> None:
    script = "set -eo pipefail\n" + block.replace("localhost:8000", f"localhost:{server.port}")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert ("exit code 1" in done.stdout) == ("exit code" in block)
