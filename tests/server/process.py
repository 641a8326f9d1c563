"""The server as a process of its own: started on 127.0.0.1, read line by line, ended by its pid, bounded in time."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from tests.forked import Forked, completed
from tests.waiting import PATIENCE

COMMAND = [sys.executable, "-m", "video_translation_server"]
PROMPT = 30.0
"""Seconds within which a busy machine, too, ends what waits for nothing; a test makes a wait much longer."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of the server, and with these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VTS_") and name not in ("TRANSLATION_TIME", "ERROR_RATE")
    }
    return kept | variables


def ran(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return completed([*COMMAND, *arguments], cwd=folder, env=environment(**variables))


Process: TypeAlias = "Forked | subprocess.Popen[str]"


class Server:
    """A `serve` that listens."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        found = re.fullmatch(r"Listening on (http://\S+)\n", self.first_line)
        assert found, f"{self.first_line!r} instead of an URL; stderr: {''.join(self.errors)}"
        self.url = found[1]
        self.port = int(self.url.rpartition(":")[2])

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send a signal; the seconds until the process has ended."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - started

    def log(self) -> str:
        """All of stderr; the process must have ended."""
        self._reader.join(PATIENCE)
        return "".join(self.errors)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def started(*flags: str, folder: Path, **variables: str) -> Iterator[Server]:
    """A server on a free port and a database in `folder`, killed at the end if it still runs."""
    command, pipe = [*COMMAND, "serve", "--port", "0", *flags], subprocess.PIPE
    process = Forked(command, cwd=folder, env=environment(**variables), stdout=pipe, stderr=pipe)
    with listening(process) as server:
        yield server


@contextlib.contextmanager
def started_by_a_user(*flags: str, folder: Path) -> Iterator[Server]:
    """As `started`, and it loads all that it needs by itself."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *flags],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with listening(process) as server:
        yield server


@contextlib.contextmanager
def listening(process: Process) -> Iterator[Server]:
    """The server that this process is, once it listens; killed at the end if it still runs."""
    killer = threading.Timer(PATIENCE * 2, process.kill)
    killer.start()
    try:
        server = Server(process)
        try:
            yield server
        finally:
            server.close()
    finally:
        killer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)
