"""The guides show what runs: each Python block is executed, or stands in an example that another test starts."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from tests.forked import ForkedServer
from tests.server.footage import clip
from video_translation_server.testing import TranslationServer
from video_translation_server.wire.scripts import FAILURES

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guides"
FRAMEWORKS = {"fastapi": "fastapi", "asgi-starlette": "asgi", "flask": "flask", "django": "django"}


@pytest.mark.parametrize("guide", FRAMEWORKS)
def test_the_code_of_a_framework_guide_is_the_examples(guide: str) -> None:
    page = (GUIDES / f"{guide}.md").read_text("utf-8")
    example = (ROOT / "examples" / f"{FRAMEWORKS[guide]}_app.py").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        assert block in example
    assert f"-m examples.{FRAMEWORKS[guide]}_app" in page


def test_the_blocks_about_verification_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    page = (GUIDES / "verification.md").read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "verification.md", "exec"), names)  # noqa: S102 - it is our own page
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "evt_1 video_translate.success vt_1 completed"
    assert output[1].startswith("no_matching_signature ")


@pytest.mark.timeout(240)
def test_the_blocks_about_modes_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (GUIDES / "modes.md").read_text("utf-8")
    flags = ("--start-job", "false", "--translation-time", "0.5", "--error-rate", "0")
    with ForkedServer(tmp_path / "jobs.db", *flags) as server:
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            code = block.replace("http://localhost:8000", server.url)
            exec(compile(code, "modes.md", "exec"), {})  # noqa: S102 - it is our own page
    output = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in output if line.startswith("vt_")] == [
        ["1", "pending"],
        ["2", "running"],
        ["3", "completed"],
    ]
    assert [line for line in output if not line.startswith("vt_")] == [
        "stream because nothing is registered, and the service has an event log",
        "completed",
        "completed",
    ]


@pytest.mark.timeout(240)
def test_the_blocks_about_waiting_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (GUIDES / "waiting.md").read_text("utf-8")
    flags = ("--start-job", "false", "--translation-time", "0.3", "--error-rate", "0")
    with ForkedServer(tmp_path / "jobs.db", *flags) as server:
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            code = block.replace("http://localhost:8000", server.url)
            exec(compile(code, "waiting.md", "exec"), {})  # noqa: S102 - it is our own page
    assert capsys.readouterr().out.splitlines() == [
        "blocking: completed True",
        "events: pending running completed",
        "callback: completed",
        "first: True 2",
        "group: ['completed', 'completed']",
        "by language: True",
        "async events end with: completed",
        "awaited: ['completed', 'completed']",
        "again: completed",
        "cancelled now: True",
        "cancelled: True",
        "re-attached: completed",
        "from the first on: pending running completed",
    ]


def test_the_curls_about_testing_are_answered(translation_server: TranslationServer) -> None:
    page = (GUIDES / "testing.md").read_text("utf-8")
    curls = re.findall(r"^curl .*$", page, re.MULTILINE)
    assert len(curls) >= 5
    with httpx.Client(trust_env=False) as http:
        for curl in curls:
            words = shlex.split(curl)
            given = {name: words[words.index(name) + 1] for name in ("-X", "-H", "-d") if name in words}
            [place] = [word for word in words if word.startswith("localhost:8000")]
            headers = dict([given["-H"].split(": ")]) if "-H" in given else {}
            url = place.replace("localhost:8000", translation_server.url)
            answer = http.request(given["-X"], url, headers=headers, content=given.get("-d", ""))
            assert answer.status_code == 200, (curl, answer.text)
        assert http.get(f"{translation_server.url}/status").json()["failure_message"] == FAILURES["no_audio"]


def test_the_index_names_every_guide_and_links_lead_somewhere() -> None:
    assert {page.name for page in GUIDES.glob("*.md")} - {"README.md"} <= set(
        re.findall(r"\]\(([a-z-]+\.md)\)", (GUIDES / "README.md").read_text("utf-8"))
    )
    for page in GUIDES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)


@pytest.mark.timeout(240)
def test_the_block_about_media_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (GUIDES / "media.md").read_text("utf-8")
    [block] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "talk.mp4").write_bytes(clip(3))
    monkeypatch.chdir(tmp_path)
    flags = ("--start-job", "false", "--translation-time", "0.2", "--error-rate", "0")
    with ForkedServer(tmp_path / "jobs.db", *flags) as server:
        exec(compile(block.replace("http://localhost:8000", server.url), "media.md", "exec"), {})  # noqa: S102 - as above
    assert capsys.readouterr().out.splitlines() == [
        "video/mp4 3.0",
        "video_url video/mp4 True",
        "audio_url audio/mp4 True",
        "srt_caption_url application/x-subrip True",
        "vtt_caption_url text/vtt; charset=utf-8 True",
    ]
