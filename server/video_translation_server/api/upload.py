"""A file out of a multipart body (RFC 7578), written to disk as it comes and never whole in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from video_translation_server.errors import InvalidError

FIELD = "file"


class Upload:
    """The one part called `file` of a body, on its way into a file.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, content_type: str, target: BinaryIO, *, most: int) -> None:
        """`most` is the largest size in bytes.

        Raises:
            InvalidError: The content type names no boundary.
        """
        _, options = parse_options_header(content_type)
        self.size = 0
        self._target = target
        self._most = most
        self._name, self._value = b"", b""
        self._is_found = self._is_whole = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_header_begin": self._header_begins,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_ends,
                    "on_part_data": self._part_data,
                    "on_end": self._end,
                },
            )
        except (KeyError, MultipartParseError):
            raise _unreadable("its Content-Type names no boundary") from None

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Write the file.

        Raises:
            InvalidError: The body is no multipart body with exactly one part, called `file`, that is not empty.
            HTTPException: 413: the file is too large.
        """
        async for chunk in chunks:
            try:
                await asyncio.to_thread(self._parser.write, chunk)
            except MultipartParseError:
                raise _unreadable("it cannot be read as multipart/form-data") from None
        if not self._is_whole:
            raise _unreadable("it ends too soon")
        if not self.size:
            raise InvalidError("send the file as the part `file`; there is nothing in it", param=FIELD)

    def _header_begins(self) -> None:
        self._name, self._value = b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._name.lower() != b"content-disposition":
            return
        _, options = parse_options_header(self._value)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD:
            raise InvalidError(
                f"{name[:80]!r} is not a part of this request; send one part, called `file`", param=name[:80] or FIELD
            )
        if self._is_found:
            raise InvalidError("send one file per request", param=FIELD)
        self._is_found = True

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_found:
            raise InvalidError("a part has no name; send one part, called `file`", param=FIELD)
        self.size += end - start
        if self.size > self._most:
            raise HTTPException(413, f"the file is larger than {self._most} bytes", {"Connection": "close"})
        self._target.write(data[start:end])

    def _end(self) -> None:
        self._is_whole = True


def _unreadable(why: str) -> InvalidError:
    return InvalidError(f"send the file as multipart/form-data with the part `file`; of this body, {why}", param=FIELD)
