"""Verbs of the store: requests with a key.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from typing import Protocol

from video_translation_server.model import Kept, Mark


class RequestVerbs(Protocol):
    """Requests with a key."""

    async def start_request(self, workspace_id: str, scope: str, key: str, *, now: float, lease: float) -> Mark | Kept:
        """Begin a request: the mark to carry it out under, or the answer that the key has had within 24 hours.

        The mark keeps others away for `lease` real seconds; nothing that a crash leaves behind lasts longer.

        Raises:
            InProgressError: A request with this key is under way.
        """
        ...

    async def drop_request(self, mark: Mark) -> None:
        """Free the key of a request that ends without an answer to keep."""
        ...

    async def prune_requests(self, now: float, *, limit: int) -> int:
        """Delete at most `limit` answers that are kept no longer; how many."""
        ...
