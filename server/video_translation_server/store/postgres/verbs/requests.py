"""Requests with a key. In PostgreSQL.

What each verb promises is in `store.base.requests`, what it does in SQL in the noun modules.
"""

from video_translation_server.model import Kept, Mark
from video_translation_server.store.postgres import requests
from video_translation_server.store.postgres.engine import Engine


class RequestVerbs(Engine):
    """Requests with a key."""

    async def start_request(self, workspace_id: str, scope: str, key: str, *, now: float, lease: float) -> Mark | Kept:
        """Begin a request with a key."""
        times = requests.Times(now=now, lease=lease, real_now=self._server.real_now())
        mark = Mark(workspace_id=workspace_id, scope=scope, key=key, number=self._server.fence())
        # A mark that a power failure undoes leaves its request without one: it then changes nothing.
        return await self._lease(lambda connection: requests.start(connection, mark, times))

    async def drop_request(self, mark: Mark) -> None:
        """Free the key of a request."""
        await self._lease(lambda connection: requests.drop(connection, mark))

    async def prune_requests(self, now: float, *, limit: int) -> int:
        """Delete answers that are kept no longer."""
        return await self._lease(lambda connection: requests.prune(connection, now, self._server.real_now(), limit))
