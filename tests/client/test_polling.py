from __future__ import annotations

import pytest

from video_translation_client import PollPolicy
from video_translation_client._polling import SAFETY_NET


def test_delays_grow_to_the_cap() -> None:
    policy = PollPolicy(jitter=0.0)
    assert [policy.delay(n) for n in (1, 2, 3, 7, 8, 100_000)] == [2.0, 3.0, 4.5, 22.78125, 30.0, 30.0]


@pytest.mark.parametrize(("roll", "expected"), [(0.0, 1.5), (0.5, 2.0), (1.0, 2.5)])
def test_jitter_goes_both_ways(roll: float, expected: float) -> None:
    assert PollPolicy(rng=lambda: roll).delay(1) == expected


def test_the_services_hint_is_a_floor() -> None:
    assert PollPolicy(jitter=0.0).delay(1, floor=17.0) == 17.0
    assert PollPolicy(jitter=0.0).delay(9, floor=1.0) == 30.0


def test_the_safety_net_doubles_to_ten_minutes() -> None:
    assert [SAFETY_NET.delay(n) for n in (1, 2, 3, 4, 5, 6)] == [60, 120, 240, 480, 600, 600]


@pytest.mark.parametrize("wrong", [{"first": 0.0}, {"factor": 0.5}, {"cap": 1.0}, {"jitter": 2.0}])
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="policy"):
        PollPolicy(**wrong)  # type: ignore[arg-type]
