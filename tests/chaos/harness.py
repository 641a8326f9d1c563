"""The run: receivers, load and one server process after another on the same database, until everything is drained.

It brings about and writes down; whether what it wrote down is good is decided by `verdict`.
"""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import database
from tests.chaos.api import Api
from tests.chaos.load import Load
from tests.chaos.plan import PROFILES, RANDOM, STARTING, Fate, Fates
from tests.chaos.process import KILLED, ServerProcess
from tests.chaos.receivers import Receiver
from tests.chaos.record import Kill, Pair, Record
from tests.chaos.tails import Tails
from tests.chaos.verdict import lost_pairs, lost_transitions

ATTEMPT_TIMEOUT = 1.0
FIRST_DELAYS = (0.2, 0.3, 0.5, 0.8, 1.2)
LAST_DELAY = 2.0
BETWEEN_ASKS = 0.01
BETWEEN_READS = 0.5
READY_WITHIN, STOPPED_WITHIN = 60.0, 30.0
START_UP = 0.8
"""Seconds that a process takes to be ready, about."""


LEAST_LIMIT = 90.0
"""Seconds that even a short run gets: on a busy machine a server's start takes most of each of its lives."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for.

    Attributes:
        seconds: How long kills and faults last, about.
        drain: Seconds within which everything must be drained after that.
    """

    kills: int
    jobs: int
    seed: int
    seconds: float
    drain: float

    @property
    def limit(self) -> float:
        """Seconds after which a run that is slower than planned goes on to its end."""
        return max(2 * self.seconds, LEAST_LIMIT)


class Harness:
    """One run in a folder of its own; `tell` gets the lines about its progress."""

    def __init__(self, options: Options, folder: Path, tell: Callable[[str], None]) -> None:
        """Nothing happens until `run`."""
        self._options = options
        self._folder = folder
        self._store = folder / "jobs.db"
        self._tell = tell
        self._record = Record()
        self._life = -1
        self._receivers = [Receiver(profile, options.seed, self._record, lambda: self._life) for profile in PROFILES]
        self._place, self._port = reserve_port()
        self._api = Api(f"http://127.0.0.1:{self._port}")
        self._load = Load(
            self._api, options.seed, jobs=options.jobs, seconds=options.seconds, accepted=self._record.accepted
        )
        self._tails = Tails(self._api, self._record)
        self._leases: dict[Pair, int] = {}
        self._calm = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> Record:
        """Kill, restart, drain; the answer is all that was seen."""
        try:
            for receiver in self._receivers:
                await receiver.open()
            async with asyncio.TaskGroup() as group:
                for receiver in self._receivers:
                    group.create_task(receiver.go_down_now_and_then(self._calm))
                group.create_task(self._load.run())
                await self._kill_and_restart()
                await self._live_and_drain()
        finally:
            self._place.close()
            await self._api.close()
            for receiver in self._receivers:
                await receiver.close()
                receiver.retire()
        return self._record

    async def _kill_and_restart(self) -> None:
        fates = Fates(self._options.seed)
        while len(self._record.kills) < self._options.kills and self._elapsed < self._options.limit:
            await self._live_and_die(fates.next(self._slot()))

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _slot(self) -> float:
        """Seconds that the next process should live, so that the kills spread over the time."""
        due = self._options.seconds * (len(self._record.kills) + 1) / self._options.kills
        return max(0.3, due - self._elapsed - START_UP)

    # One process

    async def _live_and_die(self, fate: Fate) -> None:
        """Start a server and see it killed as its fate wants; then look at what was in flight."""
        killed_by_us = not fate.is_named
        async with self._server(fate) as server:
            if fate.point == STARTING:
                asyncio.get_running_loop().call_later(fate.seconds, server.signal, signal.SIGKILL)
            ready_at = await self._until_ready(server)
            if ready_at is not None:
                await self._work(server, may_register=fate.point == RANDOM)
                if await server.wait(within=fate.seconds) is None:
                    server.signal(signal.SIGKILL)
                    killed_by_us = True
        lived = None if ready_at is None else time.monotonic() - ready_at
        recovery = self._note_recovery(server, ready_at)
        in_flight = await self._in_flight()
        point = RANDOM if fate.is_named and killed_by_us else fate.point
        self._record.kills.append(Kill(self._life, point, in_flight))
        self._tell(
            f"kill {len(self._record.kills)}/{self._options.kills} at {_named(point, fate)}, {_spell('after', lived)} "
            f"of life, {_spell('first delivery after', recovery)}, {len(in_flight)} in flight, "
            f"{len(self._record.accepted)} jobs, {len(self._record.receipts)} receipts"
        )

    async def _live_and_drain(self) -> None:
        """Start the last server, end the load and then the faults, and wait until everything has arrived."""
        async with self._server(None) as server:
            ready_at = await self._until_ready(server)
            if ready_at is None:
                raise RuntimeError(f"the last server did not start; its log is in {self._folder}")
            await self._work(server, may_register=True)
            while not self._load.is_enough and self._elapsed < self._options.limit:
                await self._stays_up(server, BETWEEN_READS)
            self._load.stop()
            self._calm.set()
            for receiver in self._receivers:
                receiver.faults.is_calm = True
            self._tell("load and faults have ended; draining")
            await self._drain(server)
            server.signal(signal.SIGTERM)
            code = await server.wait(within=STOPPED_WITHIN)
            if code != 0:
                self._record.trouble.append(f"the last server did not stop cleanly within its time: exit code {code}")
        self._note_recovery(server, ready_at)
        self._record.attempts = database.settled_attempts(self._store)

    @asynccontextmanager
    async def _server(self, fate: Fate | None) -> AsyncIterator[ServerProcess]:
        """The next process; whatever happens, it has ended after the block, and what its log told is noted."""
        self._life += 1
        with (self._folder / "server.log").open("ab") as log:
            server = await ServerProcess.start(self._settings(), fate, log)
            try:
                yield server
            except BaseException:
                server.signal(signal.SIGKILL)
                raise
            finally:
                self._load.pause()
                if fate is None:
                    server.signal(signal.SIGKILL)
                code = await server.wait()
        if fate is not None and code != KILLED:
            self._record.trouble.append(f"server {self._life} ended by itself with exit code {code}")
        self._record.trouble += [f"server {self._life} logged an error: {error}" for error in server.errors]
        for pair, count in server.gave_up.items():
            self._record.gave_up[self._life, pair] += count

    def _settings(self) -> dict[str, Any]:
        # Nothing may die: there are more attempts than the run and its drain have time for.
        last = round((self._options.limit + self._options.drain) / LAST_DELAY)
        return {
            "port": self._port,
            "store": str(self._store),
            "start_job": False,
            "attempt_timeout": ATTEMPT_TIMEOUT,
            "connect_timeout": ATTEMPT_TIMEOUT,
            "retry_delays": [*FIRST_DELAYS, *[LAST_DELAY] * last],
            # Longer than the run: a lease that a restarted server does not take back is then never drained.
            "lease": self._options.limit + self._options.drain,
            "poll_interval": 1,
            "log_format": "json",
        }

    async def _until_ready(self, server: ServerProcess) -> float | None:
        """When `/readyz` first said yes; None for a process that ended before."""
        if not await server.listens(within=READY_WITHIN):
            if await server.wait(within=STOPPED_WITHIN) is None:
                raise RuntimeError(f"server {self._life} neither listens nor ends; its log is in {self._folder}")
            return None
        while not await self._api.is_ready():
            if await server.wait(within=BETWEEN_ASKS) is not None:
                return None
        return time.monotonic()

    async def _work(self, server: ServerProcess, *, may_register: bool) -> None:
        """Let a ready server get its load; one that will not kill itself meanwhile also gets new endpoints."""
        for receiver in self._receivers if may_register else ():
            if not receiver.endpoint and (self._life > 0 or not receiver.profile.is_late):
                made = await self._api.register(receiver.profile, receiver.url)
                receiver.endpoint, receiver.secret = made["endpoint_id"], made["secret"]
                self._tails.follow(receiver, made["cursor"])
        if server.is_running:
            self._load.resume()

    def _note_recovery(self, server: ServerProcess, ready_at: float | None) -> float | None:
        """How long a restarted process took; one that died too early to tell is passed over."""
        if ready_at is None or self._life == 0:
            return None
        if server.first_delivery is not None:
            recovery = max(0.0, server.first_delivery - ready_at)
        elif time.monotonic() - ready_at >= self._record.most_recovery:
            recovery = time.monotonic() - ready_at
        else:
            return None
        self._record.recoveries.append(recovery)
        return recovery

    async def _in_flight(self) -> frozenset[Pair]:
        """The attempts in flight of the process that was just killed; not what it had not yet taken back itself."""
        before = self._leases
        self._leases = await asyncio.to_thread(database.leases_at_death, self._store, self._folder)
        return frozenset(pair for pair, fence in self._leases.items() if before.get(pair) != fence)

    # The end

    async def _drain(self, server: ServerProcess) -> None:
        """Wait until the log is complete, everybody has what they are owed, and nothing is open."""
        until = time.monotonic() + self._options.drain
        while time.monotonic() < until:
            await self._tails.read()
            self._record.set_aside = database.set_aside(self._store)
            is_open = database.open_deliveries(self._store)
            if not is_open and not any(lost_transitions(self._record)) and not any(lost_pairs(self._record)):
                return
            await self._stays_up(server, BETWEEN_READS)
        self._record.trouble.append(f"not drained within {self._options.drain:g} s: {is_open} deliveries are open")

    async def _stays_up(self, server: ServerProcess, seconds: float) -> None:
        if (code := await server.wait(within=seconds)) is not None:
            raise RuntimeError(f"the last server ended with exit code {code}; its log is in {self._folder}")


def reserve_port() -> tuple[socket.socket, int]:
    """A free port, and what keeps it: bound, never listening, so that the server can still bind it too.

    Without it, a stranger's outgoing connection could get the port while the server is down. Only Linux lets two
    sockets share an address like this; elsewhere the port is merely picked.
    """
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = int(place.getsockname()[1])
    if sys.platform != "linux":
        place.close()
    return place, port


def _named(point: str, fate: Fate) -> str:
    return f"{point!r}, pass {fate.passes}" if point == fate.point and fate.is_named else point


def _spell(words: str, seconds: float | None) -> str:
    return "never" if seconds is None else f"{words} {seconds:.2f} s"
