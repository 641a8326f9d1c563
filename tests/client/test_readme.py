"""Every Python block of client/README.md runs as it stands; only the server's address is another."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.fake_server import Answer, FakeServer, sign
from tests.client.file_host import CONTENT, FileHost
from tests.waiting import PATIENCE

README = Path(__file__).resolve().parents[2] / "client" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def lively_server(server: FakeServer) -> Iterator[FakeServer]:
    """Jobs run to their end by themselves, and every transition is pushed."""
    threads: list[threading.Thread] = []

    def run(ids: list[str]) -> None:
        for job_id in ids:
            server.move(job_id, "running")
            server.move(job_id, "completed", video_url=server.cdn + job_id, srt_caption_url=server.cdn)
        server.push(*server.log)

    def translate() -> Answer:
        with server.lock:
            status, answer = server._translate("", {}, server.bodies[-1][1])
        threads.append(threading.Thread(target=run, args=(answer["data"]["video_translation_ids"],)))
        threads[-1].start()
        return status, answer

    server.overrides["translate"] = translate
    yield server
    for thread in threads:
        thread.join(PATIENCE)


def execute(block: str, server: FakeServer) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    code = compile(block.replace("http://localhost:8000", server.url), "client/README.md", "exec")
    exec(code, names)  # noqa: S102 - it is our own page
    return names


def test_there_are_seven_blocks() -> None:
    assert len(BLOCKS) == 7


def test_results(lively_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    execute(BLOCKS[0], lively_server)
    assert capsys.readouterr().out.count("https://cdn.example/vt_") == 2


def test_files(
    lively_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keynote.mp4").write_bytes(b"video")
    (tmp_path / "translated").mkdir()
    with FileHost() as host:
        lively_server.cdn = host.url
        execute(BLOCKS[1], lively_server)
    assert capsys.readouterr().out.split() == ["translated/vt_1.mp4", "keynote.es.srt"]
    assert (tmp_path / "translated" / "vt_1.mp4").read_bytes() == CONTENT
    assert [upload.content for upload in lively_server.uploads] == [b"video"]


def test_callbacks(lively_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    execute(BLOCKS[2], lively_server)
    output = capsys.readouterr().out
    assert "done: https://cdn.example/" in output
    assert [line.split()[2] for line in output.splitlines() if line.startswith("vt_")] == [
        "pending",
        "running",
        "completed",
    ]


async def test_the_embedded_receiver(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    app = execute(BLOCKS[3], server)["app"]
    async with app.router.lifespan_context(app):
        (endpoint,) = server.endpoints.values()
        server.new_job()
        body = json.dumps(server.log[0]).encode()
        headers = sign(body, endpoint["secret"], "evt_1", int(time.time()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as web:
            assert (await web.post(endpoint["url"], content=body, headers=headers)).status_code == 204
    assert server.endpoints == {}
    assert "Event(id='evt_1'" in capsys.readouterr().out


def test_logging(server: FakeServer) -> None:
    execute(BLOCKS[4], server)


def test_the_async_client(lively_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    execute(BLOCKS[5], lively_server)
    out = capsys.readouterr().out
    assert out.count("https://cdn.example/vt_") == 2
    assert "events" in out


def test_conventions(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.overrides["job"] = lambda: (200, {"data": {"languages": ["English", "French"]}})
    server.overrides["unknown"] = lambda: (200, {"data": [{"id": "vt_1", "status": "completed"}], "has_more": False})
    execute(BLOCKS[6], server)
    out = capsys.readouterr().out
    assert "200 req_1" in out
    assert "1 jobs completed" in out
