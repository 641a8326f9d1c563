"""The official command-line tool's way of asking works here: a double of it, against a server whose clock it moves."""

from collections.abc import Iterator

import httpx
import pytest

from tests.system.official_command_line import CommandFailedError, OfficialCommandLine
from video_translation_server.testing import TranslationServer

VIDEO = "https://example.com/talk.mp4"


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def tool(translation_server: TranslationServer, slept: list[float]) -> Iterator[OfficialCommandLine]:
    """It waits on the server's clock, and what it waited is noted."""

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        translation_server.advance(seconds)

    environment = {"HEYGEN_API_BASE": translation_server.url, "HEYGEN_API_KEY": "any"}
    made = OfficialCommandLine(environment, sleep=sleep)
    yield made
    made.close()


@pytest.fixture
def translation_server_settings() -> dict[str, object]:
    return {"translation_time": 600}


def test_a_job_of_ten_minutes_is_waited_for(
    tool: OfficialCommandLine, translation_server: TranslationServer, slept: list[float]
) -> None:
    [job_id] = tool.create(VIDEO, "German")
    job = tool.wait(job_id)
    assert (job["status"], job["output_language"]) == ("completed", "German")
    assert 600 <= sum(slept) <= 600 + 30
    assert [asked.status for asked in translation_server.requests] == [200] * (len(slept) + 2)


def test_it_gives_up_on_a_job_that_does_not_end(
    tool: OfficialCommandLine, translation_server: TranslationServer, slept: list[float]
) -> None:
    [job_id] = tool.create(VIDEO, "German")
    httpx.post(f"{translation_server.url}/_sim/jobs/{job_id}/stall", trust_env=False).raise_for_status()
    with pytest.raises(CommandFailedError, match="has not ended"):
        tool.wait(job_id)
    assert 1200 < sum(slept) <= 1230


def test_a_busy_service_is_asked_again_when_it_says(
    tool: OfficialCommandLine, translation_server: TranslationServer, slept: list[float]
) -> None:
    translation_server.faults.add("api", "status", status=429, seconds=7, count=1)
    translation_server.faults.add("api", "status", status=429, seconds=3600, count=1)
    [job_id] = tool.create(VIDEO, "German")
    assert slept == [7, 30]
    assert [(asked.method, asked.status) for asked in translation_server.requests] == [
        ("POST", 429),
        ("POST", 429),
        ("POST", 200),
    ]
    assert tool.wait(job_id)["status"] == "completed"


@pytest.mark.parametrize(("status", "code"), [(503, "internal_error"), (402, "insufficient_credit")])
def test_what_stays_wrong_is_told_with_the_requests_id(
    tool: OfficialCommandLine, translation_server: TranslationServer, status: int, code: str
) -> None:
    translation_server.faults.add("api", "status", status=status)
    with pytest.raises(CommandFailedError, match=rf"^{code}: .*\(req_\w+\)$"):
        tool.create(VIDEO, "German")
    assert len(translation_server.requests) == (3 if status == 503 else 1)


def test_without_an_idempotency_key_a_lost_answer_means_a_second_job(
    tool: OfficialCommandLine, translation_server: TranslationServer
) -> None:
    translation_server.faults.add("api", "reset", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        tool.create(VIDEO, "German")
    [second] = tool.create(VIDEO, "German")
    jobs = httpx.get(f"{translation_server.url}/v3/video-translations", trust_env=False).json()["data"]
    assert (len(jobs), jobs[0]["id"]) == (2, second)
