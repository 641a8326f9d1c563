"""Who we are to the other servers on one database: a number, and the fences made of it.

A fence is a number never used before: the server's in the upper half, a count in the lower one. So a server can give
back all that it holds without a list of it, and two servers never hold the same.
"""

import time
from collections.abc import Callable
from itertools import count

from video_translation_server.store.postgres.database import Connection

BITS = 32


class Server:
    """One process that has the database open.

    Attributes:
        number: Taken from the database when it was opened.
    """

    def __init__(self, number: int, real_time: Callable[[], float] | None) -> None:
        """`real_time` (Unix seconds, for leases) is a test's; None: the database's own."""
        self.number = number
        self._real_time = real_time
        self._counts = count(1)

    def fence(self) -> int:
        """A new fence."""
        return self.number << BITS | next(self._counts)

    @property
    def fences(self) -> tuple[int, int]:
        """The first and the last of all fences that are this server's."""
        return self.number << BITS, (self.number + 1 << BITS) - 1

    def real_now(self) -> float | None:
        """The time of leases; None: what the database says."""
        return None if self._real_time is None else self._real_time()


LOOK_EVERY = 2.0
"""Seconds between two looks for leases that ran out, when none of our own is expected to: other servers may be gone."""


class Looks:
    """When to look for what nobody tells us: not at every claim, and never later than a lease of ours runs out."""

    def __init__(self, server: Server, every: float = LOOK_EVERY) -> None:
        """`every`: real seconds from one look to the next, at most."""
        self._server = server
        self._every = every
        self._due = float("-inf")

    def is_due(self) -> bool:
        """Whether it is time; the next look is then due after a while."""
        now = self._now()
        if now < self._due:
            return False
        self._due = now + self._every
        return True

    def next_in(self, seconds: float | None) -> None:
        """A lease runs out then (None: no lease does)."""
        if seconds is not None:
            self._due = min(self._due, self._now() + max(seconds, 0.0))

    def _now(self) -> float:
        real_now = self._server.real_now()
        return time.monotonic() if real_now is None else real_now


REAL_NOW = "coalesce({0}::double precision, extract(epoch FROM clock_timestamp())::double precision)"
"""The time of leases in SQL, `{0}` the parameter that `real_now` is bound to."""


async def real_now(connection: Connection, server: Server) -> float:
    """The time of leases."""
    now: float = await connection.fetchval(f"SELECT {REAL_NOW.format('$1')}", server.real_now())
    return now
