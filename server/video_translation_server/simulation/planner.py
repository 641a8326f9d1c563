"""A job's fate, decided once at its creation from settings, scripts and seed.

The plan is stored with the job, so a restart changes nothing.
"""

import random

from video_translation_server.model import Plan, Subject
from video_translation_server.simulation.scenario import Scenario
from video_translation_server.wire.scripts import Script, failure_text

FAILURE_MESSAGE = "The simulated translation failed"


class Planner:
    """Draws plans."""

    def __init__(
        self,
        *,
        seconds: tuple[float, float],
        pending_share: float,
        error_rate: float,
        seed: int | None,
        scenario: Scenario | None = None,
        defaults: Script | None = None,
    ) -> None:
        """Plans of `seconds` (a range) from creation to end, of which `pending_share` is spent waiting.

        What a request leaves open the scenario decides, then `defaults`, then chance.
        """
        self._seconds = seconds
        self._pending_share = pending_share
        self._error_rate = error_rate
        self._random = random.Random(seed)  # noqa: S311  (a simulation, and reproducible on purpose)
        self._scenario = scenario or Scenario()
        self._defaults = defaults or Script()
        self._number = 0

    def plan(self, script: Script, subject: Subject | None = None) -> Plan:
        """The plan for one job; what its request's script says wins."""
        self._number += 1
        scenario = self._scenario.script(subject or Subject(), self._number)
        script = script.over(scenario.over(self._defaults))
        # Both are always drawn, so that a script for one job leaves the others' fates as they were.
        drawn, chance = self._random.uniform(*self._seconds), self._random.random()
        seconds = drawn if script.duration_seconds is None else script.duration_seconds
        if script.progression == "immediate":
            seconds = 0
        fails = chance < self._error_rate if script.outcome is None else script.outcome == "failed"
        pending = seconds * self._pending_share
        return Plan(
            pending_seconds=pending,
            running_seconds=seconds - pending,
            failure_message=failure_text(script.error_message or FAILURE_MESSAGE) if fails else None,
            is_manual=script.progression == "manual",
            polls=script.polls if script.progression == "manual" else None,
            url_delay=script.url_delay_seconds or 0,
        )
