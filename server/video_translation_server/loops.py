"""The server's background loops: kept going until the server stops.

What they do is their own business; which there are is `app`'s.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from video_translation_server.errors import StoreError

log = structlog.get_logger("app")

RESTART_PAUSE = 1.0
"""Seconds before a loop that failed is started again."""
LASTED = 10.0
"""Seconds after which it was well again, so that its next failure is news: more than it takes to find a store gone."""


class Loops:
    """The server's background loops: one that fails is logged and started again, and says so to `/readyz`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: set[str] = set()

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep `run` going until `stop`."""
        self._tasks.append(asyncio.create_task(self._keep_going(name, run), name=name))

    def are_running(self) -> bool:
        """False while a loop waits to be started again."""
        return not self._failed

    async def stop(self) -> None:
        """End all loops and wait for their last words."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_going(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        is_known = False
        while True:
            began = time.monotonic()
            try:
                await run()
            except StoreError as error:
                self._failed.add(name)
                # A store that is out of reach is told of once, not every second: it says itself when it is back.
                if not is_known or time.monotonic() - began > LASTED:
                    log.warning("loop waits for the store", loop=name, error=str(error), pause=RESTART_PAUSE)
                is_known = True
            except Exception:
                self._failed.add(name)
                log.exception("loop failed; it starts again", loop=name, pause=RESTART_PAUSE)
            await asyncio.sleep(RESTART_PAUSE)
            self._failed.discard(name)
