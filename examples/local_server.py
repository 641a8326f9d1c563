"""A server process of one's own for a while: started on a free port, ended by pid. Used by the demo and the tests."""

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

READY_WITHIN = 60.0
"""Seconds in which a started server must answer."""


class LocalServer:
    """`python -m video_translation_server serve` as a child process.

    The port is picked at the first start and kept over restarts, as is the database.
    """

    def __init__(self, store: Path | str, *flags: str, on_log: Callable[[str], None] | None = None) -> None:
        """Nothing runs until `start`; `store` is a file or a URL, `on_log` gets each log line as it is written."""
        self._store = store
        self._flags = flags
        self._on_log = on_log or (lambda _: None)
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended by us."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._process is not None  # noqa: S101  (the caller started it)
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            RuntimeError: It ended at once, or did not answer in time; its log is in the message.
        """
        self._process = self._launch("serve", "--port", str(self.port), "--store", str(self._store), *self._flags)
        log: list[str] = []
        announced: queue.SimpleQueue[str] = queue.SimpleQueue()

        def take_log(line: str) -> None:
            log.append(line)
            self._on_log(line)

        self._readers = [
            # The end of stdout counts as an answer too: a process that failed is not waited for.
            self._follow(self._process.stdout, announced.put, at_end=lambda: announced.put("")),
            self._follow(self._process.stderr, take_log),
        ]
        try:
            line = announced.get(timeout=READY_WITHIN)
        except queue.Empty:
            line = ""
        if not line.startswith("Listening on "):
            self.kill()
            raise RuntimeError("the server did not start:\n" + "\n".join(log))
        self.port = int(line.rsplit(":", 1)[1])

    def _launch(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "video_translation_server", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")

    def stop(self, timeout: float = 10.0) -> int:
        """Ask the process to end (SIGTERM) and return its exit code; `timeout` is seconds."""
        assert self._process is not None  # noqa: S101  (the caller started it)
        self._process.terminate()
        return self._wait(timeout)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would."""
        assert self._process is not None  # noqa: S101  (the caller started it)
        self._process.kill()
        self._wait(10.0)

    def _wait(self, timeout: float) -> int:
        assert self._process is not None  # noqa: S101  (as above)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for reader in self._readers:
            reader.join()
        self._process = None
        return code

    def _follow(
        self, stream: IO[str] | None, take: Callable[[str], None], at_end: Callable[[], None] = lambda: None
    ) -> threading.Thread:
        assert stream is not None  # noqa: S101  (both are pipes)

        def read() -> None:
            with stream:
                for line in stream:
                    take(line.rstrip("\n"))
            at_end()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, if it still runs."""
        if self.is_running:
            self.stop()
