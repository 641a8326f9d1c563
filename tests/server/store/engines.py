"""The engines that the conformance suite runs against, and what a test may ask of any of them.

A second engine is one more entry in `ENGINES`; no test names an engine, but for those of one engine's own
files (test_sqlite_*.py).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from video_translation_server.store import Store
from video_translation_server.store.sqlite import SqliteStore

Reopen = Callable[[], Awaitable[Store]]
"""Closes the store that is open and opens the same one again."""


class RealTime:
    """The time that leases run on; it stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = 5_000.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Engine(Protocol):
    """How the suite gets a store of one kind."""

    name: str

    async def open(self, folder: Path, real_time: RealTime) -> Store:
        """The store that belongs to `folder`: empty at first, the same one whenever it is opened again.

        An engine that enforces references also has the workspace `builders.OTHER_WORKSPACE`.
        """
        ...


class SqliteEngine:
    name = "sqlite"

    async def open(self, folder: Path, real_time: RealTime) -> Store:
        return await SqliteStore.open(folder / "store.db", real_time=real_time)


ENGINES: list[Engine] = [SqliteEngine()]


class Bench:
    """One store on the bench: opened, closed and opened again, its leases' time in the test's hand."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.real_time = RealTime()
        self._engine = engine
        self._folder = folder
        self._open: Store | None = None

    async def open(self) -> Store:
        self._open = await self._engine.open(self._folder, self.real_time)
        return self._open

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def reopen(self) -> Store:
        await self.close()
        return await self.open()
