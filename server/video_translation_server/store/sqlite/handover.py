"""What a worker takes at once of what is recorded: leased by the statement that puts it on its way (decision 0042).

Who may be sent to is said in `deliveries`, in SQL; here it is counted how many of them, and their claims are put
together of what is known already. Everything else is claimed by `claims`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

from video_translation_server.model import Claim, Event
from video_translation_server.store.base import records
from video_translation_server.store.sqlite.claims import Wish

# In the order of the index, which is that of their insertion: ends before the rows of which none was leased.
_LEASED = """
SELECT id, event, endpoint FROM deliveries WHERE event BETWEEN :first AND :last AND claim_id = :claim_id
ORDER BY event LIMIT :leased
"""


@dataclass(slots=True)
class Order:
    """What is to be taken in one verb.

    Attributes:
        places: How many more.
        claims: What was taken.
        inserted: Deliveries that were put on their way, taken or not.
    """

    wish: Wish
    places: int
    claims: list[Claim] = field(default_factory=list)
    inserted: int = 0
    rooms: dict[int, int] = field(default_factory=dict)
    """How many more of each endpoint that was looked at."""
    recipients: dict[int, records.Recipient] = field(default_factory=dict)
    """What attempts need of these endpoints."""


class Handover:
    """Leases deliveries on the writer's connection while they are inserted."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Make the function `handed_over` known to the connection."""
        self._connection = connection
        self._order: Order | None = None
        connection.create_scalar_function("handed_over", self._lease)

    @contextmanager
    def meeting(self, wish: Wish) -> Iterator[Order]:
        """Hand over, in the block, as much as the wish is for."""
        self._order = Order(wish, wish.limit)
        try:
            yield self._order
        finally:
            self._order = None

    @property
    def order(self) -> Order | None:
        """What is to be taken now, where there is any place left."""
        return self._order if self._order is not None and self._order.places else None

    def _lease(self, *columns: Any) -> int | None:
        """The claim under which a delivery to an endpoint is leased, if one more of it may be."""
        endpoint, most, strain, claimed, *recipient = columns
        order = self.order
        if order is None:
            return None
        room = order.rooms.get(endpoint)
        if room is None:
            room = max(1, (order.wish.per_endpoint if most is None else most) >> strain) - claimed
        if room <= 0:
            return None
        order.places -= 1
        order.rooms[endpoint] = room - 1
        if endpoint not in order.recipients:
            order.recipients[endpoint] = records.recipient(recipient)
        return order.wish.claim_id

    def gather(self, order: Order, events: Mapping[int, Event]) -> None:
        """Make claims of what was leased of these events, by their positions."""
        leased = order.wish.limit - order.places - len(order.claims)
        if not leased:
            return
        values = {"first": min(events), "last": max(events), "claim_id": order.wish.claim_id, "leased": leased}
        for delivery, position, endpoint in self._connection.execute(_LEASED, values):
            order.claims.append(_claim(delivery, events[position], order.recipients[endpoint], order.wish))


def _claim(delivery: int, event: Event, recipient: records.Recipient, wish: Wish) -> Claim:
    """The claim for a delivery's first attempt."""
    row = (delivery, 1, 1, None, event.id, event.type, event.job_id, event.sequence, event.body)
    return records.claim(row, wish.claim_id, recipient, wish.now)
