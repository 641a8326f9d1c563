"""Verbs of the store: webhook endpoints, and the secret of callback URLs.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from collections.abc import Callable
from typing import Protocol

from video_translation_server.model import Endpoint
from video_translation_server.store.base.keeping import Keep


class EndpointVerbs(Protocol):
    """Webhook endpoints, and the secret of callback URLs."""

    async def create_endpoint(self, endpoint: Endpoint, *, keep: Keep[int] | None = None) -> int:
        """Keep a new endpoint; the answer is the log position of its commit: it gets what is behind it.

        Raises:
            ConflictError: An endpoint of that id exists or has existed, in whatever workspace.
        """
        ...

    async def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """One endpoint.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def endpoints(
        self, workspace_id: str, *, limit: int, token: int | None = None
    ) -> tuple[list[Endpoint], int | None]:
        """A page of endpoints, newest first, and the token of the next page (None: the last)."""
        ...

    async def delete_endpoint(self, workspace_id: str, endpoint_id: str, *, now: float) -> None:
        """Forget an endpoint; what was on its way to it is dead, also an attempt in flight.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def change_endpoint(
        self,
        workspace_id: str,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        *,
        now: float,
        keep: Keep[Endpoint] | None = None,
    ) -> Endpoint:
        """Replace an endpoint by what `change` (pure) makes of it, as one step; what it raises changes nothing.

        What was held for a disabled endpoint is due once it is enabled again; so is what was paused.

        Raises:
            NotFoundError: There is none of that id in the workspace (code `webhook_not_found`).
        """
        ...

    async def expire_endpoints(self, now: float) -> list[str]:
        """Delete the endpoints whose ttl has run out; the answer is their ids."""
        ...

    async def workspace_secret(self, workspace_id: str, *, fresh: str) -> str:
        """The secret that signs deliveries to the workspace's callback URLs; at the first call `fresh` becomes it."""
        ...
