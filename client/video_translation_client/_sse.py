"""Server-sent events, read from bytes as they come: the parser of the WHATWG's HTML standard. No I/O.

Connecting, resuming and judging what a message means is left to the stream.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from video_translation_client._errors import UnexpectedResponseError

MAX_LINE: Final = 1 << 20
MAX_MESSAGE: Final = 1 << 20
_END_OF_LINE: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONGEST_NUMBER: Final = 9


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream.

    Attributes:
        event: its type; `message` where the stream named none.
        data: its lines, joined by newlines.
        id: the last id that the stream gave, with this message or before it; empty where it gave none.
    """

    event: str
    data: str
    id: str


class SseParser:
    """Makes messages of chunks, however they are cut.

    Args:
        max_line: the most bytes of one line.
        max_message: the most characters of one message's data.
    """

    def __init__(self, *, max_line: int = MAX_LINE, max_message: int = MAX_MESSAGE) -> None:
        self._max_line = max_line
        self._max_message = max_message
        self._partial = bytearray()
        self._after_cr = False
        self._at_start = True
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""
        self.last_id = ""
        """The id to resume from: that of the last message that was complete."""
        self.retry: float | None = None
        """Seconds to wait before connecting again, where the stream said so."""

    def feed(self, chunk: bytes) -> list[Message]:
        """Take in bytes; return the messages that they complete.

        Raises:
            UnexpectedResponseError: a line or a message is too long.
        """
        return [message for line in self._lines(chunk) if (message := self._take(line)) is not None]

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the second half of a line's end that was cut in two
        self._after_cr = chunk.endswith(b"\r")
        first, *rest = _END_OF_LINE.split(chunk)
        self._keep(first)
        for piece in rest:
            line = bytes(self._partial)
            self._partial.clear()
            self._keep(piece)
            yield self._without_mark(line)

    def _keep(self, piece: bytes) -> None:
        self._partial += piece
        if len(self._partial) > self._max_line:
            raise UnexpectedResponseError(f"a line of the event stream is longer than {self._max_line} bytes")

    def _without_mark(self, line: bytes) -> bytes:
        at_start, self._at_start = self._at_start, False
        return line.removeprefix(_BYTE_ORDER_MARK) if at_start else line

    def _take(self, line: bytes) -> Message | None:
        if not line:
            return self._dispatch()
        if line.startswith(b":"):
            return None
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._add(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER:
            self.retry = int(value) / 1000
        return None

    def _add(self, value: str) -> None:
        self._data.append(value)
        self._size += len(value) + 1
        if self._size > self._max_message:
            raise UnexpectedResponseError(
                f"a message of the event stream is longer than {self._max_message} characters"
            )

    def _dispatch(self) -> Message | None:
        self.last_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data, self._size = "", [], 0
        return Message(event, "\n".join(data), self._id) if data else None
