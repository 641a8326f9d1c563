"""The moment for which there are idempotency keys: a server that is killed between its commit and its answer."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server.process import environment, started
from tests.server.rig import JOBS, VIDEO
from tests.waiting import PATIENCE

KILLED_BEFORE_ITS_ANSWER = """
import asyncio, os, signal, sqlite3
from video_translation_server.serve import bind, serve
from video_translation_server.settings import Settings

def probe(point):
    with sqlite3.connect("file:jobs.db?mode=ro", uri=True) as database:
        kept = "SELECT count(*) FROM idempotency WHERE response IS NOT NULL"
        if point == "after commit" and database.execute(kept).fetchone()[0]:
            os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(port=0, store="jobs.db", start_job=False)
asyncio.run(serve(settings, bind(settings), probe=probe))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_creation_whose_answer_was_lost_in_a_crash_is_not_done_twice(tmp_path: Path) -> None:
    body = {"video": VIDEO, "output_languages": ["English", "German"]}
    with (
        httpx.Client(headers={"Idempotency-Key": "order-17"}, timeout=PATIENCE, trust_env=False) as http,
        subprocess.Popen(
            [sys.executable, "-c", KILLED_BEFORE_ITS_ANSWER],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as doomed,
    ):
        assert doomed.stdout is not None
        url = doomed.stdout.readline().removeprefix("Listening on ").strip()
        with pytest.raises(httpx.TransportError):
            http.post(f"{url}{JOBS}", json=body)
        assert doomed.wait(PATIENCE) == -signal.SIGKILL
        with started("--store", "jobs.db", "--start-job", "false", folder=tmp_path) as server:
            answers = [http.post(f"{server.url}{JOBS}", json=body) for _ in range(2)]
            jobs = http.get(f"{server.url}{JOBS}").json()["data"]
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == ["true", "true"]
    assert {tuple(answer.json()["data"]["video_translation_ids"]) for answer in answers} == {
        tuple(job["id"] for job in reversed(jobs))
    }
    assert len(jobs) == 2
