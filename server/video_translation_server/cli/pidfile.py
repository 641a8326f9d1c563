"""The pid file of a server in the background: who runs, where it listens, and that there is only one.

The server's stdout is the file. So the file has its pid and the line that says where it listens, and the file's lock
is the server's for as long as it lives, however it ends: a file whose lock is free is a stale one, whatever pid is in
it, and a process that has been given that pid since is left alone. Starting and ending is `background`'s business.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from video_translation_server.cli.exits import USAGE, Refusal

_PAUSE: Final = 0.02
_PATIENCE: Final = 1.0
_OURS: Final = re.compile(r"(?:\d{1,10}\s*|Listening on \S+\s*)*")


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition has come to hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs; what it has not said yet is None."""

    pid: int | None
    url: str | None


@dataclass(frozen=True, slots=True)
class PidFile:
    """One file; nothing of it is kept in memory."""

    path: Path

    def running(self) -> Running | None:
        """The server that holds the file; None where none does."""
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                return None if _lock(file, exclusive=False) else _read(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error.strerror) from error

    def claim(self, seconds: float = _PATIENCE) -> IO[str] | None:
        """The emptied file, locked, to be a server's stdout; None where another server has kept it for so long.

        Some patience is needed: whoever looks whether a server runs holds the lock for a moment.
        """
        claimed: list[IO[str]] = []

        def try_once() -> bool:
            try:
                file = self.path.open("a+", encoding="utf-8", errors="replace")
            except OSError as error:
                raise self._unusable(error.strerror) from error
            # A file that was removed in between is nobody's: whoever comes next would lock another one.
            if not (_lock(file, exclusive=True) and self._is(file.fileno())):
                file.close()
                return False
            claimed.append(file)
            return True

        return self._emptied(claimed[0]) if until(try_once, seconds) else None

    def remove(self, seconds: float) -> bool:
        """Remove the file once its server has let go of it; False where it has not after so many seconds."""
        file = self.claim(seconds)
        if file is None:
            return False
        with file:
            self.path.unlink()
        return True

    def wrote(self, pid: int) -> bool:
        """Whether the file is that process's stdout; where the system cannot tell, the lock must do."""
        if not Path("/proc/self/fd").exists():
            return True
        try:
            return os.path.samestat(os.stat(f"/proc/{pid}/fd/1"), self.path.stat())  # noqa: PTH116  (a file behind a name that is none)
        except OSError:
            return False

    def _is(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _emptied(self, file: IO[str]) -> IO[str]:
        file.seek(0)
        if not _OURS.fullmatch(file.read()):
            file.close()
            raise self._unusable("it is no pid file")
        file.truncate(0)
        return file

    def _unusable(self, why: str | None) -> Refusal:
        return Refusal(f"cannot use {self.path}: {why}; choose another --pid-file", code=USAGE)


def _lock(file: IO[str], *, exclusive: bool) -> bool:
    """Whether the lock could be had; it goes with the open file, and so with a process that inherits it."""
    try:
        import fcntl  # noqa: PLC0415  (not on every platform)
    except ImportError:
        raise Refusal("there are no pid files on this system; run `serve` as a service", code=USAGE) from None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(text: str) -> Running:
    pid = re.search(r"^([1-9]\d{0,9})$", text, re.MULTILINE)
    url = re.search(r"^Listening on (\S+)$", text, re.MULTILINE)
    return Running(int(pid[1]) if pid else None, url[1] if url else None)
