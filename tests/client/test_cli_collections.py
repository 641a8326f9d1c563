"""`video-translation upload`, `batches`, `rename`, `delete`, `whoami`: what they send, print and exit with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.client.fake_server import FakeServer
from video_translation_client.cli.program import cli

Run = Callable[..., Result]
URL = "https://example.com/talk.mp4"


@pytest.fixture
def run(server: FakeServer) -> Run:
    def invoke(*words: str, text: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["--base-url", server.url, *words], input=text)

    return invoke


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_files_are_uploaded_and_named_as_submit_takes_them(run: Run, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"video")
    assert run("upload", str(video)).stdout == f"asset:asset_1  {video}\n"
    (asset,) = lines(run("upload", str(video), "--json"))
    assert asset == {"file": str(video), "id": "asset_2", "media_type": "video/mp4", "size": 5, "duration": None}
    assert run("upload", str(tmp_path / "none.mp4")).exit_code == 1


def test_a_batch_comes_from_a_file_of_json_or_of_lines(run: Run, server: FakeServer, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"video")
    wanted = [
        {"video": URL, "output_languages": ["French", "German"]},
        {"video": {"file": str(video)}, "output_languages": ["Thai"]},
    ]
    (made,) = lines(run("batches", "create", "-", "--title", "week 47", "--json", text=json.dumps(wanted)))
    assert made == {"batch_id": "batch_1", "total_items": 3, "video_translation_ids": ["vt_1", "vt_2", "vt_3"]}
    body = server.bodies[-1][1]
    assert (body["title"], body["video_translations"][1]["video"]["asset_id"]) == ("week 47", "asset_1")
    by_lines = run("batches", "create", "-", text="\n".join(map(json.dumps, wanted[:1])))
    assert by_lines.stdout.splitlines() == ["batch_2  2 jobs", "vt_4", "vt_5"]
    (found,) = lines(run("batches", "get", "batch_1", "--json"))
    assert (found["id"], found["counts"]["pending"]) == ("batch_1", 3)
    assert [item["job_id"] for item in found["items"]] == ["vt_1", "vt_2", "vt_3"]
    shown = run("batches", "get", "batch_1").stdout
    assert "processing" in shown
    assert "vt_3" in shown


@pytest.mark.parametrize("text", ["nonsense", "{}", '[{"video": "https://v"}]', "[3]"])
def test_what_no_batch_can_be_made_of_is_wrong_usage(run: Run, server: FakeServer, text: str) -> None:
    assert run("batches", "create", "-", text=text).exit_code == 2
    assert server.bodies == []


def test_jobs_are_renamed_and_deleted(run: Run, server: FakeServer) -> None:
    first, second = server.new_job(), server.new_job()
    assert lines(run("rename", first, "Talk", "--json"))[0]["title"] == "Talk"
    assert run("rename", first, "Other").stdout == f"{first}  French  pending  0 %  Other\n"
    assert lines(run("delete", first, second, "--json")) == [
        {"id": first, "deleted": True},
        {"id": second, "deleted": True},
    ]
    assert server.jobs == {}
    assert run("delete", first).exit_code == 1


def test_whoami_shows_whose_key_it_is(run: Run) -> None:
    assert lines(run("whoami", "--json"))[0]["username"] == "ws_1"
    assert "wallet" in run("whoami").stdout
