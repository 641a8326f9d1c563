"""Several servers on one PostgreSQL, and what befalls them: killed, frozen, cut off, the database itself restarted.

It brings about and writes down, as `harness` does for the embedded engine; whether it is good is decided by `verdict`.
"""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from tests.chaos.api import Api
from tests.chaos.harness import ATTEMPT_TIMEOUT, FIRST_DELAYS, LAST_DELAY, READY_WITHIN, Options, reserve_port
from tests.chaos.load import Load
from tests.chaos.plan import PROFILES
from tests.chaos.process import KILLED, ServerProcess
from tests.chaos.receivers import Receiver
from tests.chaos.record import Kill, Pair, Record
from tests.chaos.tails import Tails
from tests.chaos.verdict import TOOK, lost_pairs, lost_transitions
from tests.postgres import Cluster, create_database
from tests.proxy import Proxy

SERVERS = 3
LEASE = 6.0
"""Seconds: the shortest under which nobody's lease runs out while another server is frozen (docs/operations.md)."""
FROZEN = LEASE + 3.0
"""Seconds that a server is frozen: others have taken its leases over when it wakes."""
TROUBLES = ("killed", "killed", "frozen", "cut off", "unreachable", "database restarted", "database killed")
BETWEEN_READS = 0.5
EXPECTED = ("store failed",)
"""What a server logs for a request that came while the database was away; it answered 503."""

_PAIRS = """
SELECT p.id, e.id FROM video_translation.every_delivery d
JOIN video_translation.events e ON e.position = d.event JOIN video_translation.endpoints p ON p.n = d.endpoint
"""

_LEASED = "WHERE d.id IN (SELECT id FROM video_translation.deliveries WHERE claim_id IS NOT NULL)"
_LOGGED = """
SELECT (SELECT count(*) FROM video_translation.attempts)
  + (SELECT coalesce(sum(cardinality(log)), 0)::bigint FROM video_translation.every_delivery)
"""


class Berth:
    """One server's place: its port, its way to the database, and the process that is in it now."""

    def __init__(self, number: int, database: str, folder: Path) -> None:
        self.number = number
        self.place, self.port = reserve_port()
        self.api = Api(f"http://127.0.0.1:{self.port}")
        self.proxy = Proxy(database)
        self.process: ServerProcess | None = None
        self._folder = folder
        self._log = (folder / f"server-{number}.log").open("ab")

    async def start(self, settings: dict[str, Any]) -> None:
        """A new process, ready to answer."""
        mine = {"port": self.port, "store": self.proxy.url}
        self.process = await ServerProcess.start(settings | mine, None, self._log)
        deadline = time.monotonic() + READY_WITHIN
        await self.process.listens(within=READY_WITHIN)
        while not await self.api.is_ready():
            if time.monotonic() > deadline or await self.process.wait(within=0.05) is not None:
                raise RuntimeError(f"server {self.number} did not start; its log is in {self._folder}")

    async def close(self) -> None:
        """Whatever happened, nothing is left."""
        if self.process is not None:
            self.process.signal(signal.SIGCONT)
            self.process.signal(signal.SIGKILL)
            await self.process.wait()
        await self.proxy.refuse()
        await self.api.close()
        self.place.close()
        self._log.close()


class Fleet:
    """One run in a folder of its own; `tell` gets the lines about its progress."""

    def __init__(self, options: Options, folder: Path, tell: Callable[[str], None]) -> None:
        """Nothing happens until `run`."""
        self._options = options
        self._folder = folder
        self._tell = tell
        self._record = Record(most_recovery=LEASE + 10.0)
        self._random = random.Random(f"{options.seed} fleet")
        self._receivers = [Receiver(profile, options.seed, self._record, lambda: 0) for profile in PROFILES]
        self._berths: list[Berth] = []
        self._calm = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> Record:
        """Bring trouble on, drain; the answer is all that was seen."""
        self._cluster = await asyncio.to_thread(Cluster, self._folder / "postgres")
        self._database = await create_database(self._cluster.url, "chaos")
        self._berths = [Berth(number, self._database, self._folder) for number in range(SERVERS)]
        try:
            for receiver in self._receivers:
                await receiver.open()
            for berth in self._berths:
                await berth.proxy.accept()
                await berth.start(self._settings())
            self._began = time.monotonic()
            await self._run_under_load()
        finally:
            for berth in self._berths:
                await berth.close()
                self._note_process(berth)
            for receiver in self._receivers:
                await receiver.close()
                receiver.retire()
            await asyncio.to_thread(self._cluster.close)
        return self._record

    async def _run_under_load(self) -> None:
        api = self._berths[0].api
        tails = Tails(api, self._record)
        for receiver in self._receivers:
            made = await api.register(receiver.profile, receiver.url)
            receiver.endpoint, receiver.secret = made["endpoint_id"], made["secret"]
            tails.follow(receiver, made["cursor"])
        loads = [
            Load(
                berth.api,
                self._options.seed + berth.number,
                jobs=max(1, self._options.jobs // SERVERS),
                seconds=self._options.seconds,
                accepted=self._record.accepted,
            )
            for berth in self._berths
        ]
        async with asyncio.TaskGroup() as group:
            for receiver in self._receivers:
                group.create_task(receiver.go_down_now_and_then(self._calm))
            for load in loads:
                group.create_task(load.run())
                load.resume()
            await self._trouble()
            for load in loads:
                load.stop()
            self._calm.set()
            for receiver in self._receivers:
                receiver.faults.is_calm = True
        self._tell("troubles, load and faults have ended; draining")
        await self._drain(tails)

    # Troubles

    async def _trouble(self) -> None:
        """One trouble after the other, spread over the time; each kind comes up before any comes twice."""
        kinds: list[str] = []
        while len(self._record.kills) < self._options.kills and self._elapsed < self._options.limit:
            if not kinds:
                kinds = self._random.sample(TROUBLES, len(TROUBLES))
            due = self._options.seconds * (len(self._record.kills) + 1) / self._options.kills
            await asyncio.sleep(max(0.3, due - self._elapsed))
            await self._befall(kinds.pop(), self._random.choice(self._berths))

    async def _befall(self, kind: str, berth: Berth) -> None:
        """Bring one trouble on, and see deliveries go on after it."""
        assert berth.process is not None
        doubt = await self._in_doubt()
        match kind:
            case "killed":
                berth.process.signal(signal.SIGKILL)
                await berth.process.wait()
                doubt |= await self._in_doubt()
                self._note_process(berth)
                await berth.start(self._settings())
            case "frozen":
                berth.process.signal(signal.SIGSTOP)
                doubt |= await self._in_doubt()
                await asyncio.sleep(FROZEN)
                berth.process.signal(signal.SIGCONT)
            case "cut off":
                berth.proxy.cut()
            case "unreachable":
                await berth.proxy.refuse()
                doubt |= await self._in_doubt()
                await asyncio.sleep(1.0)
                await berth.proxy.accept()
            case _:
                await asyncio.to_thread(self._cluster.restart, "immediate" if kind == "database killed" else "fast")
                doubt |= await self._in_doubt()
        self._record.in_doubt.update(doubt)
        over = time.monotonic()
        recovery = await self._until_delivered(over)
        self._record.kills.append(Kill(len(self._record.kills), kind, frozenset(doubt)))
        self._record.recoveries.append(recovery)
        self._tell(
            f"trouble {len(self._record.kills)}/{self._options.kills}: {kind} (server {berth.number}), "
            f"delivered again after {recovery:.2f} s, {len(doubt)} were in doubt, {len(self._record.accepted)} jobs, "
            f"{len(self._record.receipts)} receipts"
        )

    async def _in_doubt(self) -> set[Pair]:
        """What may have been sent and is not settled: all that is leased, and what is open and was taken already."""
        leased = set(await self._pairs(_LEASED))
        open_now = set(await self._pairs("WHERE d.settled_at IS NULL"))
        return leased | open_now & {receipt.pair for receipt in self._record.receipts if receipt.answer in TOOK}

    async def _until_delivered(self, since: float) -> float:
        """Seconds from an instant to the next delivery that any server has settled; at most so many as are allowed."""
        while time.monotonic() < since + self._record.most_recovery:
            settled = [berth.process.last_delivery for berth in self._berths if berth.process is not None]
            later = [at - since for at in settled if at is not None and at > since]
            if later:
                return min(later)
            await asyncio.sleep(0.02)
        return self._record.most_recovery

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _note_process(self, berth: Berth) -> None:
        """What the log of a process that has ended told."""
        if berth.process is None:
            return
        unexpected = [error for error in berth.process.errors if error not in EXPECTED]
        self._record.trouble += [f"server {berth.number} logged an error: {error}" for error in unexpected]
        for pair, count in berth.process.gave_up.items():
            self._record.gave_up[0, pair] += count
        berth.process = None

    def _settings(self) -> dict[str, Any]:
        # Nothing may die: there are more attempts than the run and its drain have time for.
        last = round((self._options.limit + self._options.drain) / LAST_DELAY)
        return {
            "start_job": False,
            "assets": str(self._folder / "assets"),
            "attempt_timeout": ATTEMPT_TIMEOUT,
            "connect_timeout": ATTEMPT_TIMEOUT,
            "retry_delays": [*FIRST_DELAYS, *[LAST_DELAY] * last],
            "lease": LEASE,
            "poll_interval": 1,
            "log_format": "json",
        }

    # The end

    async def _drain(self, tails: Tails) -> None:
        """Wait until the log is complete, everybody has what they are owed, and nothing is open."""
        until = time.monotonic() + self._options.drain
        open_now = 0
        while time.monotonic() < until:
            await tails.read()
            self._record.set_aside = frozenset(await self._pairs("WHERE d.state = 'superseded'"))
            open_now = len(await self._pairs("WHERE d.settled_at IS NULL"))
            if not open_now and not any(lost_transitions(self._record)) and not any(lost_pairs(self._record)):
                break
            await asyncio.sleep(BETWEEN_READS)
        else:
            self._record.trouble.append(f"not drained within {self._options.drain:g} s: {open_now} deliveries are open")
        for berth in self._berths:
            assert berth.process is not None
            berth.process.signal(signal.SIGTERM)
            if (code := await berth.process.wait(within=15)) != 0:
                self._record.trouble.append(f"server {berth.number} did not stop cleanly: exit code {code or KILLED}")
        self._record.attempts = await self._count(_LOGGED)

    async def _pairs(self, condition: str) -> list[Pair]:
        connection = await asyncpg.connect(self._database)
        try:
            return [Pair(row[0], row[1]) for row in await connection.fetch(_PAIRS + condition)]
        finally:
            await connection.close()

    async def _count(self, query: str) -> int:
        connection = await asyncpg.connect(self._database)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()
