"""Read the service's event stream as it grows, and come back where it broke.

What is done with an event is the business of `listening`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from video_translation_client import VideoTranslationClient
    from video_translation_client._sse import Message

SILENCE: Final = 45.0
"""Seconds without a byte after which the peer is taken for dead: three heartbeats of the service."""
_PAUSES: Final = (0.2, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True)
class Tail:
    """One reader of the stream.

    Args:
        client: whose connection to use.
        event_types: only these; none means all.
        cursor: begin behind it; None begins now. Moves on with what was read.
        complain: is told when the stream broke, and that it is tried again.
        pause: sleeps for some seconds.
    """

    client: VideoTranslationClient
    event_types: Sequence[str]
    cursor: str | None
    complain: Callable[[str], None]
    pause: Callable[[float], None] = time.sleep

    def messages(self) -> Iterator[Message]:
        """Yield what the stream tells, for ever. Before it was open once, whatever keeps it from opening is raised.

        Raises:
            ServerUnreachableError: no answer came.
            NotFoundError: the service has no stream.
            GoneError: the cursor was pruned from the log, also while it was broken.
        """
        from video_translation_client._errors import (  # noqa: PLC0415 - see the package
            RateLimitError,
            ServerError,
            ServerUnreachableError,
        )

        failures, opened = 0, False
        while True:
            try:
                for message in self._read():
                    failures, opened = 0, True
                    if message is not None:
                        yield message
                reason = "the service ended it"
            except (ServerUnreachableError, ServerError, RateLimitError) as error:
                if not opened:
                    raise
                reason = str(error)
            seconds = _PAUSES[min(failures, len(_PAUSES) - 1)]
            failures += 1
            self.complain(f"the event stream broke ({reason}); next try in {seconds:g} s")
            self.pause(seconds)

    def _read(self) -> Iterator[Message | None]:
        """Yield the messages of one connection, and None whenever something came that completed none."""
        from video_translation_client._operations import stream_events  # noqa: PLC0415 - see the package
        from video_translation_client._sse import SseParser  # noqa: PLC0415 - as above

        parser = SseParser()
        # The stream is no part of the public client: there it is a way to follow jobs.
        transport = self.client._engine.transport  # noqa: SLF001
        with transport.stream(stream_events(self.event_types), after=self.cursor, silence=SILENCE) as incoming:
            for chunk in incoming.chunks():
                yield None
                for message in parser.feed(chunk):
                    self.cursor = message.id or self.cursor
                    yield message
                self.cursor = parser.last_id or self.cursor
