"""Runs the child processes that read and write media: few at a time, each with a deadline.

A decoder of other people's files may hang or crash; here that is an answer like any other. What the children do is in
`__main__`; nothing of it is loaded into the server.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import msgspec
import structlog

from video_translation_server.errors import BusyError, MediaError
from video_translation_server.media.recipe import Recipe
from video_translation_server.media.tasks import Footage, Task, Verb

log = structlog.get_logger("media")

CHILDREN = 2
"""Processes at a time."""

MOST_WAITING = 64
"""Tasks that may wait for one; beyond it callers are told to come again."""

LOOK_WITHIN = 15.0
WRITE_WITHIN = 120.0
"""Real seconds that a child may take."""

COMMAND = (sys.executable, "-P", "-m", "video_translation_server.media")
"""The child. -P: what lies in the folder that the server was started in is not to be taken for a module."""

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""Variables that a child gets; the others may hold keys, which are none of its business."""


class Studio:
    """Looks at files and writes them, each in a process of its own."""

    def __init__(self, *, look_within: float = LOOK_WITHIN, write_within: float = WRITE_WITHIN) -> None:
        """No process runs until something is to be done; the limits are real seconds."""
        self._look_within = look_within
        self._write_within = write_within
        self._threads: ThreadPoolExecutor | None = None
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._waiting = 0
        self._is_closed = False

    async def look(self, path: Path) -> Footage | None:
        """What plays in a file; None for what is neither video nor audio, or cannot be read within the limits.

        Raises:
            BusyError: Too many wait already.
            MediaError: The server is stopping.
        """
        try:
            return msgspec.json.decode(await self._do("look", path, self._look_within), type=Footage | None)
        except (MediaError, msgspec.DecodeError) as error:
            if self._is_closed:  # the file has done nothing
                raise MediaError("the server is stopping") from None
            log.warning("file not readable", file=path.name, reason=str(error))
            return None

    async def write_video(self, recipe: Recipe, path: Path) -> None:
        """Write the film of a recipe.

        Raises:
            BusyError: Too many wait already.
            MediaError: It was not written within the limits.
        """
        await self._do("video", path, self._write_within, recipe)

    async def write_audio(self, recipe: Recipe, path: Path) -> None:
        """Write the sound of a recipe; raises as `write_video` does."""
        await self._do("audio", path, self._write_within, recipe)

    def close(self) -> None:
        """End what runs; whoever waits for it gets a MediaError."""
        with self._lock:
            self._is_closed = True
            for child in self._running:
                child.kill()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _do(self, verb: Verb, path: Path, within: float, recipe: Recipe | None = None) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise BusyError("too many files are being read and made at this moment; try again", retry_after=5)
        if self._is_closed:
            raise MediaError("the server is stopping")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(CHILDREN, "media")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._run, verb, path, within, recipe
            )
        finally:
            self._waiting -= 1

    def _run(self, verb: Verb, path: Path, within: float, recipe: Recipe | None) -> bytes:
        """What the child answers; blocks."""
        task = Task(verb=verb, path=str(path.absolute()), cpu_seconds=int(within) + 1, recipe=recipe)
        with self._child() as child:
            try:
                answer, complaint = child.communicate(msgspec.json.encode(task), within)
            except subprocess.TimeoutExpired:
                raise MediaError(f"{verb}: not done within {within:g} s") from None
        if child.returncode:
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise MediaError(f"{verb}: the process ended with {child.returncode}: {last[:300]}")
        return answer

    @contextlib.contextmanager
    def _child(self) -> Iterator[subprocess.Popen[bytes]]:
        """A process; it has ended when the block has."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with self._lock:
            if self._is_closed:
                raise MediaError("the server is stopping")
            child = subprocess.Popen(  # noqa: S603  (our own module)
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._running.add(child)
        with child:
            try:
                yield child
            finally:
                child.kill()
                with self._lock:
                    self._running.discard(child)
