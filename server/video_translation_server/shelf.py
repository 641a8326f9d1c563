"""The folder of uploaded files: a file is written beside its place, and put there when it is whole.

What is known of a file is the store's business. Every function here may block; the event loop calls them in a thread.
"""

from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".part"

ISO_MEDIA = {b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"qt  ": "video/quicktime"}
STARTS = (
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
)
RIFF = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}

HEAD = 64
"""Bytes by which a file's type is told."""


def media_type_of(head: bytes) -> str:
    """What a file is by its first bytes; `application/octet-stream` where they say nothing of video or audio."""
    if head[4:8] == b"ftyp":
        return ISO_MEDIA.get(head[8:12], "video/mp4")
    if head[:4] == b"RIFF":
        return RIFF.get(head[8:12], "application/octet-stream")
    return next((kind for start, kind in STARTS if head.startswith(start)), "application/octet-stream")


class Shelf:
    """Files by the ids of their assets."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made until the first file comes."""
        self.folder = folder

    def tidy(self) -> None:
        """Delete what a server that was killed had not finished."""
        for path in self.folder.glob(f"*{UNFINISHED}"):
            path.unlink(missing_ok=True)

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

    def drop(self, asset_id: str) -> None:
        """Delete the file of an asset, whole or not; there may be none."""
        self._unfinished(asset_id).unlink(missing_ok=True)
        self.path(asset_id).unlink(missing_ok=True)

    def _unfinished(self, asset_id: str) -> Path:
        return self.folder / (asset_id + UNFINISHED)
