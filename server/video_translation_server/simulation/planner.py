"""A job's fate, decided once at its creation from settings, script and seed.

The plan is stored with the job, so a restart changes nothing.
"""

import random

from video_translation_server.model import Plan
from video_translation_server.wire.requests import Script

FAILURE_MESSAGE = "The simulated translation failed"


class Planner:
    """Draws plans."""

    def __init__(
        self, *, seconds: tuple[float, float], pending_share: float, error_rate: float, seed: int | None
    ) -> None:
        """Plans of `seconds` (a range) from creation to end, of which `pending_share` is spent waiting."""
        self._seconds = seconds
        self._pending_share = pending_share
        self._error_rate = error_rate
        self._random = random.Random(seed)  # noqa: S311  (a simulation, and reproducible on purpose)

    def plan(self, script: Script) -> Plan:
        """The plan for one job; what the script says wins over chance."""
        # Both are always drawn, so that a script for one job leaves the others' fates as they were.
        drawn, chance = self._random.uniform(*self._seconds), self._random.random()
        seconds = drawn if script.duration_seconds is None else script.duration_seconds
        fails = chance < self._error_rate if script.outcome is None else script.outcome == "failed"
        pending = seconds * self._pending_share
        return Plan(
            pending_seconds=pending,
            running_seconds=seconds - pending,
            failure_message=(script.error_message or FAILURE_MESSAGE) if fails else None,
        )
