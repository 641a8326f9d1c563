from __future__ import annotations

import email.utils
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from video_translation_client._base_urls import REST, BaseUrls
from video_translation_client._limiter import Limiter
from video_translation_client._options import Options
from video_translation_client._retry import RetryPolicy, is_passing, read_retry_after

NOW = 1_763_683_200.0


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize(
    ("status", "code", "passing"),
    [
        (408, None, True),
        (429, "rate_limit_exceeded", True),
        (500, None, True),
        (503, "internal_error", True),
        (409, "request_in_progress", True),
        (409, "conflict", False),
        (400, "invalid_parameter", False),
        (401, "unauthorized", False),
        (404, "request_in_progress", False),
        (200, None, False),
    ],
)
def test_what_may_pass_is_repeated_and_what_stays_is_not(status: int, code: str | None, passing: bool) -> None:
    assert is_passing(status, code) is passing


def test_pauses_grow_up_to_a_cap_with_jitter() -> None:
    steady = RetryPolicy(jitter=lambda: 0.0)
    assert [steady.pause(number) for number in (1, 2, 3, 20, 100_000)] == [0.2, 0.4, 0.8, 8.0, 8.0]
    assert RetryPolicy(jitter=lambda: 1.0).pause(1) == 0.25


def test_the_services_hint_is_a_floor_and_one_beyond_all_patience_ends_it() -> None:
    policy = RetryPolicy(jitter=lambda: 0.0)
    assert (policy.pause(1, hint=3.0), policy.pause(3, hint=0.1), policy.pause(1, hint=30.0)) == (3.0, 0.8, 30.0)
    assert policy.pause(1, hint=31.0) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12.0),
        (" 0 ", 0.0),
        (email.utils.formatdate(NOW + 90, usegmt=True), 90.0),
        (email.utils.formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=40))
@example("0\x1f")
@example("9" * 400)
@example("Fri, 31 Dec 99999 23:59:59 GMT")
@settings(max_examples=200, deadline=None)
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    seconds = read_retry_after(value, now=NOW)
    assert seconds is None or seconds >= 0


def test_a_limiter_lets_a_burst_go_and_then_keeps_the_rate() -> None:
    clock = Clock()
    limiter = Limiter(2.0, clock=clock)
    assert [limiter.reserve() for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]
    clock.time += 1.0
    assert limiter.reserve() == 0.5
    limiter.give_back()
    assert limiter.reserve() == 0.5
    clock.time += 100.0
    assert [limiter.reserve() for _ in range(3)] == [0.0, 0.0, 0.5]


@given(st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_no_second_ever_sees_more_than_the_rate_allows(gaps: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(5.0, burst=1.0, clock=clock)
    turns = []
    for gap in gaps:
        clock.time += gap
        turns.append(clock.time + limiter.reserve())
    assert all(later - earlier >= 0.2 - 1e-9 for earlier, later in itertools.pairwise(turns))


def test_no_rate_is_no_limit_and_none_at_all_is_refused() -> None:
    assert [Limiter(None).reserve() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert Limiter(0.1).reserve() == 0.0
    with pytest.raises(ValueError, match="rate_limit"):
        Limiter(0.0)


def test_a_url_that_does_not_work_is_set_aside_and_one_that_does_is_kept() -> None:
    clock = Clock()
    urls = BaseUrls(["http://a/", "http://b", "http://a"], clock=clock)
    assert (len(urls), urls.current()) == (2, "http://a")
    urls.set_aside("http://a")
    assert urls.current() == "http://b"
    urls.works("http://b")
    clock.time += REST + 1
    assert urls.current() == "http://b"  # sticky: it works
    urls.set_aside("http://b")
    assert urls.current() == "http://a"
    clock.time += 1
    urls.set_aside("http://a")
    assert urls.current() == "http://b"  # all rest: the one that is back first
    urls.works("http://a")
    assert urls.current() == "http://a"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "https:///v3", "http://user:secret@a"])
def test_a_base_url_that_will_not_do_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        BaseUrls([url])
    with pytest.raises(ValueError, match="empty"):
        BaseUrls([])


def test_options_complete_each_other_and_header_names_ignore_case() -> None:
    below = Options(timeout=10.0, max_retries=2, headers={"X-Team": "a", "x-b": "1"})
    above = Options(max_retries=0, headers={"x-team": "c"}, idempotency_key="k")
    assert above.over(below) == Options(10.0, 0, {"x-team": "c", "x-b": "1"}, "k")
    assert "secret" not in repr(Options(headers={"authorization": "Bearer secret"}))
    for wrong in ({"timeout": 0.0}, {"timeout": float("nan")}, {"max_retries": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Options(**wrong)
