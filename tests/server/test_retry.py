"""The judge: what counts as success, the schedule and its jitter, the end of the window, `Retry-After`."""

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_translation_server.model import Dead, Delivered, Gone, Outcome, OutcomeKind, RetryAt
from video_translation_server.retry import RetryPolicy, is_strained, is_success, retry_after_seconds

NOW = 1_800_000_000.0
POLICY = RetryPolicy()
CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)


def answer(status: int, retry_after: str | None = None) -> Outcome:
    return Outcome(kind=OutcomeKind.STATUS, status=status, retry_after=retry_after)


def delay_after(outcome: Outcome, *, attempt: int = 1, chance: float = 0.0, policy: RetryPolicy = POLICY) -> float:
    verdict = policy.judge(outcome, tries=attempt, now=NOW, chance=chance)
    assert isinstance(verdict, RetryAt)
    return verdict.due_at - NOW


# Success


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_2xx_is_success_on_any_attempt(status: int) -> None:
    for attempt in (1, 5, 11, 99):
        assert POLICY.judge(answer(status), tries=attempt, now=NOW, chance=0.5) == Delivered()


@pytest.mark.parametrize(
    "status", [100, 101, 199, 300, 301, 302, 303, 307, 308, 400, 404, 409, 411, 429, 500, 503, 599]
)
def test_everything_else_fails_redirects_too(status: int) -> None:
    assert not is_success(answer(status))
    assert delay_after(answer(status)) == 5


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind is not OutcomeKind.STATUS])
def test_no_answer_fails_also_where_a_status_was_seen(kind: OutcomeKind) -> None:
    assert not is_success(Outcome(kind=kind))
    assert not is_success(Outcome(kind=kind, status=200)), "a body that never ended is no receipt"
    assert delay_after(Outcome(kind=kind, status=200)) == 5


def test_an_answer_without_a_status_is_no_success() -> None:
    assert not is_success(Outcome(kind=OutcomeKind.STATUS))


# Gone and strained


@pytest.mark.parametrize("attempt", [1, 3, 11, 12])
def test_410_means_gone_on_any_attempt_whatever_it_asks_for(attempt: int) -> None:
    for outcome in (answer(410), answer(410, "120")):
        assert POLICY.judge(outcome, tries=attempt, now=NOW, chance=0.5) == Gone()
        assert not is_success(outcome)
        assert not is_strained(outcome), "it is not overloaded, it wants no more"


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind is not OutcomeKind.STATUS])
def test_410_without_a_whole_answer_is_a_failure_like_others(kind: OutcomeKind) -> None:
    assert delay_after(Outcome(kind=kind, status=410)) == 5


STRAINING = {429, 502, 503, 504}


@pytest.mark.parametrize("status", [200, 204, 301, 400, 408, 410, 425, 428, 429, 430, 500, 501, 502, 503, 504, 505])
def test_four_statuses_tell_of_strain(status: int) -> None:
    assert is_strained(answer(status)) is (status in STRAINING)


@pytest.mark.parametrize(
    ("kind", "strained"),
    [
        (OutcomeKind.BLOCKED, False),
        (OutcomeKind.DNS, False),
        (OutcomeKind.REFUSED, False),
        (OutcomeKind.CONNECT_TIMEOUT, True),
        (OutcomeKind.CONNECT_FAILED, False),
        (OutcomeKind.TLS, False),
        (OutcomeKind.RESET, False),
        (OutcomeKind.READ_TIMEOUT, True),
        (OutcomeKind.SLOW_BODY, True),
        (OutcomeKind.PROTOCOL, False),
    ],
)
def test_only_timeouts_tell_of_strain_where_no_answer_came(kind: OutcomeKind, *, strained: bool) -> None:
    assert is_strained(Outcome(kind=kind)) is strained
    assert is_strained(Outcome(kind=kind, status=503)) is strained, "a status that was seen on the way says nothing"


def test_an_answer_without_a_status_is_no_strain() -> None:
    assert not is_strained(Outcome(kind=OutcomeKind.STATUS))


# The schedule


@pytest.mark.parametrize(
    ("attempt", "delay"),
    list(enumerate([5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800], start=1)),
)
def test_the_default_schedule(attempt: int, delay: float) -> None:
    assert delay_after(answer(500), attempt=attempt) == delay
    assert delay_after(answer(500), attempt=attempt, chance=0.5) == pytest.approx(delay * 1.1)


def test_the_window_is_eleven_attempts_in_about_a_day() -> None:
    assert POLICY.judge(answer(500), tries=10, now=NOW, chance=0) != Dead()
    assert POLICY.judge(answer(500), tries=11, now=NOW, chance=0) == Dead()
    assert POLICY.judge(answer(500), tries=12, now=NOW, chance=0) == Dead()
    assert 23 * 3600 < sum(POLICY.delays) < 25 * 3600


@given(attempt=st.integers(min_value=1, max_value=10), chance=CHANCES)
def test_jitter_adds_up_to_a_fifth_and_never_takes_away(attempt: int, chance: float) -> None:
    delay = delay_after(answer(500), attempt=attempt, chance=chance)
    planned = POLICY.delays[attempt - 1]
    assert planned <= delay <= planned * 1.2 + 1e-6


def test_a_schedule_can_be_empty() -> None:
    policy = RetryPolicy(delays=())
    assert policy.judge(answer(500), tries=1, now=NOW, chance=0) == Dead()
    assert policy.judge(answer(200), tries=1, now=NOW, chance=0) == Delivered()


def test_a_policy_of_ones_own() -> None:
    policy = RetryPolicy(delays=(1, 2), jitter=0, max_retry_after=10)
    assert delay_after(answer(500), attempt=2, chance=0.9, policy=policy) == 2
    assert delay_after(answer(503, "60"), attempt=1, policy=policy) == 10
    assert policy.judge(answer(500), tries=3, now=NOW, chance=0) == Dead()


# Retry-After


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 5),
        ("4", 5),
        ("6", 6),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("-120", 5),
        ("1.5", 5),
        ("1e9", 5),
        ("", 5),
        ("soon", 5),
        ("nan", 5),
        ("inf", 5),
        ("\u0661\u0662\u0663\u0664", 5),
        ("Wed,", 5),
        ("\x00\xff", 5),
    ],
)
def test_seconds_are_a_floor_up_to_an_hour_and_garbage_is_none(header: str, delay: float) -> None:
    assert delay_after(answer(503, header)) == delay


@pytest.mark.parametrize(("seconds", "delay"), [(-86400, 5), (0, 5), (3, 5), (90, 90), (3600, 3600), (86400, 3600)])
def test_a_date_is_a_floor_up_to_an_hour(seconds: float, delay: float) -> None:
    when = datetime.fromtimestamp(NOW + seconds, UTC)
    assert delay_after(answer(503, format_datetime(when, usegmt=True))) == delay


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 15 Jan 2027 08:01:30 GMT",
        "Fri, 15 Jan 2027 08:01:30 -0000",
        "Fri, 15 Jan 2027 09:01:30 +0100",
        "Friday, 15-Jan-27 08:01:30 GMT",
        "Fri Jan 15 08:01:30 2027",
    ],
)
def test_a_date_may_have_every_form_of_the_standard(text: str) -> None:
    assert retry_after_seconds(text, now=NOW) == 90


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a running process cannot be set here")
def test_a_date_without_a_zone_is_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            assert retry_after_seconds("Fri Jan 15 08:01:30 2027", now=NOW) == 90
        finally:
            patch.undo()
            time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "1 Jan 99999999999999999999 00:00:00 GMT",
        "1 Jan 2030 00:00:99999999999999999999 GMT",
        "1 Jan 2030 00:00:00 +99999999999999",
        "32 Jan 2030 25:61:61 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "1 1 1 1 1 1 1",
    ],
)
def test_a_hostile_date_asks_for_nothing(text: str) -> None:
    assert retry_after_seconds(text, now=NOW) == 0


DATE_LIKE = st.lists(
    st.one_of(
        st.integers().map(str),
        st.sampled_from(["Mon,", "Jan", "GMT", "-", ":", "00:00:00", "+0100", "2030", ","]),
        st.text(max_size=4),
    ),
    max_size=8,
).map(" ".join)


@given(header=st.text() | DATE_LIKE, now=st.floats(min_value=0, max_value=4e9))
def test_no_header_whatsoever_upsets_the_judge(header: str, now: float) -> None:
    seconds = retry_after_seconds(header, now=now)
    assert 0 <= seconds < float("inf")
    verdict = POLICY.judge(answer(503, header), tries=1, now=now, chance=0)
    assert isinstance(verdict, RetryAt)
    assert now + 5 <= verdict.due_at <= now + 3600


def test_the_schedule_stays_where_it_is_later_than_asked() -> None:
    assert delay_after(answer(429, "120"), attempt=5) == 1800


def test_retry_after_does_not_lengthen_the_schedule_nor_matter_on_success() -> None:
    assert POLICY.judge(answer(503, "60"), tries=11, now=NOW, chance=0) == Dead()
    assert POLICY.judge(answer(200, "60"), tries=1, now=NOW, chance=0) == Delivered()


def test_a_header_that_is_absent_asks_for_nothing() -> None:
    assert retry_after_seconds(None, now=NOW) == 0
