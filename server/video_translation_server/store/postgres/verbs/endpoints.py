"""Webhook endpoints, and the secret of callback URLs. In PostgreSQL.

What each verb promises is in `store.base.endpoints`, what it does in SQL in the noun modules.
"""

from collections.abc import Callable

from video_translation_server.model import Endpoint
from video_translation_server.store.base import Keep
from video_translation_server.store.postgres import endpoints
from video_translation_server.store.postgres.engine import Engine
from video_translation_server.store.postgres.verb import READDRESSING


class EndpointVerbs(Engine):
    """Webhook endpoints, and the secret of callback URLs."""

    async def create_endpoint(self, endpoint: Endpoint, *, keep: Keep[int] | None = None) -> int:
        """Keep a new endpoint."""
        return await self._write(
            lambda connection: endpoints.create(connection, endpoint), keep=keep, verb=READDRESSING
        )

    async def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """One endpoint."""
        return await self._read(lambda connection: endpoints.get(connection, workspace_id, endpoint_id))

    async def endpoints(
        self, workspace_id: str, *, limit: int, token: int | None = None
    ) -> tuple[list[Endpoint], int | None]:
        """A page of endpoints, newest first."""
        return await self._read(lambda connection: endpoints.page(connection, workspace_id, limit, token))

    async def delete_endpoint(self, workspace_id: str, endpoint_id: str, *, now: float) -> None:
        """Forget an endpoint."""
        await self._write(
            lambda connection: endpoints.delete(connection, workspace_id, endpoint_id, now),
            verb=READDRESSING,
            settling_at=[now],
        )

    async def change_endpoint(
        self,
        workspace_id: str,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        *,
        now: float,
        keep: Keep[Endpoint] | None = None,
    ) -> Endpoint:
        """Replace an endpoint by what `change` makes of it."""
        return await self._write(
            lambda connection: endpoints.change(connection, workspace_id, endpoint_id, change, now),
            self._bells.deliveries,
            keep=keep,
            verb=READDRESSING,
        )

    async def expire_endpoints(self, now: float) -> list[str]:
        """Delete the endpoints whose ttl has run out."""
        next_expiry = await self._read(endpoints.next_expiry)
        if next_expiry is None or next_expiry > now:
            return []  # nearly always; nobody is kept from appending meanwhile
        return await self._write(
            lambda connection: endpoints.expire(connection, now), verb=READDRESSING, settling_at=[now]
        )

    async def workspace_secret(self, workspace_id: str, *, fresh: str) -> str:
        """The secret that signs deliveries to callback URLs."""
        secret = await self._read(lambda connection: endpoints.workspace_secret(connection, workspace_id))
        if secret is None:
            secret = await self._write(lambda connection: endpoints.make_secret(connection, workspace_id, fresh))
        return secret
