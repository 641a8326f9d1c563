"""A job's fate, decided once at its creation from settings, scripts and seed.

The plan is stored with the job, so a restart changes nothing.
"""

import random
from dataclasses import dataclass

from msgspec.structs import replace

from video_translation_server.model import FAST, MAIN, Plan, Subject
from video_translation_server.simulation.durations import Durations
from video_translation_server.simulation.scenario import Scenario
from video_translation_server.wire.scripts import Script

FAILURE_MESSAGE = "The simulated translation failed"


@dataclass(frozen=True, slots=True)
class Odds:
    """How often runs go wrong, and what follows.

    Attributes:
        error: Probability that a run ends in an error.
        stall: Probability that a run stalls.
        stall_timeout: Seconds after which a run that stalls is given up.
        retries: How often a job goes back to the queue before it fails.
    """

    error: float
    stall: float = 0
    stall_timeout: float = 60
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """How jobs stand in line where not all of them run at once.

    Attributes:
        ageing: Seconds of waiting that weigh as much as one step of priority.
        fast_seconds: Jobs that run no longer have a lane of their own; None: there is none.
    """

    ageing: float = 60
    fast_seconds: float | None = None

    def lane(self, seconds: float) -> int:
        """Where a job that runs so long stands."""
        return MAIN if self.fast_seconds is None or seconds > self.fast_seconds else FAST


@dataclass(frozen=True, slots=True)
class _Course:
    """How a job's runs end: so many retries, which of its runs stall, and whether the last one fails."""

    retries: int
    stalled: tuple[int, ...]
    fails: bool


class Planner:
    """Draws plans."""

    def __init__(
        self,
        *,
        durations: Durations,
        pending_share: float,
        odds: Odds,
        line: Line | None = None,
        seed: int | None,
        scenario: Scenario | None = None,
        defaults: Script | None = None,
    ) -> None:
        """Plans of `durations` from creation to end, of which `pending_share` is spent waiting.

        With a `line`, jobs wait there instead, and run for the whole of that time.

        What a request leaves open the scenario decides, then `defaults`, then chance.
        """
        self._line = line
        self._scenario = scenario or Scenario()
        self.configure(durations=durations, pending_share=pending_share, odds=odds, defaults=defaults)
        self.restart(seed)

    def configure(
        self, *, durations: Durations, pending_share: float, odds: Odds, defaults: Script | None = None
    ) -> None:
        """Draw for the jobs to come with other settings; what was drawn stays."""
        self._durations = durations
        self._pending_share = pending_share
        self._odds = odds
        self._defaults = defaults or Script()

    def restart(self, seed: int | None) -> None:
        """Draw from the beginning again: with a seed, the same fates in the same order."""
        self._random = random.Random(seed)  # noqa: S311  (a simulation, and reproducible on purpose)
        self._number = 0

    def plan(self, script: Script, subject: Subject | None = None) -> Plan:
        """The plan for one job; what its request's script says wins."""
        self._number += 1
        subject = subject or Subject()
        scenario = self._scenario.script(subject, self._number)
        script = script.over(scenario.over(self._defaults))
        # Everything is always drawn, so that a script for one job leaves the others' fates as they were.
        chance = self._random.random()
        course = _scripted(script, self._draw_course(), self._odds.retries)
        drawn = self._durations.draw(chance, subject)
        seconds = drawn if script.duration_seconds is None else script.duration_seconds
        if script.progression == "immediate":
            seconds = 0
        by_time = script.progression in (None, "time")
        line = self._line if by_time else None
        failure = _failure(script, course)
        is_drawn = script.duration_seconds is None and script.progression != "immediate"
        plan = Plan(
            pending_seconds=0,
            running_seconds=seconds,
            failure_message=None if failure is None else self.failure_text(failure),
            is_manual=script.progression == "manual",
            polls=script.polls if script.progression == "manual" else None,
            url_delay=script.url_delay_seconds or 0,
            lane=None if line is None else MAIN,
            head_start=0 if line is None else subject.priority * line.ageing,
            steps=(script.progress_steps or 1) if by_time else 1,
            retries=course.retries,
            stalled_runs=course.stalled if by_time else (),
            stall_timeout=self._odds.stall_timeout if course.stalled and by_time else 0,
            video_seconds=self._durations.video(subject),
            per_video_second=self._durations.per_video_second(subject) if is_drawn else 0,
        )
        return self._timed(plan, seconds)

    def failure_text(self, message: str) -> str:
        """The text of a preset, or the message itself where it names none."""
        return self._scenario.failure_text(message)

    def fit(self, plan: Plan, video_seconds: float) -> Plan:
        """The same fate for a video that is found to be of this length, in seconds."""
        known = plan.video_seconds or 0
        seconds = plan.pending_seconds + plan.running_seconds + plan.per_video_second * (video_seconds - known)
        return self._timed(replace(plan, video_seconds=video_seconds), max(seconds, 0))

    def _timed(self, plan: Plan, seconds: float) -> Plan:
        """The plan with so much time from creation to end, and in the lane of jobs that take so long."""
        in_line = plan.lane is not None and self._line is not None
        pending = 0 if in_line else seconds * self._pending_share
        lane = self._line.lane(seconds) if in_line and self._line is not None else None
        return replace(plan, pending_seconds=pending, running_seconds=seconds - pending, lane=lane)

    def _draw_course(self) -> _Course:
        """What chance says; as many numbers are drawn for each job."""
        odds, runs = self._odds, range(1, self._odds.retries + 2)
        errors = [self._random.random() < odds.error for _ in runs]
        stalls = [self._random.random() < odds.stall for _ in runs] if odds.stall else [False] * len(runs)
        bad = next((count for count, ends in enumerate(zip(errors, stalls, strict=True)) if not any(ends)), len(runs))
        stalled = tuple(run for run in runs if run <= bad and stalls[run - 1])
        return _Course(retries=min(bad, odds.retries), stalled=stalled, fails=bad == len(runs))


def _scripted(script: Script, drawn: _Course, limit: int) -> _Course:
    """What the script makes of the course that chance has drawn."""
    retries, stalled, fails = drawn.retries, drawn.stalled, drawn.fails
    if script.stalls is not None:
        stalled = tuple(range(1, script.stalls + 1))
        fails = fails or script.stalls > limit
        retries = min(max(retries, script.stalls), limit)
    if script.outcome is not None:
        fails = script.outcome == "failed"
        retries = limit if fails else max(retries, script.stalls or 0)
    if script.retries is not None:
        retries = script.retries
        fails = fails or (script.outcome is None and (script.stalls or 0) > retries)
    last = retries + 1 if fails else retries
    return _Course(retries=retries, stalled=tuple(run for run in stalled if run <= last), fails=fails)


def _failure(script: Script, course: _Course) -> str | None:
    """What the job says at its end, a preset's name or a text; None where it does not fail."""
    if not course.fails:
        return None
    timed_out = course.retries + 1 in course.stalled
    return script.error_message or ("timeout" if timed_out else FAILURE_MESSAGE)
