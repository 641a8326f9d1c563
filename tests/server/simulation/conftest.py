"""Planners with the settings that a test names."""

from collections.abc import Callable
from typing import Any

import pytest

from video_translation_server.simulation.durations import Durations
from video_translation_server.simulation.planner import Odds, Planner

MakePlanner = Callable[..., Planner]


@pytest.fixture
def make_planner() -> MakePlanner:
    def make(**settings: Any) -> Planner:
        defaults: dict[str, Any] = {"seconds": (10, 10), "pending_share": 0.1, "error_rate": 0.1, "seed": 7}
        given = defaults | settings
        odds = Odds(**({"error": given.pop("error_rate")} | given.pop("odds", {})))
        durations = Durations(seconds=given.pop("seconds"), **given.pop("durations", {}))
        return Planner(odds=odds, durations=durations, **given)

    return make
