"""One server process of the harness: started, listened to through its log, ended by pid.

What its log tells is noted here (deliveries, deadlines, errors); what follows from it is `verdict`'s business.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from tests.chaos.pacing import happens
from tests.chaos.plan import Fate
from tests.chaos.record import Pair

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
LONGEST_LINE = 2**20
DEADLINES = ("read_timeout", "slow_body")
"""The outcomes of attempts that ended at their deadline although the receiver had the request."""


class ServerProcess:
    """A running `tests.chaos.server`; the times are monotonic seconds.

    Attributes:
        first_delivery: When its log first told of a settled delivery. The log line is the witness, not a receipt:
            it is written after the commit that settles, so that the time is never too good.
        last_delivery: When it last did.
        gave_up: Attempts that it ended at their deadline, although the receiver had the request.
        errors: Log lines of level error: there is no reason for any.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        """See `start`."""
        self._process = process
        self._log = log
        self._listens = False
        self._announced = asyncio.Event()
        self.first_delivery: float | None = None
        self.last_delivery: float | None = None
        self.gave_up: Counter[Pair] = Counter()
        self.errors: list[str] = []
        self._readers = asyncio.gather(self._read_stdout(), self._read_stderr())

    @classmethod
    async def start(cls, settings: dict[str, Any], fate: Fate | None, log: IO[bytes]) -> "ServerProcess":
        """Start it with the server's settings and, where its fate is a named point, with that plug."""
        command = [sys.executable, "-m", "tests.chaos.server", json.dumps(settings)]
        if fate is not None and fate.is_named:
            command += ["--point", fate.point, "--passes", str(fate.passes)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, limit=LONGEST_LINE
        )
        return cls(process, log)

    @property
    def is_running(self) -> bool:
        """Whether its end has not been noticed."""
        return self._process.returncode is None

    async def listens(self, *, within: float) -> bool:
        """Wait for it to listen, `within` seconds at most; False also where it ended before."""
        return await happens(self._announced, within=within) and self._listens

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.is_running:
            self._process.send_signal(number)

    async def wait(self, *, within: float | None = None) -> int | None:
        """Its exit code, once its log is read to the end; None where it has not ended `within` that many seconds."""
        try:
            code = await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            return None
        await self._readers
        return code

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"Listening on "):
                self._listens = True
                self._announced.set()
        # The end of stdout counts as an answer too: a process that failed is not waited for.
        self._announced.set()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._log.write(line)
            try:
                self._hear(json.loads(line))
            except ValueError:  # the last line of a killed process may be cut; a traceback is no JSON
                if line.startswith(b"Traceback"):
                    self.errors.append("a traceback")

    def _hear(self, line: dict[str, Any]) -> None:
        if line.get("level") in ("error", "critical"):
            self.errors.append(str(line.get("event")))
        if line.get("event") != "attempt":
            return
        if line["verdict"] == "delivered":
            self.last_delivery = time.monotonic()
            self.first_delivery = self.first_delivery or self.last_delivery
        elif line["outcome"] in DEADLINES:
            self.gave_up[Pair(line["endpoint_id"], line["event_id"])] += 1
