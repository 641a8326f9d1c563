"""A file on its way onto disk: where it shall lie, and that it lies there only once it is whole.

Every function here may block. Where its bytes come from is left to `_download`.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

FileKind = Literal["video", "audio", "srt", "vtt"]
"""The files of a completed job."""
SUFFIXES: Final[dict[str, str]] = {"video": ".mp4", "audio": ".m4a", "srt": ".srt", "vtt": ".vtt"}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._~-]")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants to have.

    Attributes:
        path: a file, or a folder, in which the file is named after its job.
        kind: which of the job's files.
        overwrite: whether a file that is there already is replaced.
        timeout: seconds for everything together; None takes as long as it takes.
        progress: called with the bytes that have come and, where it is known, the size.

    Raises:
        ValueError: there is no such kind.
    """

    path: str | os.PathLike[str]
    kind: str = "video"
    overwrite: bool = False
    timeout: float | None = None
    progress: Callable[[int, int | None], object] | None = None

    def __post_init__(self) -> None:
        if self.kind not in SUFFIXES:
            raise ValueError(f"kind must be one of {', '.join(SUFFIXES)}: {self.kind!r}")

    def place(self, job_id: str) -> Path:
        """Return where the file of this job shall lie.

        Raises:
            FileNotFoundError: there is no such folder.
            FileExistsError: there is a file already, and it shall stay.
        """
        path = Path(self.path)
        if path.is_dir() or os.fspath(self.path).endswith(("/", os.sep)):
            # The id comes from elsewhere: it must name no other folder, and no hidden file.
            path /= (_UNSAFE.sub("_", job_id).lstrip(".") or "job") + SUFFIXES[self.kind]
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to download into: make it first")
        self.refuse_existing(path)
        return path

    def refuse_existing(self, place: Path) -> None:
        """Refuse to replace a file, unless that was asked for.

        Raises:
            FileExistsError: there is one.
        """
        if not self.overwrite and place.exists():
            raise FileExistsError(f"{str(place)!r} is there already: say overwrite to replace it")


class Landing:
    """A file beside its place, until it is whole. Used by one thread at a time.

    Args:
        place: where it shall lie.
        wish: whether it may replace another.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, place: Path, wish: Wish) -> None:
        self._place = place
        self._wish = wish
        self._beside = place.with_name(f".download-{uuid.uuid4().hex[:12]}.part")
        self._file = self._beside.open("xb")
        self.size = 0
        """Bytes so far."""

    def write(self, piece: bytes) -> None:
        """Add what has come."""
        self._file.write(piece)
        self.size += len(piece)

    def restart(self) -> None:
        """Forget what has come."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    def settle(self) -> Path:
        """Put the file, which is whole, in its place.

        Raises:
            FileExistsError: somebody else has put one there meanwhile.
            OSError: it cannot be written.
        """
        self._file.flush()
        os.fsync(self._file.fileno())  # or a crash after the renaming could leave a file that is not whole
        self._file.close()
        self._wish.refuse_existing(self._place)
        return self._beside.replace(self._place)

    def discard(self) -> None:
        """Leave nothing beside the place; safe after `settle`, and to call again."""
        self._file.close()
        self._beside.unlink(missing_ok=True)
