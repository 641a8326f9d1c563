"""The calls about uploaded files: each as data, with its reader; and the paths in a body that stand for such files.

Reading a file from disk, and sending it, is the transports' business.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from video_translation_client._operations.operation import FilePart, Operation, read_data

MOST_BYTES: Final = 32 * 1024 * 1024
"""The largest file that the service takes, as it documents."""
_PATIENCE: Final = 600.0
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the service holds.

    Attributes:
        id: its id: `{"type": "asset_id", "asset_id": id}` stands for it in a request.
        media_type: what the service takes it for, where it tells.
        size: bytes, where the service tells.
        duration: how long it plays, in seconds, where the service tells.
        extra: every other field, untouched.
    """

    id: str
    media_type: str | None = None
    size: int | None = None
    duration: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @property
    def source(self) -> dict[str, str]:
        """What stands for it in a request."""
        return {"type": "asset_id", "asset_id": self.id}


def upload_asset(
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], object] | None = None,
    max_bytes: int = MOST_BYTES,
) -> Operation[Asset]:
    """Send a file.

    Args:
        path: where it is.
        progress: called with the bytes sent so far and the size.
        max_bytes: more is refused here, before anything is sent.

    Raises:
        FileNotFoundError: there is none.
        IsADirectoryError: it is a folder.
        ValueError: there is nothing in it, or too much.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {str(file)!r} to upload")
    if not file.is_file():
        raise IsADirectoryError(f"{str(file)!r} is no file: name one file to upload")
    size = file.stat().st_size
    if not size:
        raise ValueError(f"the file {str(file)!r} is empty: there is nothing to upload")
    if size > max_bytes:
        raise ValueError(
            f"the file {str(file)!r} has {size / _MIB:.1f} MiB, and the service takes {max_bytes / _MIB:g} MiB: "
            "put it where the service can read it, and give its URL"
        )
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    part = FilePart(file, size, media_type, progress)
    return Operation("upload_asset", "POST", "/v3/assets", _read_asset, file=part, keyed=True, patience=_PATIENCE)


def local_files(body: Any) -> Iterator[Path]:
    """Give the paths in a body, each once for every place."""
    if isinstance(body, os.PathLike):
        yield Path(body)
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from local_files(value)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from local_files(value)


def with_assets(body: Any, assets: Mapping[Path, Asset]) -> Any:
    """Return a body in which assets stand for the paths."""
    if isinstance(body, os.PathLike):
        return assets[Path(body)].source
    if isinstance(body, Mapping):
        return {name: with_assets(value, assets) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [with_assets(value, assets) for value in body]
    return body


_NAMES: Final = {"asset_id", "id", "mime_type", "size_bytes", "duration"}


def _read_asset(answer: Any) -> Asset:
    data = read_data(answer)
    asset_id = (data.get("asset_id") or data.get("id")) if isinstance(data, Mapping) else None
    if not isinstance(asset_id, str) or not asset_id:
        raise ValueError("an asset needs an `asset_id`")
    size, seconds = data.get("size_bytes"), data.get("duration")
    return Asset(
        id=asset_id,
        media_type=data.get("mime_type"),
        size=size if isinstance(size, int) else None,
        duration=float(seconds) if isinstance(seconds, int | float) else None,
        extra={name: value for name, value in data.items() if name not in _NAMES},
    )
