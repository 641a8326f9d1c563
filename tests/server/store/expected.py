"""What a store is to hold after any sequence of verbs: the rules of delivery written down a second time, in memory.

Small and slow on purpose: one list of deliveries, and each rule a loop over it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from video_translation_server.model import Change, Claim, DeliveryState
from video_translation_server.wire.events import FINAL_TYPES, PROGRESS

FIRST, AGAIN = 0, 1


@dataclass(slots=True, eq=False)
class Way:
    """One event on its way to one endpoint; `until` is when its lease ends, in real time."""

    endpoint: str
    job: str
    event: str
    type: str
    position: int
    state: DeliveryState
    due: float | None
    lane: int = FIRST
    attempts: int = 0
    tries: int = 0
    hurries: int = 0
    claim: Claim | None = None
    until: float = 0.0

    @property
    def place(self) -> tuple[str, str, int]:
        return (self.endpoint, self.job, self.lane)

    @property
    def is_free(self) -> bool:
        return self.state is DeliveryState.DUE and self.claim is None

    def make_due(self, now: float) -> None:
        self.state, self.due = DeliveryState.DUE, now

    def end(self, state: DeliveryState) -> None:
        self.state, self.due, self.claim = state, None, None


@dataclass(slots=True, eq=False)
class Health:
    """How an endpoint answers, and what it is spared for it."""

    events: frozenset[str]
    is_enabled: bool = True
    is_failing: bool = False
    strain: int = 0
    paused_until: float = 0.0


@dataclass(slots=True)
class Expected:
    """The deliveries and endpoints that a store should have."""

    endpoints: dict[str, Health] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    # Asking

    def open(self, place: tuple[str, str, int] | None = None) -> list[Way]:
        return [way for way in self.ways if way.state.is_open and place in (None, way.place)]

    def held(self) -> list[Way]:
        return [way for way in self.ways if way.claim is not None]

    def room(self, name: str, now: float, per_endpoint: int) -> int:
        """How many more attempts an endpoint may get now."""
        health = self.endpoints[name]
        if not health.is_enabled or health.paused_until > now:
            return 0
        return max(1, per_endpoint >> health.strain) - sum(way.endpoint == name for way in self.held())

    def ready(self, now: float) -> list[Way]:
        """What is due and free, wherever it goes."""
        return [way for way in self.ways if way.is_free and way.due is not None and way.due <= now]

    def next_due(self, now: float) -> float | None:
        times = []
        for name, health in self.endpoints.items():
            due = [way.due for way in self.ways if way.endpoint == name and way.is_free and way.due is not None]
            if due and health.is_enabled:
                times.append(max(min(due), health.paused_until))
        return min((at for at in times if at > now), default=None)

    # Recording

    def record(self, change: Change, now: float) -> None:
        event = change.event
        self.events.append(event.id)
        job = change.job.id
        if event.type == PROGRESS:
            for way in self.open():
                if (way.job, way.type, way.lane) == (job, PROGRESS, FIRST) and way.claim is None:
                    way.end(DeliveryState.SUPERSEDED)
                    self.release_next(way.place, now)
        for name, health in self.endpoints.items():
            if event.type in health.events:
                waits = bool(self.open((name, job, FIRST)))
                state, due = (DeliveryState.WAITING, None) if waits else (DeliveryState.DUE, now)
                self.ways.append(Way(name, job, event.id, event.type, len(self.events), state, due))
        self.supersede(job, now)

    def supersede(self, job: str, now: float) -> None:
        for way in self.open():
            has_failed = way.tries >= 3 and way.is_free and way.type not in FINAL_TYPES
            if way.job == job and way.lane == FIRST and has_failed and len(self.open(way.place)) > 1:
                way.end(DeliveryState.SUPERSEDED)
                self.release_next(way.place, now)

    def release_next(self, place: tuple[str, str, int], now: float) -> None:
        rest = sorted(self.open(place), key=lambda way: way.position)
        if rest and all(way.state is DeliveryState.WAITING for way in rest):
            rest[0].make_due(now)

    # Settling

    def settle(self, way: Way, how: str, now: float) -> None:
        assert way.claim is not None
        way.attempts, way.tries, way.claim = way.claim.attempt, way.claim.tries, None
        match how:
            case "delivered":
                way.end(DeliveryState.DELIVERED)
            case "dead":
                way.end(DeliveryState.DEAD)
            case "gone":
                way.make_due(now)
            case _:
                way.make_due(now + 15)
        self.release_next(way.place, now)
        self.supersede(way.job, now)
        health = self.endpoints[way.endpoint]
        if how == "delivered":
            self.recover(way.endpoint, health, now)
            return
        health.is_failing = True
        if how == "gone":
            health.is_enabled = False
        if how == "strained" and health.paused_until <= now:
            health.paused_until = now + min(2**health.strain, 30)
            health.strain = min(health.strain + 1, 6)

    def recover(self, name: str, health: Health, now: float) -> None:
        if health.is_failing:
            for way in self.later(name, now):
                if way.hurries < 3:
                    way.due, way.hurries = now, way.hurries + 1
        health.is_failing, health.paused_until, health.strain = False, 0.0, max(health.strain - 1, 0)

    def enable(self, name: str, now: float) -> None:
        self.endpoints[name] = Health(self.endpoints[name].events)
        for way in self.later(name, now):
            way.due = now

    def later(self, name: str, now: float) -> Iterable[Way]:
        return [
            way for way in self.ways if way.endpoint == name and way.is_free and way.due is not None and way.due > now
        ]

    # Taking up again, and forgetting

    def resend(self, way: Way, now: float) -> None:
        if way.state.is_open:
            if way.claim is None:
                way.due, way.tries = now, 0
            return
        way.lane, way.tries, way.hurries = AGAIN, 0, 0
        if self.open(way.place):
            way.state = DeliveryState.WAITING
        else:
            way.make_due(now)

    def forget(self, name: str) -> None:
        del self.endpoints[name]
        for way in self.open():
            if way.endpoint == name:
                way.end(DeliveryState.DEAD)
