"""What goes wrong in a run, drawn from its seed: how receivers misbehave, and when and where the server is killed.

A plan is drawn in the order in which things happen, so a race may still deal the same faults differently.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

POINTS = ("before commit", "after commit", "after claim", "before settle")
"""The points at which the server can be made to kill itself; `before settle` is after the send."""

PASSES_PER_SECOND = 200
"""How often each point is passed under the harness's load, roughly."""

RANDOM, STARTING = "a random moment", "starting"


class Fault(Enum):
    """What a receiver does with one request."""

    NONE = "take it at once"
    SLOW = "take it after a while, within the deadline"
    ERROR = "500"
    UNAVAILABLE = "503 with Retry-After 1"
    HANG = "read it and never answer"
    RESET_BEFORE = "reset the connection before it is read"
    RESET_AFTER = "reset the connection after it is read"
    SWALLOW = "take it, and cut the connection in the middle of the 2xx answer"


@dataclass(frozen=True, slots=True)
class Profile:
    """How one receiver behaves.

    Attributes:
        faults: The share of each fault; the rest is taken at once.
        goes_down: Whether it refuses connections for a while, now and then.
        is_late: Whether it is registered only when the run is under way.
        only_endings: Whether it subscribes to `success` and `fail` alone.
    """

    name: str
    faults: Mapping[Fault, float]
    goes_down: bool = False
    is_late: bool = False
    only_endings: bool = False


PROFILES = (
    # One that can always be delivered to: what a restarted server settles first must not hang on the dice.
    Profile("steady", {Fault.SLOW: 0.1, Fault.SWALLOW: 0.05}),
    Profile("failing", {Fault.ERROR: 0.25, Fault.UNAVAILABLE: 0.05, Fault.SLOW: 0.1}),
    Profile("hanging", {Fault.HANG: 0.1, Fault.SLOW: 0.3}),
    Profile("cutting", {Fault.RESET_BEFORE: 0.1, Fault.RESET_AFTER: 0.1, Fault.SWALLOW: 0.15}),
    Profile("down", {Fault.ERROR: 0.05}, goes_down=True),
    Profile("late", {Fault.ERROR: 0.1, Fault.SWALLOW: 0.05, Fault.HANG: 0.03}, goes_down=True, is_late=True),
    Profile("endings", {Fault.ERROR: 0.1, Fault.RESET_AFTER: 0.1, Fault.SLOW: 0.1}, only_endings=True),
)

SLOWEST = 0.4
"""Seconds of the slowest answer that is still meant to be in time."""


class Faults:
    """One receiver's misbehaviour, request by request, until it is told to behave."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self._random = random.Random(f"{seed} {profile.name}")
        self._names = [*profile.faults, Fault.NONE]
        self._shares = [*profile.faults.values(), 1 - sum(profile.faults.values())]
        self._outages = random.Random(f"{seed} {profile.name} outages")
        self.is_calm = False

    def draw(self) -> Fault:
        """What happens to the next request."""
        (fault,) = self._random.choices(self._names, self._shares)
        return Fault.NONE if self.is_calm else fault

    def delay(self) -> float:
        """Seconds that a slow answer takes."""
        return self._random.uniform(0.05, SLOWEST)

    def outage(self) -> tuple[float, float]:
        """Seconds until the next outage, and how long it lasts."""
        return self._outages.uniform(1, 5), self._outages.uniform(0.3, 2)


@dataclass(frozen=True, slots=True)
class Fate:
    """How one server process ends.

    Attributes:
        point: Where it kills itself, or why the harness does.
        passes: On which pass of the point.
        seconds: At a random moment: how long after it was ready (or, where it is killed while it starts, after
            it was started). At a point: when the harness stops to wait for it.
    """

    point: str
    passes: int
    seconds: float

    @property
    def is_named(self) -> bool:
        """Whether the process kills itself."""
        return self.point in POINTS


class Fates:
    """Endings without end: in each round of six, every named point once and two random moments.

    The first is a random moment of a process that was ready, so that a run can set up before it.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(f"{seed} fates")
        self._round = [RANDOM, *self._shuffled([*POINTS, RANDOM])]

    def next(self, slot: float) -> Fate:
        """How the next process ends; `slot` is how many seconds it should live, more or less."""
        point = self._round.pop(0)
        self._round = self._round or self._shuffled([*POINTS, RANDOM, self._draw.choice([RANDOM, STARTING])])
        if point in POINTS:
            return Fate(point, passes=self._passes(slot), seconds=max(6.0, 3 * slot))
        if point == STARTING:
            return Fate(point, passes=0, seconds=self._draw.uniform(0.05, 0.8))
        return Fate(point, passes=0, seconds=slot * self._draw.uniform(0.2, 1.5))

    def _passes(self, slot: float) -> int:
        """Few as often as many: some processes die while they recover, some in full swing."""
        most = max(2, round(PASSES_PER_SECOND * slot))
        return self._draw.choice([self._draw.randint(1, most), round(math.pow(most, self._draw.random()))])

    def _shuffled(self, points: list[str]) -> list[str]:
        self._draw.shuffle(points)
        return points
