"""Claims that wait to be sent, and room that is kept for more of them.

A lease counts here by this process's own clock: one that has run out is another's to send by now. When there is room,
and what is sent, is the worker's business.
"""

from collections import deque
from collections.abc import Callable, Sequence

from video_translation_server.delivery.attempt import log_lost
from video_translation_server.delivery.reservation import Reservation
from video_translation_server.model import Claim


class Ahead:
    """A queue of claims, each with the earliest instant at which its lease can end.

    Attributes:
        stale: Claims that were given up unsent: for the store they may be leased still, until it is told.
        reserved: Places that are kept for what is being recorded.
    """

    def __init__(self, lease: float, monotonic: Callable[[], float], lost: Callable[[], None]) -> None:
        """Begin empty; `lost` is called for a claim that is another's to send, which may be us."""
        self.stale: list[Claim] = []
        self.reserved = 0
        self._lease = lease
        self._monotonic = monotonic
        self._lost = lost
        self._waiting: deque[tuple[Claim, float]] = deque()

    def __len__(self) -> int:
        """Claims that wait, and places that are kept."""
        return len(self._waiting) + self.reserved

    @property
    def claims(self) -> list[Claim]:
        """The claims that wait, in their order."""
        return [claim for claim, _ in self._waiting]

    def add(self, claims: Sequence[Claim], *, asked_at: float) -> None:
        """Queue claims that were asked for at an instant of our clock."""
        self._waiting.extend((claim, asked_at + self._lease) for claim in claims)

    def reserve(
        self, places: int, *, now: float, per_endpoint: int, taken: Callable[[Reservation, Sequence[Claim]], None]
    ) -> Reservation:
        """Keep places until they are taken, at the server's time `now`."""
        self.reserved += places
        return Reservation(places, now, per_endpoint, self._lease, self._monotonic(), taken)

    def take(self, reservation: Reservation, claims: Sequence[Claim]) -> None:
        """Queue what comes instead of places that were kept."""
        self.reserved -= reservation.places
        self.add(claims, asked_at=reservation.asked_at)

    def next(self) -> Claim | None:
        """The next to be sent, taken out; what a process that was frozen may send no more is passed over."""
        while self._waiting:
            claim, lease_ends = self._waiting.popleft()
            if self._monotonic() < lease_ends:
                return claim
            self.stale.append(claim)
            self._lose(claim)
        return None

    def note_renewed(self, claims: Sequence[Claim], held: Sequence[bool], *, asked_at: float) -> None:
        """Hold what waits for longer where its lease was extended, and let go of what is another's."""
        fates = {(claim.delivery_id, claim.claim_id): holds for claim, holds in zip(claims, held, strict=True)}
        waiting, self._waiting = self._waiting, deque()
        for claim, ends in waiting:
            holds = fates.get((claim.delivery_id, claim.claim_id))  # None: claimed while the store was asked
            if holds is False:
                self._lose(claim)
            else:
                self._waiting.append((claim, asked_at + self._lease if holds else ends))

    def take_stale(self) -> list[Claim]:
        """What was given up, to be given back."""
        stale, self.stale = self.stale, []
        return stale

    def give_up(self) -> list[Claim]:
        """Everything that is not to be sent by us, to be given back."""
        waiting, self._waiting = self.claims, deque()
        return self.take_stale() + waiting

    def _lose(self, claim: Claim) -> None:
        """Leave a claim to whoever gets it next: it was not sent, and its lease has run out or is another's."""
        log_lost(claim)
        self._lost()
