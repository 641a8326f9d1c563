"""What may be changed while the server runs: how the simulation behaves, and its seed; over real HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import JOBS, VIDEO
from video_translation_server.testing import TranslationServer
from video_translation_server.wire.responses import Answer
from video_translation_server.wire.simulator import ConfigAnswer, ConfigRequest, SeedAnswer

CONFIG, SEED = "/_sim/config", "/_sim/seed"


@pytest.fixture(scope="session")
def translation_server_settings() -> dict[str, Any]:
    return {"seed": 7, "translation_time": 100, "error_rate": 0.5}


@pytest.fixture
def http(translation_server: TranslationServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=translation_server.url, trust_env=False, timeout=20) as client:
        yield client


def translate(http: httpx.Client, count: int = 1) -> list[str]:
    answers = [http.post(JOBS, json={"video": VIDEO, "output_languages": ["German"]}) for _ in range(count)]
    return [str(one.json()["data"]["video_translation_ids"][0]) for one in answers]


def fates(http: httpx.Client, server: TranslationServer) -> tuple[list[str], list[str]]:
    """The ids of a dozen jobs, and how they end."""
    jobs = translate(http, 12)
    server.advance(200)
    return jobs, [http.get(f"{JOBS}/{job}").json()["data"]["status"] for job in jobs]


def test_what_may_be_changed_is_told_as_it_is(http: httpx.Client) -> None:
    told = conforms(http.get(CONFIG), Answer[ConfigAnswer])["data"]
    assert set(told) == set(ConfigRequest.model_fields) == set(ConfigAnswer.model_fields)
    assert (told["translation_time"], told["error_rate"]) == ([100, 100], 0.5)


@pytest.mark.parametrize("rate", [0, 1])
def test_the_error_rate_changes_for_the_jobs_to_come(
    http: httpx.Client, translation_server: TranslationServer, rate: int
) -> None:
    told = conforms(http.patch(CONFIG, json={"error_rate": rate}), Answer[ConfigAnswer])["data"]
    assert (told["error_rate"], told["translation_time"]) == (rate, [100, 100]), "what is not named stays"
    assert set(fates(http, translation_server)[1]) == {"failed" if rate else "completed"}


def test_durations_change_for_the_jobs_to_come_only(http: httpx.Client, translation_server: TranslationServer) -> None:
    [before] = translate(http)
    for value, end in ((20, 20), ("30", 30), ([40, 40], 40)):
        http.patch(CONFIG, json={"translation_time": value, "error_rate": 0})
        [job] = translate(http)
        started, ends = (http.get(f"{JOBS}/{job}").json()["data"][name] for name in TIMES)
        assert ends - started == pytest.approx(end, abs=1)
    started, ends = (http.get(f"{JOBS}/{before}").json()["data"][name] for name in TIMES)
    assert ends - started == pytest.approx(100, abs=1)
    translation_server.configure(progression="immediate", error_message="no_audio", error_rate=1)
    [job] = translate(http)
    assert http.get(f"{JOBS}/{job}").json()["data"]["failure_message"] == "The video has no audio track"


TIMES = ("created_at", "estimated_completion_at")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"error_rate": 1.5}, "error_rate"),
        ({"error_rate": None}, "error_rate"),
        ({"error_rate": "often"}, "error_rate"),
        ({"translation_time": [5, 1]}, "translation_time"),
        ({"translation_time": "soon"}, "translation_time"),
        ({"translation_time": [0, 9], "time_distribution": "lognormal"}, "translation_time"),
        ({"time_distribution": "normal"}, "time_distribution"),
        ({"polls": 3}, "polls"),
        ({"progression": "manual", "polls": 1_000_001}, "polls"),
        ({"progress_steps": 0}, "progress_steps"),
        ({"port": 80}, "port"),
        ({"error_rate": 0, "stall_timeout": 0}, "stall_timeout"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_changes_nothing(
    http: httpx.Client, changes: dict[str, Any], param: str
) -> None:
    before = http.get(CONFIG).json()
    refused(http.patch(CONFIG, json=changes), 400, "invalid_parameter", param)
    assert http.get(CONFIG).json() == before


def test_a_seed_begins_the_fates_anew_with_other_ids(http: httpx.Client, translation_server: TranslationServer) -> None:
    first = fates(http, translation_server)
    assert conforms(http.post(SEED, json={"seed": 99}), Answer[SeedAnswer])["data"] == {"seed": 99}
    other = fates(http, translation_server)
    translation_server.sow(7)
    assert http.get(SEED).json()["data"] == {"seed": 7}
    again = fates(http, translation_server)
    assert first[1] == again[1] != other[1]
    assert len({*first[0], *other[0], *again[0]}) == 36


def test_without_a_seed_the_fates_are_new(http: httpx.Client) -> None:
    assert http.post(SEED, json={"seed": None}).json()["data"] == {"seed": None}
    one, other = translate(http, 2)
    assert one[:-8] != other[:-8]


@pytest.mark.parametrize("body", [{}, {"seed": "7"}, {"seed": 1.5}, {"seed": 2**63}, {"seed": True}])
def test_a_seed_is_a_whole_number(http: httpx.Client, body: dict[str, Any]) -> None:
    refused(http.post(SEED, json=body), 400, "invalid_parameter", "seed")


def test_a_reset_takes_settings_and_seed_back_and_gives_no_id_twice(
    http: httpx.Client, translation_server: TranslationServer
) -> None:
    first = fates(http, translation_server)
    before = http.get(CONFIG).json()
    translation_server.configure(error_rate=1, translation_time=1)
    translation_server.sow(99)
    translation_server.reset()
    assert http.get(CONFIG).json() == before
    assert http.get(SEED).json()["data"] == {"seed": 7}
    again = fates(http, translation_server)
    assert first[1] == again[1]
    assert not set(first[0]) & set(again[0])
