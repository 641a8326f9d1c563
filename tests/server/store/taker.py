"""A worker as the store sees it while it hands over: so much room, and what was taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.server.store.builders import LEASE, NOW
from video_translation_server.model import Change, Claim
from video_translation_server.store import Store


@dataclass
class Taken:
    """A reservation of a taker."""

    taker: "Taker"
    places: int
    now: float
    per_endpoint: int
    lease: float

    def take(self, claims: Sequence[Claim]) -> None:
        self.taker.reserved -= self.places
        self.taker.room += self.places - len(claims)
        self.taker.claims += claims


@dataclass
class Taker:
    """Gives room as long as it has any.

    Attributes:
        reserved: Room that was asked for and not given back.
        claims: What was handed over, in this order.
    """

    room: int
    now: float = NOW
    per_endpoint: int = 100
    lease: float = LEASE
    reserved: int = 0
    claims: list[Claim] = field(default_factory=list)

    def reserve(self, most: int) -> Taken | None:
        places = min(most, self.room)
        if not places:
            return None
        self.room -= places
        self.reserved += places
        return Taken(self, places, self.now, self.per_endpoint, self.lease)


async def handed(store: Store, *changes: Change, room: int = 100, per_endpoint: int = 100) -> list[Claim]:
    """What a worker with so much room gets of changes."""
    taker = Taker(room, per_endpoint=per_endpoint)
    with store.handing_over_to(taker):
        await store.record(changes)
    assert (taker.reserved, taker.room) == (0, room - len(taker.claims))
    return taker.claims
