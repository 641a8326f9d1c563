"""A job's fate: from settings, from its own script, from the seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.simulation.conftest import MakePlanner
from video_translation_server.model import Plan
from video_translation_server.simulation.durations import Durations
from video_translation_server.simulation.planner import Odds, Planner
from video_translation_server.wire.scripts import Script


def plans(planner: Planner, count: int = 2000) -> list[Plan]:
    return [planner.plan(Script()) for _ in range(count)]


def total(plan: Plan) -> float:
    return plan.pending_seconds + plan.running_seconds


def test_a_fixed_time_is_divided_by_the_share(make_planner: MakePlanner) -> None:
    plan = make_planner(seconds=(10, 10), pending_share=0.1, error_rate=0).plan(Script())
    assert plan == Plan(pending_seconds=1, running_seconds=9, failure_message=None, video_seconds=0)


def test_a_range_is_used_whole_and_never_left(make_planner: MakePlanner) -> None:
    times = [total(plan) for plan in plans(make_planner(seconds=(5, 15)))]
    assert all(5 <= seconds <= 15 for seconds in times)
    assert min(times) < 6
    assert max(times) > 14
    assert sum(times) / len(times) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("rate", "low", "high"), [(0, 0, 0), (1, 2000, 2000), (0.1, 150, 250), (0.5, 900, 1100)])
def test_the_error_rate_is_a_probability(make_planner: MakePlanner, rate: float, low: int, high: int) -> None:
    failed = sum(plan.failure_message is not None for plan in plans(make_planner(error_rate=rate)))
    assert low <= failed <= high


def test_the_same_seed_draws_the_same_fates(make_planner: MakePlanner) -> None:
    first, second, third = (plans(make_planner(seconds=(1, 9), seed=seed), 50) for seed in (1, 1, 2))
    assert first == second
    assert first != third


def test_without_a_seed_every_run_differs(make_planner: MakePlanner) -> None:
    assert plans(make_planner(seconds=(1, 9), seed=None), 5) != plans(make_planner(seconds=(1, 9), seed=None), 5)


@pytest.mark.parametrize("rate", [0, 1])
def test_the_script_wins_over_chance(make_planner: MakePlanner, rate: float) -> None:
    planner = make_planner(error_rate=rate)
    done = planner.plan(Script(outcome="completed", duration_seconds=60))
    assert (total(done), done.failure_message) == (60, None)
    failed = planner.plan(Script(outcome="failed", error_message="No audio", duration_seconds=0))
    assert (total(failed), failed.failure_message) == (0, "No audio")
    assert planner.plan(Script(outcome="failed")).failure_message


def test_a_message_alone_is_only_for_those_who_fail(make_planner: MakePlanner) -> None:
    assert make_planner(error_rate=1).plan(Script(error_message="why")).failure_message == "why"
    assert make_planner(error_rate=0).plan(Script(error_message="why")).failure_message is None


def test_one_jobs_script_leaves_the_others_fates_alone(make_planner: MakePlanner) -> None:
    plain, scripted = make_planner(seconds=(1, 9)), make_planner(seconds=(1, 9))
    expected = plans(plain, 3)
    found = [scripted.plan(script) for script in (Script(), Script(outcome="failed", duration_seconds=3), Script())]
    assert (found[0], found[2]) == (expected[0], expected[2])


def test_a_job_fails_only_when_its_retries_are_used_up(make_planner: MakePlanner) -> None:
    drawn = plans(make_planner(error_rate=0.5, odds={"retries": 2}), 4000)
    share = {
        name: sum(plan.failure_message is not None for plan in drawn if plan.retries == name) / len(drawn)
        for name in (0, 1, 2)
    }
    assert (share[0], share[1]) == (0, 0)
    assert share[2] == pytest.approx(0.125, abs=0.02)
    retried = [sum(plan.retries == count for plan in drawn) / len(drawn) for count in (0, 1, 2)]
    assert retried == pytest.approx([0.5, 0.25, 0.25], abs=0.03)


def test_stalls_are_as_frequent_as_asked_for_and_count_as_errors(make_planner: MakePlanner) -> None:
    drawn = plans(make_planner(error_rate=0, odds={"stall": 0.25, "stall_timeout": 9}))
    stalled = [plan for plan in drawn if plan.stalled_runs]
    assert len(stalled) / len(drawn) == pytest.approx(0.25, abs=0.03)
    assert {(plan.stalled_runs, plan.stall_timeout, plan.retries) for plan in stalled} == {((1,), 9, 0)}
    assert {plan.failure_message for plan in stalled} == {"The translation took too long and was given up"}


@pytest.mark.parametrize(
    ("script", "retries", "stalled", "fails"),
    [
        (Script(outcome="failed"), 2, (), True),
        (Script(outcome="completed"), 0, (), False),
        (Script(outcome="completed", retries=5), 5, (), False),
        (Script(outcome="failed", retries=0), 0, (), True),
        (Script(stalls=1), 1, (1,), False),
        (Script(stalls=3), 2, (1, 2, 3), True),
        (Script(stalls=9), 2, (1, 2, 3), True),
        (Script(stalls=9, outcome="completed"), 9, tuple(range(1, 10)), False),
        (Script(stalls=1, retries=0), 0, (1,), True),
        (Script(stalls=1, outcome="failed"), 2, (1,), True),
    ],
)
def test_a_script_says_how_the_runs_end(
    make_planner: MakePlanner, script: Script, retries: int, stalled: tuple[int, ...], fails: bool
) -> None:
    plan = make_planner(error_rate=0, odds={"retries": 2}).plan(script)
    assert (plan.retries, plan.stalled_runs, plan.failure_message is not None) == (retries, stalled, fails)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1), st.integers())
def test_the_parts_always_make_the_whole(one: float, other: float, share: float, seed: int) -> None:
    low, high = sorted((one, other))
    plan = Planner(durations=Durations(seconds=(low, high)), pending_share=share, odds=Odds(error=0), seed=seed).plan(
        Script()
    )
    assert plan.pending_seconds >= 0
    assert plan.running_seconds >= 0
    assert low - 1e-6 <= total(plan) <= high + 1e-6
