"""Room that a worker keeps free for what is about to be recorded, to be taken already leased.

How much there is, and what becomes of the claims, is the worker's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from video_translation_server.model import Claim


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """So many places, kept until `take`.

    Attributes:
        now: The server's time at which it was made.
        per_endpoint: Deliveries to one endpoint at most, where the endpoint says nothing else.
        lease: Seconds that the claims are leased for.
        asked_at: When it was made, by the worker's own clock.
        taken: Told of the claims.
    """

    places: int
    now: float
    per_endpoint: int
    lease: float
    asked_at: float
    taken: Callable[["Reservation", Sequence[Claim]], None]

    def take(self, claims: Sequence[Claim]) -> None:
        """Give the room back, in part as claims."""
        self.taken(self, claims)
