"""Two servers side by side, one on a small database and one on a large one; whatever is asked, both are asked in turns.

So a machine that is busy with other things is busy for both, and a ratio tells of the database only.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.filling import a_few
from benchmarks.meter import cpu_of, memory_of
from benchmarks.report import percentile
from benchmarks.server import Server, started

TIMEOUT = 120.0
"""Seconds for an answer; some are given only when thousands of jobs have moved."""


@dataclass(frozen=True)
class Asked:
    """A server, a connection to it, and what of it is known by id."""

    server: Server
    connection: http.client.HTTPConnection
    known: dict[str, list[str]] = field(default_factory=dict)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's `data`, or the answer where it has none."""
        content = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path} was answered {response.status}: {answer[:500]!r}")
        told = json.loads(answer)
        return told.get("data", told)

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        return cpu_of(self.server.process.pid)

    def memory(self) -> int:
        """Bytes that it holds."""
        return memory_of(self.server.process.pid)

    def one(self, what: str, number: int) -> str:
        """The id of one of what is known (by `filling.a_few`)."""
        return self.known[what][number % len(self.known[what])]

    @classmethod
    @contextmanager
    def of(cls, server: Server) -> Iterator[Self]:
        """A connection to a running server."""
        with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
            yield cls(server, connection)


Ask = Callable[[Asked, int], object]
"""Asks a server for something, for the how-manieth time."""


@dataclass(frozen=True)
class Pair:
    """The two."""

    small: Asked
    large: Asked

    @classmethod
    @contextmanager
    def serving(cls, folders: Sequence[Path], **settings: str) -> Iterator[Self]:
        """Run both, each on the database in its folder."""
        with ExitStack() as both:
            servers = [both.enter_context(started(folder, **settings)) for folder in folders]
            yield cls(*(both.enter_context(Asked.of(server)) for server in servers))

    @property
    def both(self) -> tuple[Asked, Asked]:
        """In the order of their sizes."""
        return self.small, self.large

    def latencies(self, ask: Ask, count: int) -> tuple[float, float]:
        """The median seconds of an answer, of each; a tenth as many are asked for before it counts."""
        small, large, warm = list[float](), list[float](), -(-count // 10)
        for number in range(count + warm):
            for asked, seconds in ((self.small, small), (self.large, large)):
                began = time.perf_counter()
                ask(asked, number)
                if number >= warm:
                    seconds.append(time.perf_counter() - began)
        return percentile(small, 50), percentile(large, 50)

    def cost(self, work: Callable[[Asked], int], *, first: int) -> tuple[float, float]:
        """CPU seconds of a server per unit of work, of each, `first` (0: the small one) before the other.

        `work` tells how many units it was.
        """
        costs = [0.0, 0.0]
        for index in (first, 1 - first):
            asked = self.both[index]
            before = asked.cpu()
            units = work(asked)
            costs[index] = (asked.cpu() - before) / units
        return costs[0], costs[1]

    def learn(self, *whats: str, count: int) -> None:
        """Know some ids of both."""
        for asked in self.both:
            asked.known.update({what: a_few(asked.server.database, what, count) for what in whats})

    def growth(self, rows: int) -> float:
        """Bytes of memory that the large one holds more than the small one, per row that it has more."""
        return (self.large.memory() - self.small.memory()) / rows
