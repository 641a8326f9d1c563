"""What a video at a URL is: fetched onto the shelf, looked into, and deleted again.

What becomes of its jobs is `preflight`'s business.
"""

import asyncio
from uuid import uuid4

import msgspec

from video_translation_server.errors import BusyError
from video_translation_server.media.studio import Studio
from video_translation_server.media.tasks import Footage
from video_translation_server.outbound import Fetcher
from video_translation_server.shelf import Shelf
from video_translation_server.wire.events import DOWNLOAD_FAILED, VALIDATION_FAILED


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job does not begin (the preset of a failure's text, and details), and the type of the event about it."""

    event_type: str
    preset: str
    details: str = ""


NO_VIDEO = Refusal(event_type=VALIDATION_FAILED, preset="unsupported_format")
NOTHING_LEFT = Refusal(event_type=VALIDATION_FAILED, preset="too_short")

BUSY_PAUSE = 1.0
"""Real seconds before a file is looked into again where too many are."""


class Inspector:
    """Looks at videos at URLs."""

    def __init__(self, fetcher: Fetcher, shelf: Shelf, studio: Studio, *, deadline: float) -> None:
        """Each video must be fetched within `deadline` (real seconds)."""
        self._fetcher = fetcher
        self._shelf = shelf
        self._studio = studio
        self._deadline = deadline

    async def inspect(self, url: str) -> Footage | Refusal:
        """What is at the URL."""
        name = f"fetched-{uuid4().hex}"
        try:
            with await asyncio.to_thread(self._shelf.open, name) as file:
                reason = await self._fetcher.fetch(url, file, deadline=self._deadline)
            if reason is not None:
                return Refusal(event_type=DOWNLOAD_FAILED, preset="download_failed", details=f": {reason}")
            await asyncio.to_thread(self._shelf.keep, name)
            return await self._look(name) or NO_VIDEO
        finally:
            # Not in a thread: also where the server stops in the middle of it.
            self._shelf.drop(name)

    async def _look(self, name: str) -> Footage | None:
        while True:
            try:
                return await self._studio.look(self._shelf.path(name))
            except BusyError:
                await asyncio.sleep(BUSY_PAUSE)
