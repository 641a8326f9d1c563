"""Processes of the server's command line that are forked from one that has loaded it already.

They are processes like any other (a pid, signals, an exit code, stdout), and start in a tenth of the time. That the
command can be loaded is shown where it is started as its users start it: test_cli_serve.py, test_readme.py.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, cast

from examples.local_server import LocalServer
from video_translation_server.cli.program import PROGRAM, main

LOADED = ["tests.forked", "video_translation_server.serve", "uvloop"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LOADED)


class Forked:
    """A `video-translation-server` with these arguments, as much like a `subprocess.Popen` as the tests need.

    Attributes:
        returncode: None until `poll` or `wait` has seen that it ended.
    """

    def __init__(self, *arguments: str, folder: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Start it in a folder and with the variables `env` (None: those of this process)."""
        self.returncode: int | None = None
        reading, writing = zip(*(_context.Pipe(duplex=False) for _ in range(2)), strict=True)
        self._process = _context.Process(
            target=_run, args=(arguments, folder or Path.cwd(), dict(os.environ if env is None else env), *writing)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        for end in writing:
            end.close()
        self.stdout, self.stderr = map(_lines, reading)

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None and (code := self._process.exitcode) is not None:
            self._process.close()
            self.returncode = code
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; `timeout` is seconds.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if self.returncode is None:
            self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(PROGRAM, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkedServer(LocalServer):
    """A `LocalServer` whose process is forked."""

    def _launch(self, *arguments: str) -> "subprocess.Popen[str]":
        return cast("subprocess.Popen[str]", Forked(*arguments))


def _lines(end: Connection) -> IO[str]:
    lines = os.fdopen(os.dup(end.fileno()), encoding="utf-8")
    end.close()
    return lines


def _run(arguments: tuple[str, ...], folder: Path, env: dict[str, str], out: Connection, err: Connection) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.argv = [PROGRAM, *arguments]
    main()
