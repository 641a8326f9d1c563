"""Python processes that are forked from one that has loaded the project already: a start takes a tenth of the time.

They are processes like any other (a pid, signals, an exit code, pipes). That server and client can be loaded is shown
where they are started as their users start them: test_cli_serve.py, test_readme.py.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any, Self, cast
from unittest import mock

from examples.local_server import LocalServer
from tests.waiting import PATIENCE

LOADED = [
    *("tests.forked", "uvloop"),
    *("video_translation_server.cli.program", "video_translation_server.serve", "video_translation_client._public"),
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LOADED)


class Forked:
    """`python -m module arguments`, as much like a `subprocess.Popen` as its users here need: streams are text.

    Attributes:
        returncode: None until `poll` or `wait` has seen that it ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | IO[Any] | None = None,
        **_: Any,
    ) -> None:
        """Start it; its streams are those of this process, but for stdin, where they are not pipes of its own."""
        python, flag, *module = command
        assert (python, flag) == (sys.executable, "-m"), command
        self.returncode: int | None = None
        theirs: dict[int, Connection] = {}
        self.stdin, self.stdout, self.stderr = (
            _stream(number, wanted, theirs) for number, wanted in enumerate((stdin, stdout, stderr))
        )
        given = (module, cwd or Path.cwd(), dict(os.environ if env is None else env), theirs)
        self._process = _context.Process(target=_run, args=given)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        for end in theirs.values():
            end.close()

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
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> None:
        """Close its stdin and `wait`, then let go of its streams: what it said and nobody has read is lost."""
        if self.stdin is not None:
            self.stdin.close()
        self.wait(timeout)
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """As `communicate`."""
        self.communicate()

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


def completed(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """What a command said that ends by itself, and says little; it is killed after `timeout` seconds."""
    process = Forked(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    killer = threading.Timer(timeout, process.kill)
    killer.start()
    try:
        with process.stdout, process.stderr:
            out, err = process.stdout.read(), process.stderr.read()
        return subprocess.CompletedProcess(command, process.wait(timeout), out, err)
    finally:
        killer.cancel()


class ForkedServer(LocalServer):
    """A `LocalServer` whose process is forked."""

    def _launch(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "video_translation_server", *arguments]
        return cast("subprocess.Popen[str]", Forked(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


@contextmanager
def forking(*modules: ModuleType) -> Iterator[None]:
    """Have the processes that these modules start forked."""
    stand_in = SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    with ExitStack() as patched:
        for module in modules:
            patched.enter_context(mock.patch.object(module, "subprocess", stand_in))
        yield


def _stream(number: int, wanted: int | IO[Any] | None, theirs: dict[int, Connection]) -> IO[str] | None:
    """Our end of a standard stream, where it is a pipe; their end is put down."""
    if wanted != subprocess.PIPE:
        if number:
            ours_too = number if wanted is None else cast("IO[Any]", wanted).fileno()
            theirs[number] = Connection(os.dup(ours_too), readable=False)
        return None
    reading, writing = _context.Pipe(duplex=False)
    ours, theirs[number] = (reading, writing) if number else (writing, reading)
    with ours:
        return os.fdopen(os.dup(ours.fileno()), "r" if number else "w", encoding="utf-8")


def _run(command: Sequence[str], folder: Path, env: Mapping[str, str], streams: Mapping[int, Connection]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, end in streams.items():
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (multiprocessing has closed it)
    module, *sys.argv[1:] = command
    sys.modules.pop(module, None)  # as where it is what the process begins with
    runpy.run_module(module, run_name="__main__", alter_sys=True)
