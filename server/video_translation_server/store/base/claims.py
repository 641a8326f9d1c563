"""Verbs of the store: the queue as the delivery loop sees it: leases and settlements.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from video_translation_server.model import Claim, Settlement


class Reservation(Protocol):
    """Room that a worker keeps free for what is about to be recorded."""

    @property
    def places(self) -> int:
        """How many deliveries may be leased to it."""
        ...

    @property
    def now(self) -> float:
        """The server's time at which they are claimed."""
        ...

    @property
    def per_endpoint(self) -> int:
        """As in `claim`."""
        ...

    @property
    def lease(self) -> float:
        """As in `claim`."""
        ...

    def take(self, claims: Sequence[Claim]) -> None:
        """Give it what was leased, after the commit; to be called once, in the event loop, also where there is none."""
        ...


class Taker(Protocol):
    """A worker that takes what is recorded, already leased, as far as it has room for it."""

    def reserve(self, most: int) -> Reservation | None:
        """Keep so much room at most; None where there is none, or where others have waited for it."""
        ...


class ClaimVerbs(Protocol):
    """The queue as the delivery loop sees it: leases and settlements."""

    def handing_over_to(self, taker: Taker) -> AbstractContextManager[None]:
        """In the block, lease to the taker at once what is recorded, by the same rules as `claim`.

        A shortcut, that an engine may do without: what was not handed over is to be claimed.
        """
        ...

    async def claim(self, now: float, *, limit: int, per_endpoint: int, lease: float) -> list[Claim]:
        """Lease due deliveries to the caller for `lease` real seconds, also those whose lease ran out.

        1. Of one job, an endpoint has one open delivery at a time, in sequence (decision 0009), unless it asked
           for `ordering` none.
        2. At most `max_in_flight` (where the endpoint has none: `per_endpoint`) are leased per endpoint, fewer
           where it is strained; `rate_limit` spaces them out; a paused or disabled endpoint gets none.
        3. Endpoints take turns when there are more than `limit`.
        4. Fewer than `limit` means that nothing else can be claimed at this instant.
        """
        ...

    async def renew_claims(self, claims: Sequence[Claim], *, lease: float) -> list[bool]:
        """Extend leases to `lease` real seconds from now; False where the claim was lost."""
        ...

    async def settle(self, settlements: Sequence[Settlement], *, now: float) -> list[bool]:
        """Log each attempt and carry out its verdict, if the claim still holds; False where it was lost.

        1. A settled delivery releases the next one of the same job and endpoint.
        2. A transition that is not the job's last and has failed 3 times is superseded once a later one waits.
        3. A strained endpoint gets fewer attempts at once and growing pauses; the first success after failures
           ends that, and makes its waiting retries due.
        4. `Gone`, and a failure 3 days (the store's `disable_after`) after the first since the last success,
           disable the endpoint.
        5. Notices (`endpoint.disabled`, `endpoint.recovered`, `delivery.exhausted`) are appended to the log in
           the same transaction; none is ever sent to the endpoint that it is about.
        """
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give leases back unused: the deliveries are due again at once, no attempt is counted."""
        ...

    async def next_delivery_due(self, now: float) -> float | None:
        """When the first endpoint of which nothing can be claimed yet comes to its turn, later than `now`, or None."""
        ...

    async def is_delivering(self, now: float) -> bool:
        """True while a delivery is leased, or one can be claimed at this instant."""
        ...
