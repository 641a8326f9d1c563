"""A ring that comes a little later, and once, however often it is asked for meanwhile.

Whom it wakes is the bell's business; who asks for it, and why, is in `verbs.claims`.
"""

import asyncio

from video_translation_server.store.base import Bell


class LateRing:
    """Rings a bell after a while; used from the event loop only."""

    def __init__(self, bell: Bell, seconds: float) -> None:
        """It rings `seconds` after the first who asks."""
        self._bell = bell
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Ring after a while; a ring that is to come already does for this one, too."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._ring)

    def cancel(self) -> None:
        """Ring no more, until somebody asks again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._bell.ring()
