"""One HTTP/1.1 answer at a time, read from the bytes of a connection and within limits.

Pure: no sockets, no clock. It says how far the answer got; what that means is `wire`'s part.
"""

import httptools

_MAX_HEAD = 32 * 1024  # bytes of headers, those of interim answers and trailers included
_MAX_HEADERS = 256
_HEADER_OVERHEAD = 4  # ": " and the line's end
_WRAPPED = 8  # a body of tiny chunks may take so many times its size on the wire
_FIRST_FINAL = 200
_SWITCHING = 101
_LOWEST = 100


class _StopError(Exception):
    """Ends the parser's work on this connection; how it ended is noted before."""


class Answer:
    """What has come of the answer to the request that a connection carries; begun anew for each.

    Args:
        max_body: Bytes of a body after which it is cut.
        keep_body: Bytes of it that are kept.

    Attributes:
        received: How many bytes have come.
        status: Set once the headers are complete (not those of an interim answer).
        retry_after: The header of this name, where there is one.
        body: The first bytes of the body.
        ended: Whether the answer is complete.
        cut: Whether it is longer than what is read of it.
        fault: Why it is no valid answer, or None.
        reusable: Whether the connection may carry another request, once the answer has ended.
        whole: All of it, where it came at once and the connection goes on: the same bytes would say the same again.
    """

    __slots__ = (
        "_codings",
        "_head",
        "_headers",
        "_keep_body",
        "_length",
        "_max_body",
        "_parser",
        "_size",
        "body",
        "cut",
        "ended",
        "fault",
        "received",
        "retry_after",
        "reusable",
        "status",
        "whole",
    )

    def __init__(self, max_body: int, keep_body: int) -> None:
        self._max_body = max_body
        self._keep_body = keep_body
        self._parser = httptools.HttpResponseParser(self)
        # Harmless where one request waits for one answer: folded headers, bare line feeds.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.begin()

    def begin(self) -> None:
        """Expect the next answer."""
        self.received = self._size = self._head = self._headers = 0
        self.status: int | None = None
        self.retry_after: str | None = None
        self.body = b""
        self.ended = self.cut = self._length = False
        self._codings = b""
        self.fault: str | None = None
        self.reusable = True
        self.whole: bytes | None = None

    def feed(self, data: bytes) -> bool:
        """Take bytes as they come; whether the answer needs no more of them (`ended`, `cut` or `fault`)."""
        is_first = not self.received
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self.reusable = False
            if not (self.ended or self.cut or self.fault):
                # Only the first line: more would quote the offending bytes.
                self.fault = str(exc).partition("\n")[0].rstrip(":") or "it cannot be read"
        if self.ended:
            if is_first and self.reusable:
                self.whole = data
            return True
        if not (self.cut or self.fault):
            self._limit()
        return self.cut or self.fault is not None

    def eof(self) -> bool:
        """Whether the end of the connection is the end of the answer."""
        if self.status is None or self.fault is not None or not self._until_close():
            return self.ended
        self.ended, self.reusable = True, False
        return True

    def release(self) -> None:
        """Break the reference cycle with the parser: nothing more will be fed."""
        del self._parser

    def on_message_begin(self) -> None:
        """A new message: the answer, or an interim one before it; never one behind it."""
        if self.ended:
            raise _StopError

    def on_status(self, reason: bytes) -> None:
        """The words of the status line, perhaps in pieces."""
        self._count(len(reason))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header or trailer."""
        self._headers += 1
        self._count(len(name) + len(value) + _HEADER_OVERHEAD)
        if self.status is not None:
            return  # a trailer
        match name.strip().lower():
            case b"content-length":
                self._length = True
            case b"transfer-encoding":
                self._codings += b"," + value
            case b"retry-after" if self.retry_after is None:
                self.retry_after = value.strip().decode("latin-1")

    def on_headers_complete(self) -> None:
        """The end of the headers, also of an interim answer's."""
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL:
            self.status = status
        elif status == _SWITCHING:
            self.status, self.ended, self.reusable = status, True, False
            raise _StopError
        elif status < _LOWEST:
            self._fail(f"its status is {status}")
        else:
            self.retry_after, self._length, self._codings = None, False, b""
            self._headers += 1
            self._count(_HEADER_OVERHEAD)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        missing = self._keep_body - len(self.body)
        if missing > 0:
            self.body += data[:missing]
        if self._size > self._max_body:
            self._cut()

    def on_message_complete(self) -> None:
        """The end of a message; an interim one ends nothing."""
        if self.status is not None:
            self.ended = True
            self.reusable = self._parser.should_keep_alive()

    def _limit(self) -> None:
        """Cut or refuse what has grown without an end in sight: headers, chunks' extensions, trailers."""
        if self.status is None:
            if self.received > _MAX_HEAD:
                self.fault, self.reusable = f"its headers have more than {_MAX_HEAD} bytes", False
        elif self.received > _MAX_HEAD + _WRAPPED * self._max_body:
            self.cut, self.reusable = True, False

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > _MAX_HEAD:
            self._fail(f"its headers have more than {_MAX_HEAD} bytes")
        if self._headers > _MAX_HEADERS:
            self._fail(f"it has more than {_MAX_HEADERS} headers")

    def _cut(self) -> None:
        self.cut, self.reusable = True, False
        raise _StopError

    def _fail(self, why: str) -> None:
        self.fault, self.reusable = why, False
        raise _StopError

    def _until_close(self) -> bool:
        """Whether the body is framed by the end of the connection (RFC 9112, section 6.3)."""
        if self._codings:
            return self._codings.rpartition(b",")[2].strip().lower() != b"chunked"
        return not self._length
