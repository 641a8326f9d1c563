"""Host names to IP addresses, in threads of our own so that a stuck lookup delays nobody else's.

It knows nothing of what may be called: `dial` puts every address before the guard.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from video_translation_server.outbound.target import is_localhost

_LOOPBACK = ("127.0.0.1", "::1")


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str) -> Sequence[str]:
        """All IP addresses of an ASCII host name as text, in the order in which to try them.

        Raises:
            OSError: The name has no address, or the lookup failed.
        """
        ...

    async def close(self) -> None:
        """Give up lookups that have not begun and free the threads."""
        ...


def system_lookup(host: str) -> tuple[str, ...]:
    """The addresses that the system's resolver gives for a name; blocks.

    Raises:
        OSError: It gives none (`socket.gaierror`).
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except UnicodeError as exc:
        # getaddrinfo's own encoding step refuses some names with an error that is no OSError.
        raise OSError(f"not a valid host name: {exc}") from exc
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


class PoolResolver:
    """Looks names up in a small pool of threads: single flight per name, answers kept for a while.

    Args:
        threads: How many lookups run at once.
        ttl: How long an answer is used, seconds; failures are not kept.
        max_names: How many answers are kept; the oldest go first.
        lookup: What finds the addresses of a name; it may block.
        monotonic: The clock for `ttl`, seconds.
    """

    def __init__(
        self,
        *,
        threads: int = 8,
        ttl: float = 30.0,
        max_names: int = 10_000,
        lookup: Callable[[str], Sequence[str]] = system_lookup,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")
        self._ttl = ttl
        self._max_names = max_names
        self._lookup = lookup
        self._monotonic = monotonic
        self._answers: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._flights: dict[str, asyncio.Future[tuple[str, ...]]] = {}
        self._closed = False

    async def resolve(self, host: str) -> Sequence[str]:
        """All addresses of the name; `localhost` and names under it are loopback without a lookup.

        Raises:
            OSError: The name has no address, or the lookup failed.
        """
        if is_localhost(host):
            return _LOOPBACK
        known = self._answers.get(host)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        flight = self._flights.get(host)
        if flight is None:
            flight = self._start(host)
        try:
            # Shielded: one impatient caller must not take the answer away from the others.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise OSError("the resolver was closed") from None
            raise

    async def close(self) -> None:
        """Drop lookups that wait for a thread; one that has begun ends by itself, unheard."""
        self._closed = True
        for flight in list(self._flights.values()):
            flight.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, host: str) -> asyncio.Future[tuple[str, ...]]:
        if self._closed:
            raise OSError("the resolver was closed")
        flight = asyncio.get_running_loop().run_in_executor(self._pool, self._addresses, host)
        self._flights[host] = flight
        flight.add_done_callback(lambda done: self._land(host, done))
        return flight

    def _addresses(self, host: str) -> tuple[str, ...]:
        addresses = tuple(self._lookup(host))
        if not addresses:
            raise OSError(f"{host} has no address")
        return addresses

    def _land(self, host: str, flight: asyncio.Future[tuple[str, ...]]) -> None:
        del self._flights[host]
        # Reading the exception also keeps asyncio from reporting it when every caller has gone.
        if flight.cancelled() or flight.exception() is not None:
            return
        # Removed first, so that a renewed answer counts as young again.
        self._answers.pop(host, None)
        self._answers[host] = (self._monotonic() + self._ttl, flight.result())
        while len(self._answers) > self._max_names:
            del self._answers[next(iter(self._answers))]
