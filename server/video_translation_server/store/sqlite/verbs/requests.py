"""Requests with a key. In SQLite.

What each verb promises is in `store.base.requests`, what it does in SQL in the noun modules.
"""

from video_translation_server.model import Kept, Mark
from video_translation_server.store.sqlite import requests
from video_translation_server.store.sqlite.engine import Engine


class RequestVerbs(Engine):
    """Requests with a key."""

    async def start_request(self, workspace_id: str, scope: str, key: str, *, now: float, lease: float) -> Mark | Kept:
        """Begin a request with a key."""
        real_now = self._lease_time()
        times = requests.Times(now=now, real_now=real_now, leased_until=real_now + lease)
        mark = Mark(workspace_id=workspace_id, scope=scope, key=key, number=self._fences.getrandbits(63))
        # A mark that a power failure undoes is one whose request, gone as well, cannot miss it.
        return await self._writer.run(lambda connection: requests.start(connection, mark, times), durable=False)

    async def drop_request(self, mark: Mark) -> None:
        """Free the key of a request."""
        await self._writer.run(lambda connection: requests.drop(connection, mark), durable=False)

    async def prune_requests(self, now: float, *, limit: int) -> int:
        """Delete answers that are kept no longer."""
        return await self._writer.run(lambda connection: requests.prune(connection, now, self._lease_time(), limit))
