from __future__ import annotations

import logging

import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer
from video_translation_client import (
    PollPolicy,
    RateLimitError,
    ServerUnreachableError,
    VideoTranslationClient,
    WaitTimeoutError,
)
from video_translation_client._asking import Answer, Step, ask_until_it_ends
from video_translation_client._errors import NotFoundError
from video_translation_client._models import JobSnapshot
from video_translation_client._polling import CLASSIC_POLL, JOB_POLL, SAFETY_NET

PENDING = JobSnapshot("vt_1", "pending", "pending", 1)
DONE = JobSnapshot("vt_1", "completed", "completed", 3)


def test_delays_grow_to_the_cap() -> None:
    policy = PollPolicy(jitter=0.0)
    assert [policy.delay(n) for n in (1, 2, 3, 7, 8, 100_000)] == [2.0, 3.0, 4.5, 22.78125, 30.0, 30.0]


@pytest.mark.parametrize(("roll", "expected"), [(0.0, 1.5), (0.5, 2.0), (1.0, 2.5)])
def test_jitter_goes_both_ways(roll: float, expected: float) -> None:
    assert PollPolicy(rng=lambda: roll).delay(1) == expected


def test_the_services_hint_is_a_floor() -> None:
    assert PollPolicy(jitter=0.0).delay(1, floor=17.0) == 17.0
    assert PollPolicy(jitter=0.0).delay(9, floor=1.0) == 30.0


def test_the_longer_of_two_hints_counts_and_an_estimate_only_up_to_the_cap() -> None:
    def hint(eta: float | str | None, retry_after: float | None) -> float | None:
        return JOB_POLL.hint(
            JobSnapshot("vt_1", "running", "pending", extra={"estimated_completion_at": eta}),
            now=1000.0,
            retry_after=retry_after,
        )

    assert [hint(None, None), hint(900.0, None), hint("soon", None)] == [None, None, None]
    assert [hint(1010.0, None), hint(9999.0, None), hint(1010.0, 20.0)] == [10.0, 30.0, 20.0]
    assert [hint("1970-01-01T00:16:50Z", 4.0), hint(None, 86_400.0)] == [10.0, 600.0]


def test_an_old_job_is_asked_for_less_often_than_a_young_one() -> None:
    policy = PollPolicy(jitter=0.0)
    assert [policy.delay(1, age=age) for age in (0, 30, 100, 400, 6000)] == [2.0, 2.0, 5.0, 20.0, 30.0]


def test_the_safety_net_doubles_to_ten_minutes() -> None:
    assert [SAFETY_NET.delay(n) for n in (1, 2, 3, 4, 5, 6)] == [60, 120, 240, 480, 600, 600]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 0.0},
        {"first": float("nan")},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"cap": 1.0},
        {"jitter": 2.0},
        {"fade": -1},
        {"max_attempts": 0},
        {"timeout": -1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="policy"):
        PollPolicy(**wrong)  # type: ignore[arg-type]


# --- the classic way ----------------------------------------------------------------------------------


class Asked:
    """Drives the loop: time passes only where it sleeps."""

    def __init__(self, policy: PollPolicy = CLASSIC_POLL, timeout: float | None = None) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.asked: list[str] = []
        self._steps = ask_until_it_ends(None, policy, timeout=timeout, clock=lambda: self.now, now=lambda: 1e9)
        self._take(next(self._steps))

    def _take(self, step: Step) -> None:
        self.slept.append(step.pause)
        self.asked.append(step.question.path)
        self.now += step.pause

    def answers(self, *answers: Answer) -> JobSnapshot | None:
        try:
            for answer in answers:
                self._take(self._steps.send(answer))
        except StopIteration as end:
            found: JobSnapshot = end.value
            return found
        return None


def test_it_asks_at_once_then_after_1_2_4_seconds_up_to_the_cap() -> None:
    asked = Asked()
    assert asked.answers(*[PENDING] * 7, DONE) == DONE
    assert asked.slept == [0, 1, 2, 4, 8, 16, 30, 30]
    assert asked.asked == ["/status"] + ["/v3/video-translations/vt_1"] * 7  # the newest job, and then that one


def test_it_gives_up_when_the_time_is_up_and_asks_once_more_then() -> None:
    asked = Asked(timeout=10)
    with pytest.raises(
        WaitTimeoutError, match="vt_1 has not ended after 10 s; its last known state is pending"
    ) as error:
        asked.answers(*[PENDING] * 9)
    assert asked.slept == [0, 1, 2, 4, 3]
    assert isinstance(error.value, TimeoutError)
    assert error.value.snapshot == PENDING


def test_a_status_that_nobody_knows_is_not_final_and_ends_with_the_time() -> None:
    strange = JobSnapshot("vt_1", "levitating", "pending")
    with pytest.raises(WaitTimeoutError, match="levitating"):
        Asked(timeout=60).answers(*[strange] * 99)


def test_it_gives_up_after_so_many_questions() -> None:
    with pytest.raises(WaitTimeoutError, match="3 questions"):
        Asked(PollPolicy(max_attempts=3)).answers(*[PENDING] * 9)


def test_passing_trouble_counts_as_a_question_and_its_hint_is_heeded() -> None:
    asked = Asked()
    assert (
        asked.answers(ServerUnreachableError("away"), RateLimitError("slow", status=429, retry_after=9.0), DONE) == DONE
    )
    assert asked.slept == [0, 1, 9]
    with pytest.raises(WaitTimeoutError, match="the last question failed: away"):
        Asked(timeout=0).answers(ServerUnreachableError("away"))


def test_a_refusal_is_raised_at_once() -> None:
    with pytest.raises(NotFoundError):
        Asked().answers(NotFoundError("no such job", status=404))


def test_each_line_says_attempt_status_and_next_try(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    Asked().answers(PENDING, DONE)
    assert "attempt 1: job vt_1 is pending; next in 1.0 s" in caplog.text
    assert "attempt 2: job vt_1 is completed" in caplog.text


def test_poll_status_asks_the_server_with_the_callers_clock(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    job_id = server.new_job()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            server.new_job()
            server.move(job_id, "failed", failure_message="no audio")

    assert client.poll_status(sleep=sleep, clock=lambda: sum(slept)).result == "error"
    assert slept == [0, 1, 2]
    with pytest.raises(WaitTimeoutError):
        client.poll_status(server.new_job(), timeout=5, sleep=slept.append, clock=lambda: sum(slept))


@pytest.mark.parametrize("name", ["poll", "safety_net"])
def test_what_is_no_policy_is_named_where_it_is_given(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a PollPolicy"):
        VideoTranslationClient("http://localhost:1", **{name: 5})  # type: ignore[arg-type]
    with (
        VideoTranslationClient("http://localhost:1") as client,
        pytest.raises(TypeError, match=r"^policy must be a Poll"),
    ):
        client.poll_status("vt_1", 60)  # type: ignore[arg-type]
