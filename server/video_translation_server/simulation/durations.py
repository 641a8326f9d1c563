"""How long a job takes: drawn from a distribution, then by the video's length, the mode and the languages asked for.

What happens in that time is `planner`'s business.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from video_translation_server.model import Subject

Distribution = Literal["fixed", "uniform", "lognormal"]

NINETY_PERCENT = NormalDist().inv_cdf(0.95)
"""So many standard deviations to each side hold 90 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long jobs take.

    Attributes:
        seconds: The range; its middle where `distribution` is fixed, 90 % of all where it is lognormal.
        distribution: How the range is used.
        per_video_minute: Seconds more for each minute of the video.
        video_seconds: The length of a video that nobody knows.
        precision_factor: How much longer the mode `precision` takes.
        per_language: By which share each further language of the request makes it longer.
    """

    seconds: tuple[float, float]
    distribution: Distribution = "uniform"
    per_video_minute: float = 0
    video_seconds: float = 0
    precision_factor: float = 1
    per_language: float = 0

    def draw(self, chance: float, subject: Subject) -> float:
        """The seconds of one job, for a number between 0 and 1."""
        return self._base(chance) * self._factor(subject) + self.per_video_second(subject) * self.video(subject)

    def video(self, subject: Subject) -> float:
        """How long the video is, or is taken to be, seconds."""
        return self.video_seconds if subject.video_seconds is None else subject.video_seconds

    def per_video_second(self, subject: Subject) -> float:
        """By how much the job takes longer for each second of the video."""
        return self.per_video_minute / 60 * self._factor(subject)

    def _factor(self, subject: Subject) -> float:
        return (self.precision_factor if subject.is_precise else 1.0) * (
            1 + self.per_language * (subject.languages - 1)
        )

    def _base(self, chance: float) -> float:
        low, high = self.seconds
        if self.distribution == "fixed":
            return (low + high) / 2
        if self.distribution == "uniform" or low == high:
            return low + (high - low) * chance
        middle, half = (math.log(low) + math.log(high)) / 2, (math.log(high) - math.log(low)) / 2
        # The ends of the range of chances have no place in a normal distribution.
        return math.exp(NormalDist(middle, half / NINETY_PERCENT).inv_cdf(min(max(chance, 1e-12), 1 - 1e-12)))
