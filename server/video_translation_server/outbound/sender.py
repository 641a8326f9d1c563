"""The seam between whoever sends and the engine behind it.

When to send, what to sign and what follows from the outcome is decided elsewhere.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from video_translation_server.model import Outcome


class Sender(Protocol):
    """The seam: whoever sends sees this and nothing of the engine behind it."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> asyncio.Future[Outcome]:
        """POST the body; the future has the outcome at the end of the answer. A redirect is a status like any other.

        Cancelling it closes its connection.

        Args:
            url: As registered; it is judged anew, and a forbidden one is an outcome.
            headers: Sent as they are, together with Host, Content-Length and Accept-Encoding.
            body: Sent as it is.
            deadline: Seconds for the whole attempt: resolve, connect, TLS, send, headers, body.

        Raises:
            ValueError: A header cannot be sent (a line break in it). What the network does raises nothing.
            RuntimeError: The sender is closed.
        """
        ...

    async def close(self) -> None:
        """Close all connections; attempts that still run end as `reset`."""
        ...
