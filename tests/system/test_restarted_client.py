"""A client's process is killed (SIGKILL) while its job is under way: the next one gets everything by the job's id."""

import subprocess
import sys

import pytest

from examples.local_server import LocalServer
from tests.waiting import PATIENCE
from video_translation_client import AsyncVideoTranslationClient, VideoTranslationClient

WAY = [(1, "pending"), (2, "running"), (3, "completed")]
FIRST_CLIENT = """
import sys
from video_translation_client import VideoTranslationClient

client = VideoTranslationClient(sys.argv[1])
(job,) = client.translate("https://example.com/talk.mp4", ["French"], simulation={"duration_seconds": 0.8})
stream = job.events()
while next(stream).job.status != "running":
    pass
print(job.id, flush=True)
job.result()
"""


@pytest.fixture
def orphan(server: LocalServer) -> str:
    """The id of a job that runs, and whose client was killed."""
    command = [sys.executable, "-c", FIRST_CLIENT, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        job_id = first.stdout.readline().strip()
        first.kill()
    assert first.returncode == -9
    assert job_id
    return job_id


@pytest.mark.parametrize("mode", ["auto", "poll"])
def test_a_second_client_reads_the_result_and_every_transition(server: LocalServer, orphan: str, mode: str) -> None:
    with VideoTranslationClient(server.url, mode=mode) as client:  # type: ignore[arg-type]
        job = client.job(orphan)
        read = [(event.job.sequence, event.job.status, bool(event.id)) for event in job.events(PATIENCE)]
        assert read == [(*step, True) for step in WAY]
        assert job.result(PATIENCE).video_url


async def test_so_does_an_async_client_and_a_third_one_after_the_end(server: LocalServer, orphan: str) -> None:
    for _ in range(2):
        async with AsyncVideoTranslationClient(server.url) as client:
            job = client.job(orphan)
            assert (await job.result(PATIENCE)).status == "completed"
            assert [(event.job.sequence, event.job.status) async for event in job.events(PATIENCE)] == WAY
