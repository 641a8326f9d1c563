"""Connections to one PostgreSQL database that outlast the stores that use them: a store has five, and to make those
takes longer than most tests.

A connection that comes back is as a new one is, but for the statements that it knows already. What happens to stores
that lose their connections is for the tests that open one of their own (test_postgres_outages.py and others).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from video_translation_server.store.postgres.database import Connection, Database

Key = tuple[Any, ...]


class Lent:
    """A connection or a pool of them in somebody's hands, until it is closed."""

    def __init__(self, thing: Any, take_back: Callable[[Any], Awaitable[None]]) -> None:
        self._thing = thing
        self._take_back = take_back
        self._is_back = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thing, name)

    def is_closed(self) -> bool:
        return self._is_back or _is_closed(self._thing)

    async def close(self) -> None:
        if not self.is_closed():
            self._is_back = True
            await self._take_back(self._thing)


class Shelf:
    """What lies ready, by what it was made for; all who use it share an event loop."""

    def __init__(self) -> None:
        self._ready: dict[Key, list[Any]] = {}

    async def lend(self, key: Key, make: Callable[[], Awaitable[Any]]) -> Lent:
        ready = self._ready.setdefault(key, [])
        while ready and _is_closed(ready[-1]):
            ready.pop()
        return Lent(ready.pop() if ready else await make(), lambda thing: self._take_back(key, thing))

    async def _take_back(self, key: Key, thing: Any) -> None:
        if not isinstance(thing, asyncpg.Pool):
            await thing.reset()
        self._ready[key].append(thing)

    async def clear(self) -> None:
        """Close what lies here."""
        for ready in self._ready.values():
            for thing in ready:
                await thing.close()
        self._ready.clear()


@dataclass(frozen=True, slots=True)
class LendingDatabase(Database):
    """A database whose connections come from a shelf, and go back there when they are closed."""

    shelf: Shelf = field(default_factory=Shelf)

    async def connect(self, settings: Mapping[str, str] | None = None) -> Connection:
        key = ("connection", *sorted((settings or {}).items()))
        return await self.shelf.lend(key, lambda: Database.connect(self, settings))

    async def pool(self, size: int) -> Any:
        return await self.shelf.lend(("pool", size), lambda: Database.pool(self, size))


def _is_closed(thing: Any) -> bool:
    return bool(thing.is_closing() if isinstance(thing, asyncpg.Pool) else thing.is_closed())
