"""Verbs of the store: deliveries as their readers see them, and taking them up again.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from typing import Protocol

from video_translation_server.model import Attempt, Delivery, Event, Sweep
from video_translation_server.store.base.filters import DeliveryFilter
from video_translation_server.store.base.keeping import Keep


class DeliveryVerbs(Protocol):
    """Deliveries as their readers see them, and taking them up again."""

    async def delivery(self, workspace_id: str, delivery_id: int) -> Delivery:
        """One delivery.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def deliveries(
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: DeliveryFilter
    ) -> tuple[list[Delivery], int | None]:
        """A page of deliveries, newest first, and the token of the next page (None: the last)."""
        ...

    async def attempts(self, delivery_id: int) -> list[Attempt]:
        """The attempts of one delivery, the oldest first."""
        ...

    async def resend(
        self, workspace_id: str, delivery_id: int, *, now: float, keep: Keep[Delivery] | None = None
    ) -> Delivery:
        """Make a delivery due now, with a new run of the retry schedule.

        Raises:
            NotFoundError: There is none of that id in the workspace.
            ConflictError: Its endpoint was deleted, or it waits for an earlier event of its job.
        """
        ...

    async def send_to(self, event: Event, endpoint_id: str, *, keep: Keep[Delivery] | None = None) -> Delivery:
        """Append an event to the log that only one endpoint gets; the answer is the delivery.

        Raises:
            NotFoundError: The event's workspace has no such endpoint (code `webhook_not_found`).
        """
        ...

    async def start_sweep(self, sweep: Sweep, *, keep: Keep[Sweep] | None = None) -> Sweep:
        """Keep the order to sweep the log as it is now for an endpoint; `advance_sweeps` carries it out.

        Raises:
            NotFoundError: There is no such endpoint in the workspace (code `webhook_not_found`).
        """
        ...

    async def sweep(self, workspace_id: str, sweep_id: str) -> Sweep:
        """One sweep.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def advance_sweeps(self, now: float, *, chunk: int, backlog: int) -> bool:
        """Move every running sweep by at most `chunk` events, except where `backlog` deliveries wait already.

        What is made due again keeps its order within the sweep. True while a sweep could go on at once.
        """
        ...
