"""The sender's connections: kept per origin between requests, for a while and up to a number.

It neither connects nor sends; a connection tells it when it is free and when it is gone.
"""

import asyncio
import contextlib

from video_translation_server.outbound.request import Origin
from video_translation_server.outbound.wire import Wire

_MAX_IDLE = 512
_MAX_IDLE_PER_ORIGIN = 256
_GOODBYE = 1.0  # seconds for TLS's own end before a connection is cut


class Pool:
    """Open connections, busy or idle.

    Args:
        keepalive: How long an idle one is kept, seconds.
        max_idle: How many are kept idle; beyond it the longest idle one goes.
        max_idle_per_origin: The same for one origin.
    """

    def __init__(
        self, keepalive: float, *, max_idle: int = _MAX_IDLE, max_idle_per_origin: int = _MAX_IDLE_PER_ORIGIN
    ) -> None:
        self._keepalive = keepalive
        self._max_idle = max_idle
        self._max_idle_per_origin = max_idle_per_origin
        # Both in the order of becoming idle, oldest first; dicts, because any of them may leave.
        self._idle: dict[Wire, None] = {}
        self._by_origin: dict[Origin, dict[Wire, None]] = {}
        self._open: set[Wire] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None

    def take(self, origin: Origin, now: float) -> Wire | None:
        """The connection to the origin that became idle last, or None; it is the caller's now."""
        idle = self._by_origin.get(origin)
        if not idle:
            return None
        wire, _ = idle.popitem()
        del self._idle[wire]
        if not idle:
            del self._by_origin[origin]
        if now - wire.idle_since < self._keepalive:
            return wire
        wire.shut()
        return None  # the others have been idle for longer still: the sweep is about to come for them

    def joined(self, wire: Wire) -> None:
        """See `Keeper.joined`."""
        self._open.add(wire)

    def rested(self, wire: Wire) -> None:
        """See `Keeper.rested`."""
        idle = self._by_origin.get(wire.origin)
        if idle is None:
            idle = self._by_origin[wire.origin] = {}
        idle[wire] = None
        self._idle[wire] = None
        if len(idle) > self._max_idle_per_origin:
            next(iter(idle)).shut()
        elif len(self._idle) > self._max_idle:
            next(iter(self._idle)).shut()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(self._keepalive, self._sweep)

    def left(self, wire: Wire, *, gone: bool) -> None:
        """See `Keeper.left`."""
        if wire in self._idle:
            self._forget(wire)
        if gone:
            self._open.discard(wire)
            if not self._open and self._emptied is not None and not self._emptied.done():
                self._emptied.set_result(None)

    async def close(self) -> None:
        """Close all connections and wait until they are gone."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for wire in list(self._open):
            wire.shut()
        if not self._open:
            return
        emptied = self._emptied = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await asyncio.shield(emptied)
        for wire in list(self._open):
            wire.abort()
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await emptied

    def _forget(self, wire: Wire) -> None:
        del self._idle[wire]
        idle = self._by_origin[wire.origin]
        del idle[wire]
        if not idle:
            del self._by_origin[wire.origin]

    def _sweep(self) -> None:
        """Close what has been idle for too long, and come again when the next one will have been."""
        self._sweeping = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for wire in list(self._idle):
            left = wire.idle_since + self._keepalive - now
            if left > 0:
                # Not for each connection anew: a few of them together, but never late by much.
                self._sweeping = loop.call_later(max(left, self._keepalive / 16), self._sweep)
                return
            wire.shut()
