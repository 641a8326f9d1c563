"""Bells rung across servers: LISTEN and NOTIFY on a connection of their own.

Never inside a transaction that writes: NOTIFY there takes a lock over all commits of the whole database. A ring that is
lost costs one poll interval, as the bells promise.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from video_translation_server.errors import StoreError
from video_translation_server.store.base import Bell, Bells
from video_translation_server.store.postgres.database import Connection, is_lost
from video_translation_server.store.postgres.session import Session

CHANNEL = "video_translation"

RECONNECT_EVERY = 1.0
"""Seconds between two attempts to listen again."""


class Doorbell:
    """Carries rings to the other servers, and theirs to ours."""

    def __init__(self, session: Session, bells: Bells) -> None:
        """Nothing is listened to until `start`; the session is the doorbell's from here on."""
        self._session = session
        self._names = {
            bells.jobs: "jobs",
            bells.deliveries: "deliveries",
            bells.events: "events",
            bells.sweeps: "sweeps",
        }
        self._bells = {name: bell for bell, name in self._names.items()}
        self._pending: set[str] = set()
        self._wake = asyncio.Event()
        self._listening: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def ring(self, bells: Iterable[Bell]) -> None:
        """Ring these at all other servers, soon; many rings in a row become one."""
        self._pending.update(self._names[bell] for bell in bells)
        self._wake.set()

    async def start(self) -> None:
        """Listen from here on.

        Raises:
            StoreError: The database cannot be reached.
        """
        await self._turn()
        self._task = asyncio.create_task(self._main(), name="store-doorbell")

    async def close(self) -> None:
        """Ring what is to be rung, then end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._try_turn()
        await self._session.close()

    async def _main(self) -> None:
        while True:
            if not await self._try_turn():
                await asyncio.sleep(RECONNECT_EVERY)
                continue
            try:
                async with asyncio.timeout(RECONNECT_EVERY):
                    await self._wake.wait()
            except TimeoutError:
                pass  # a look whether the connection is still there
            self._wake.clear()

    async def _try_turn(self) -> bool:
        try:
            await self._turn()
        except StoreError:
            return False
        except Exception as error:
            if not is_lost(error):
                raise
            self._session.drop(error)
            return False
        return True

    async def _turn(self) -> None:
        connection = await self._session.connection()
        if connection is not self._listening:
            await connection.add_listener(CHANNEL, self._hear)
            if self._listening is not None:
                for bell in self._bells.values():
                    bell.ring()  # whatever was rung while nobody listened
            self._listening = connection
        if self._pending:
            names, self._pending = self._pending, set()
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, " ".join(sorted(names)))

    def _hear(self, connection: Connection, sender: int, _: str, payload: Any) -> None:
        """Another server rings; our own rings have been heard already."""
        if sender != connection.get_server_pid():
            for name in str(payload).split():
                if name in self._bells:
                    self._bells[name].ring()
