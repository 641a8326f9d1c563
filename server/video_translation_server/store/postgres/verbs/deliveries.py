"""Deliveries as their readers see them, and taking them up again. In PostgreSQL.

What each verb promises is in `store.base.deliveries`, what it does in SQL in the noun modules.
"""

from video_translation_server.model import Attempt, Delivery, Event, Sweep
from video_translation_server.store.base import DeliveryFilter, Keep
from video_translation_server.store.postgres import deliveries, endpoints, listing, log, sweeps
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.deliveries import News
from video_translation_server.store.postgres.engine import Engine


class DeliveryVerbs(Engine):
    """Deliveries as their readers see them, and taking them up again."""

    async def delivery(self, workspace_id: str, delivery_id: int) -> Delivery:
        """One delivery."""
        return await self._read(lambda connection: listing.get(connection, workspace_id, delivery_id))

    async def deliveries(
        self, workspace_id: str, *, limit: int, token: int | None = None, wanted: DeliveryFilter
    ) -> tuple[list[Delivery], int | None]:
        """A page of deliveries, newest first."""
        return await self._read(lambda connection: listing.page(connection, workspace_id, limit, token, wanted))

    async def attempts(self, delivery_id: int) -> list[Attempt]:
        """The attempts of one delivery."""
        return await self._read(lambda connection: listing.attempts(connection, delivery_id))

    async def resend(
        self, workspace_id: str, delivery_id: int, *, now: float, keep: Keep[Delivery] | None = None
    ) -> Delivery:
        """Make a delivery due now."""
        return await self._write(
            lambda connection: deliveries.resend(connection, workspace_id, delivery_id, now),
            self._bells.deliveries,
            keep=keep,
        )

    async def send_to(self, event: Event, endpoint_id: str, *, keep: Keep[Delivery] | None = None) -> Delivery:
        """Append an event that only one endpoint gets."""

        async def send(connection: Connection) -> Delivery:
            number, _ = await endpoints.find(connection, event.workspace_id, endpoint_id)
            position = await log.insert(connection, [News(event)])
            delivery = await deliveries.send_to(connection, event=position, endpoint=number, now=event.created_at)
            return await listing.get(connection, event.workspace_id, delivery)

        return await self._write(send, self._bells.deliveries, self._bells.events, keep=keep)

    async def start_sweep(self, sweep: Sweep, *, keep: Keep[Sweep] | None = None) -> Sweep:
        """Keep the order to sweep the log for an endpoint."""
        return await self._write(lambda connection: sweeps.start(connection, sweep), self._bells.sweeps, keep=keep)

    async def sweep(self, workspace_id: str, sweep_id: str) -> Sweep:
        """One sweep."""
        return await self._read(lambda connection: sweeps.get(connection, workspace_id, sweep_id))

    async def advance_sweeps(self, now: float, *, chunk: int, backlog: int) -> bool:
        """Move every running sweep on."""
        if not await self._read(sweeps.are_running):
            return False
        return await self._write(
            lambda connection: sweeps.advance(connection, now, chunk=chunk, backlog=backlog), self._bells.deliveries
        )
