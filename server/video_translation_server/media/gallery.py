"""The files of completed jobs: made when somebody first asks for one, and kept for those who ask again.

Each can be made again at any time from its recipe, with the same bytes: nothing is lost when one goes. Which job has
which recipe is the API's business.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from video_translation_server.media import captions
from video_translation_server.media.recipe import Recipe
from video_translation_server.media.studio import Studio
from video_translation_server.shelf import delete_untouched
from video_translation_server.wire.files import FileKind

UNFINISHED = ".part"


class Gallery:
    """A folder of made files, by their recipes."""

    def __init__(self, folder: Path, studio: Studio) -> None:
        """Nothing is made until the first file is wanted."""
        self._folder = folder
        self._studio = studio
        self._making: dict[Path, asyncio.Task[None]] = {}

    async def file(self, recipe: Recipe, kind: FileKind) -> Path:
        """Where a file lies; it is made if it does not. Who wants the same one meanwhile waits for the same making.

        Raises:
            BusyError: Too many are being made.
            MediaError: It could not be made.
        """
        path = self._folder / (recipe.digest + kind.suffix)
        if await asyncio.to_thread(_use, path):
            return path
        making = self._making.get(path)
        if making is None:
            making = self._making[path] = asyncio.create_task(self._make(recipe, kind, path), name=f"make {path.name}")
            making.add_done_callback(lambda made: self._end(path, made))
        # Shielded: one who leaves must not take it away from the others.
        await asyncio.shield(making)
        return path

    async def close(self) -> None:
        """Give up what is being made."""
        for making in list(self._making.values()):
            making.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def tidy(self, untouched_for: float = 0.0) -> None:
        """Delete what a server that was killed had not finished; only what was not written to for so long. Blocks."""
        delete_untouched(self._folder.glob(f"*{UNFINISHED}*"), untouched_for)

    def prune(self, *, before: float, most_bytes: int) -> None:
        """Delete what nobody has asked for since a time, and the longest unused of what is too much. Blocks.

        Args:
            before: Unix seconds, real ones: those of the files' system.
            most_bytes: How much may stay.
        """
        found = sorted(_files(self._folder), key=lambda file: file.used_at, reverse=True)
        kept = 0
        for file in found:
            kept += file.size
            if file.used_at < before or kept > most_bytes:
                file.path.unlink(missing_ok=True)

    async def _make(self, recipe: Recipe, kind: FileKind, path: Path) -> None:
        await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        # A name of its own: another server on this folder may be making the same one.
        unfinished = path.with_name(f"{path.stem}{UNFINISHED}{uuid4().hex}{path.suffix}")
        try:
            await self._writer(kind)(recipe, unfinished)
            await asyncio.to_thread(unfinished.replace, path)
        finally:
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)

    def _end(self, path: Path, made: asyncio.Task[None]) -> None:
        del self._making[path]
        # Looked at also where everybody who wanted it has gone, or asyncio would report it.
        if not made.cancelled():
            made.exception()

    def _writer(self, kind: FileKind) -> Callable[[Recipe, Path], Awaitable[None]]:
        return {
            FileKind.VIDEO: self._studio.write_video,
            FileKind.AUDIO: self._studio.write_audio,
            FileKind.SRT: _write_srt,
            FileKind.VTT: _write_vtt,
        }[kind]


async def _write_srt(recipe: Recipe, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, captions.srt(recipe))


async def _write_vtt(recipe: Recipe, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, captions.vtt(recipe))


class _File(NamedTuple):
    path: Path
    used_at: float
    size: int


def _files(folder: Path) -> Iterator[_File]:
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if UNFINISHED in entry.name:
                continue
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat()
                yield _File(Path(entry.path), found.st_mtime, found.st_size)


def _use(path: Path) -> bool:
    """Whether the file is there; if so, it is young again."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
