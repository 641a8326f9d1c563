"""`client.assets`: files sent to the service, for both clients.

What a file must be, and how it is sent, is in `_operations`; a path given to `translate` is uploaded the same way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from video_translation_client._call import AsyncRun, Call, Run, itself
from video_translation_client._operations import MOST_BYTES, Asset, upload_asset
from video_translation_client._options import Options


class Assets:
    """Uploads files."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def upload(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], object] | None = None,
        max_bytes: int = MOST_BYTES,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Asset:
        """Send a file; `asset.source` then stands for it in a request.

        It is read from disk piece by piece. An upload that is repeated (`max_retries`) reads it from the beginning,
        and makes one asset: every try carries the same key.

        Args:
            path: the file.
            progress: called with the bytes sent so far and the size, for example to show a bar.
            max_bytes: a larger file is refused before anything is sent; say more where the service takes more.
            timeout: seconds that one try may take; 600 by default.
            idempotency_key: of your own, so that a program that starts over makes no second asset either.

        Raises:
            OSError: there is no such file, it is a folder, or it cannot be read.
            ValueError: it is empty, or too large.
            PayloadTooLargeError: it is too large for the service.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer; whether it has the file is not known.
        """
        return self._run(upload_call(path, progress, max_bytes, Options(timeout, idempotency_key=idempotency_key)))


class AsyncAssets:
    """The twin of `Assets`, to be awaited."""

    def __init__(self, run: AsyncRun) -> None:
        self._run = run

    async def upload(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], object] | None = None,
        max_bytes: int = MOST_BYTES,
        timeout: float | None = None,  # noqa: ASYNC109 - as the twin
        idempotency_key: str | None = None,
    ) -> Asset:
        """Send a file; `asset.source` then stands for it in a request.

        It is read from disk piece by piece, by another thread. An upload that is repeated (`max_retries`) reads it
        from the beginning, and makes one asset: every try carries the same key.

        Args:
            path: the file.
            progress: called with the bytes sent so far and the size, on the event loop.
            max_bytes: a larger file is refused before anything is sent; say more where the service takes more.
            timeout: seconds that one try may take; 600 by default.
            idempotency_key: of your own, so that a program that starts over makes no second asset either.

        Raises:
            OSError: there is no such file, it is a folder, or it cannot be read.
            ValueError: it is empty, or too large.
            PayloadTooLargeError: it is too large for the service.
            APIError: the service refused for another reason.
            ServerUnreachableError: the service gave no answer; whether it has the file is not known.
        """
        options = Options(timeout, idempotency_key=idempotency_key)
        return await self._run(await asyncio.to_thread(upload_call, path, progress, max_bytes, options))


def upload_call(
    path: str | os.PathLike[str],
    progress: Callable[[int, int], object] | None = None,
    max_bytes: int = MOST_BYTES,
    options: Options | None = None,
) -> Call[Asset, Asset]:
    """Send a file."""
    return Call(upload_asset(path, progress=progress, max_bytes=max_bytes), itself, options or Options())
