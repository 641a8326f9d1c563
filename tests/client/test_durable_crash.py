"""A consumer is killed in the middle of its callbacks (SIGKILL), and started again: what each inbox makes of that."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.client.fake_server import FakeServer
from tests.forked import Forked
from tests.waiting import PATIENCE

pytestmark = pytest.mark.timeout(240)


class Process:
    """One run of the consumer."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.client.crash_consumer", *arguments]
        self.child = Forked(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said: list[str] = []
        self.wait_for("registered")

    def wait_for(self, line: str) -> None:
        assert self.child.stdout is not None
        while line not in self.said:
            said = self.child.stdout.readline()
            assert said, f"the consumer ended before it said {line!r}: {self.said}"
            self.said.append(said.strip())

    def kill(self) -> None:
        self.child.kill()
        assert self.child.wait(PATIENCE) == -9

    def end(self) -> None:
        """End it as Ctrl-D would, and take whatever it still says."""
        self.child.communicate(timeout=PATIENCE)
        assert self.child.returncode == 0


class Scene:
    """One job whose transitions are pushed to a consumer that is killed now and then."""

    def __init__(self, server: FakeServer, mode: str, path: Path) -> None:
        self.server = server
        self.mode = mode
        self.path = path
        self.job_id = ""

    def move(self) -> None:
        if self.job_id:
            self.server.move(self.job_id, "running")
        else:
            self.job_id = self.server.new_job()

    @contextmanager
    def run(self, *pause: str) -> Iterator[Process]:
        process = Process(self.mode, self.server.url, str(self.path), *pause)
        try:
            yield process
        finally:
            if process.child.poll() is None:
                process.child.kill()
            process.child.wait(PATIENCE)
            for stream in (process.child.stdin, process.child.stdout):
                if stream is not None:
                    stream.close()

    def killed_in(self, nth: int, point: str, *, pushes: int) -> None:
        """Push `pushes` events to a consumer, and kill it in its `nth` callback."""
        with self.run(str(nth), point) as process:
            for _ in range(pushes):
                self.move()
                self.server.push(self.server.log[-1])
            process.wait_for("paused")
            process.kill()
        self.server.forget_endpoints()
        self.move()  # nobody is there to be told

    def runs_to_its_end(self) -> None:
        """Let the last consumer catch up, and get everything again."""
        with self.run() as process:
            last = self.server.move(self.job_id, "completed")
            self.server.push(last, *self.server.log)
            process.wait_for(f"handled {last['event_data']['sequence']}")
            process.end()

    def effects(self) -> list[int]:
        lines = Path(f"{self.path}.effects").read_text().split()
        return [int(line) for line in lines]


def test_in_the_users_own_transaction_each_effect_happens_exactly_once(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    scene = Scene(server, "own", path)
    scene.killed_in(2, "before", pushes=2)
    scene.killed_in(2, "commit", pushes=1)
    scene.killed_in(2, "after", pushes=1)
    scene.runs_to_its_end()
    with closing(sqlite3.connect(path)) as orders:
        booked = [sequence for (sequence,) in orders.execute("SELECT sequence FROM ledger ORDER BY entry")]
    assert booked == list(range(1, len(server.log) + 1))


def test_with_an_inbox_file_each_effect_happens_and_only_the_unmarked_are_repeated(
    server: FakeServer, tmp_path: Path
) -> None:
    scene = Scene(server, "file", tmp_path / "inbox.db")
    scene.killed_in(1, "before", pushes=2)
    scene.killed_in(2, "after", pushes=1)
    scene.runs_to_its_end()
    effects = scene.effects()
    assert set(effects) == set(range(1, len(server.log) + 1))
    assert all(after <= before + 1 for before, after in pairwise(effects))  # never ahead; back over a crash only
    repeated = len(effects) - len(set(effects))
    assert 1 <= repeated <= 2  # the one in whose callback it was killed, and the one before it if it was not marked yet


def test_in_memory_each_effect_happens_once_per_process_and_what_was_queued_is_lost(
    server: FakeServer, tmp_path: Path
) -> None:
    scene = Scene(server, "memory", tmp_path / "none")
    scene.killed_in(1, "after", pushes=2)  # the second was answered with 204, too
    scene.runs_to_its_end()
    assert scene.effects() == [1, 4]


def test_the_example_books_what_is_pushed_until_it_is_interrupted(server: FakeServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.orders", str(tmp_path / "orders.db")]
    environment = os.environ | {"VIDEO_TRANSLATION_BASE_URL": server.url}
    with Forked(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("booking into")
        server.new_job()
        server.push(*server.log)
        assert child.stdout.readline() == "booked: job vt_2 is pending (sequence 1)\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 0
    assert server.endpoints == {}
