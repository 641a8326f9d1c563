"""The folder of uploaded files: a file is written beside its place, and put there when it is whole.

What is known of a file is the store's business. Every function here may block; the event loop calls them in a thread.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".part"


class Shelf:
    """Files by the ids of their assets."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made until the first file comes."""
        self.folder = folder

    def tidy(self, untouched_for: float = 0.0) -> None:
        """Delete what a server that was killed had not finished; only what was not written to for so many seconds."""
        delete_untouched(self.folder.glob(f"*{UNFINISHED}"), untouched_for)

    def path(self, asset_id: str) -> Path:
        """Where the file of an asset lies."""
        return self.folder / asset_id

    def open(self, asset_id: str) -> BinaryIO:
        """Begin the file of a new asset; only the server's own user may read it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._unfinished(asset_id).open("xb")

    def keep(self, asset_id: str) -> None:
        """Put a file that is whole in its place."""
        self._unfinished(asset_id).rename(self.path(asset_id))

    def old_files(self, before: float) -> list[str]:
        """The ids of whole files that were put there before a time (Unix seconds, real ones), known or not."""
        if not self.folder.exists():
            return []
        with os.scandir(self.folder) as entries:
            return [entry.name for entry in entries if _is_whole(entry) and entry.stat().st_mtime < before]

    def drop(self, asset_id: str) -> None:
        """Delete the file of an asset, whole or not; there may be none."""
        self._unfinished(asset_id).unlink(missing_ok=True)
        self.path(asset_id).unlink(missing_ok=True)

    def _unfinished(self, asset_id: str) -> Path:
        return self.folder / (asset_id + UNFINISHED)


def _is_whole(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and not entry.name.endswith(UNFINISHED)


def delete_untouched(paths: Iterable[Path], seconds: float) -> None:
    """Delete the files that were not written to for so many seconds, by the time of their file system."""
    before = time.time() - seconds
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime <= before or not seconds:
                path.unlink()
