"""The real engine as a contestant: `app.running` with its store, worker, sender, signing and log, in this process.

All that the benchmarks know of the server's inside is here: its settings and verbs, that open deliveries can be
counted in its file, that its SQL runs through apsw, and that its clock is an argument.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from benchmarks.traffic import Shape, endpoints
from video_translation_server import logs
from video_translation_server.app import Application, running
from video_translation_server.clock import ClockState, VirtualClock
from video_translation_server.serve import spare_the_collector
from video_translation_server.settings import Settings
from video_translation_server.store import Store

SETTLING_IN = 0.3
"""Seconds that a started server gets before the clock starts."""
LOOK = 0.002
"""Seconds between two looks for room for more; a look costs some 20 us, on the engine's account."""
LOOK_FOR_THE_END = 0.01
"""Seconds between two looks whether all is settled."""


class Gate(VirtualClock):
    """The machine's clock, which stands at an instant (None: runs) until it is opened."""

    def __init__(self, stands_at: float | None) -> None:
        """Made closed where there is an instant to stand at."""
        super().__init__(None if stands_at is None else ClockState(stands_at, time.time(), speed=0.0))

    def open(self, server: Application) -> None:
        """Let time run from now on, and wake who waits for deliveries to become due."""
        self.set_forward(time.time())
        self.run(1.0)
        server.store.bells.deliveries.ring()


class OpenDeliveries:
    """Counts what is recorded and not settled, on a connection of its own to the engine's file."""

    def __init__(self, connection: apsw.Connection) -> None:
        """`watch` is the door."""
        self._connection = connection

    def count(self, at_most: int) -> int:
        """How many there are; counting ends at `at_most`, so that a look at a long backlog costs little."""
        return int(
            self._connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE settled_at IS NULL LIMIT ?)", (at_most,)
            ).get
        )

    async def come_to_nothing(self) -> None:
        """Wait until all is settled."""
        while self.count(1):  # noqa: ASYNC110  (it changes in the file, where no event can be waited for)
            await asyncio.sleep(LOOK_FOR_THE_END)


@contextmanager
def watch(database: str) -> Iterator[OpenDeliveries]:
    """Look into a database that the server has opened."""
    with closing(apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.trace_v2(0)  # not one of the engine's: `Statements` shall not count our looks
        yield OpenDeliveries(connection)


class Statements:
    """Counts every statement that SQLite starts on the connections made while it is hooked in.

    What triggers start is counted apart: it costs no call, and no more than the row that sets it off.
    """

    def __init__(self, *, wanted: bool) -> None:
        """Costs nothing where it is not wanted."""
        self._wanted = wanted
        self._counts: Counter[str] = Counter()
        self._in_triggers = 0

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Trace the connections that are made in the block."""
        if not self._wanted:
            yield
            return
        apsw.connection_hooks.append(self._trace)
        try:
            yield
        finally:
            apsw.connection_hooks.remove(self._trace)

    def forget(self) -> None:
        """Begin to count."""
        self._counts.clear()
        self._in_triggers = 0

    def told(self, deliveries: int) -> dict[str, Any]:
        """Statements per delivery, in all and of the ten most frequent."""
        if not self._wanted:
            return {}
        return {
            "statements": self._counts.total() / deliveries,
            "statements_in_triggers": self._in_triggers / deliveries,
            "statements_by_text": {text: count / deliveries for text, count in self._counts.most_common(10)},
        }

    def _trace(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, self._count)

    def _count(self, event: dict[str, Any]) -> None:
        if event["trigger"]:
            self._in_triggers += 1
        else:
            self._counts[" ".join(event["sql"].split())] += 1


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the engine is run.

    Attributes:
        database: Its file, or a URL.
        log: The file of its log; "" for one beside the database.
        settings: Over the defaults of `Settings`.
        logging: At level info into a file; else only errors.
        stands_at: Where its clock stands until the gate is opened; None lets it run.
    """

    database: str
    settings: dict[str, Any]
    logging: bool = True
    stands_at: float | None = None
    log: str = ""


@asynccontextmanager
async def engine(conditions: Conditions) -> AsyncIterator[tuple[Application, Gate]]:
    """The server without its socket, settled in."""
    _log_to(Path(conditions.log or f"{conditions.database}.log"), level="info" if conditions.logging else "error")
    settings = Settings(store=conditions.database, **{"start_job": False} | conditions.settings)
    gate = Gate(conditions.stands_at)
    async with running(settings, clock=gate) as server:
        spare_the_collector()
        await asyncio.sleep(SETTLING_IN)
        yield server, gate


async def register(store: Store, shape: Shape) -> None:
    """Create the endpoints."""
    for endpoint in endpoints(shape, time.time()):
        await store.create_endpoint(endpoint)


def _log_to(file: Path, *, level: str) -> None:
    """As a service does it: the log is written to stderr, and stderr is a file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logs.configure(level=level, form="text", file=None)
