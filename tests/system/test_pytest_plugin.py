"""The fixtures that the distributions bring, as a user gets them: in pytest runs of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from video_translation_client import VideoTranslationClient
from video_translation_server.errors import ConflictError, NotFoundError, StoreError
from video_translation_server.testing import TranslationServer

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "testing.md"
PATIENCE = 100
STRANGERS = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:pytest_httpserver")
"""Plugins that are installed for our own tests: each process would take a second to load them."""
VIDEO = "https://example.com/talk.mp4"


def run(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *STRANGERS, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(PATIENCE + 20)
def test_the_consumers_tests_pass() -> None:
    assert "5 passed" in run("examples/consumer_app", folder=ROOT)


@pytest.mark.timeout(PATIENCE + 20)
def test_the_blocks_of_the_guide_are_a_test_suite_and_a_session_has_one_server_per_worker(tmp_path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL):
        name, _, code = block.partition("\n")
        (tmp_path / name.removeprefix("# ")).write_text(code)
    (tmp_path / "test_scopes.py").write_text(
        "import os, pathlib, pytest\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test_it(number, translation_server_session, translation_server):\n"
        "    with pathlib.Path(__file__).with_name('seen').open('a') as seen:\n"
        "        print(os.getpid(), translation_server_session.url, id(translation_server_session), file=seen)\n"
        "    assert translation_server is not translation_server_session\n"
        "    assert translation_server.url != translation_server_session.url\n"
        "    assert translation_server.deliveries == []\n"
    )
    assert "16 passed" in run("-n", "2", str(tmp_path), folder=tmp_path)
    seen = [line.split()[:2] for line in (tmp_path / "seen").read_text().splitlines()]
    workers, servers = {pid for pid, _ in seen}, {url for _, url in seen}
    assert len(seen) == 6
    assert len(servers) == len(workers) == len({tuple(one) for one in seen})


def test_the_plugins_load_nothing_until_a_test_asks() -> None:
    code = (
        "import sys, video_translation_client.pytest_plugin, video_translation_server.pytest_plugin; "
        "print([name for name in ('fastapi', 'httpx', 'uvicorn', 'apsw', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "[]\n"


def test_a_delivery_that_does_not_come_is_told_with_what_there_is(
    translation_client: VideoTranslationClient, translation_server: TranslationServer
) -> None:
    translation_client.webhooks.create("http://127.0.0.1:9/hook")
    (job,) = translation_client.translate(VIDEO, "German")
    tried = translation_server.wait_for_delivery(job, state="due")
    assert (tried.attempts, tried.event_type) == (1, "video_translate.pending")
    with pytest.raises(TimeoutError, match=rf"video_translate.pending of {job.id} due"):
        translation_server.wait_for_delivery(job, timeout=0.01)


def test_what_cannot_be_is_told_to_the_test(translation_server: TranslationServer) -> None:
    with pytest.raises(NotFoundError):
        translation_server.complete("vt_none")


def test_a_reset_forgets_and_freezes(
    translation_client: VideoTranslationClient, translation_server: TranslationServer
) -> None:
    (job,) = translation_client.translate(VIDEO, "German")
    translation_server.complete(job)
    with pytest.raises(ConflictError):
        translation_server.fail(job)
    translation_server.resume(1000)
    translation_server.reset()
    assert list(translation_client.list_jobs()) == []
    (again,) = translation_client.translate(VIDEO, "German")
    translation_server.advance_to_next()
    assert translation_client.get_job(again.id).status == "running"


def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError), TranslationServer(tmp_path / "nowhere"):
        raise AssertionError
