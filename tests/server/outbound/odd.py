"""Odd answers as data, and a server that gives one of them: what comes of each is for `test_odd_servers` to show."""

import asyncio
import contextlib
import dataclasses

from tests.server.outbound.servers import EMPTY_OK, Handler, Peer, a_moment
from video_translation_server.model import OutcomeKind

STATUS, PROTOCOL, RESET = OutcomeKind.STATUS, OutcomeKind.PROTOCOL, OutcomeKind.RESET
SLOW, SILENT = OutcomeKind.SLOW_BODY, OutcomeKind.READ_TIMEOUT
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO = OK + b"Content-Length: 2\r\n\r\n"
SECOND = b"HTTP/1.1 202 Second\r\nContent-Length: 0\r\n\r\n"


@dataclasses.dataclass(frozen=True)
class Odd:
    """An answer and what follows from it.

    Attributes:
        parts: Written one after the other, each once the one before has left.
        then: What the server does next: "hold", "fin", "rst", "half" (closes its writing side).
        kept: Whether the connection carries the next request.
        oracle: What aiohttp makes of it, where that differs; what follows is not compared then.
    """

    name: str
    parts: tuple[bytes, ...]
    kind: OutcomeKind = STATUS
    status: int | None = 200
    body: bytes = b""
    then: str = "hold"
    kept: bool = False
    oracle: tuple[OutcomeKind, int | None] | None = None


def each_byte(answer: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in answer)


ODD = [
    # What is unusual and fine.
    Odd("bytes-of-a-length", each_byte(TWO + b"hi"), body=b"hi", kept=True),
    Odd("bytes-of-chunks", each_byte(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"), body=b"hi", kept=True),
    Odd("bytes-of-trailers", each_byte(CHUNKED + b"0\r\nX: y\r\nZ: 1\r\n\r\n"), kept=True),
    Odd("trailers", (CHUNKED + b"1\r\na\r\n0\r\nRetry-After: 9\r\nX: y\r\n\r\n",), body=b"a", kept=True),
    Odd("chunk-extensions", (CHUNKED + b'2;a=1;b="c"\r\nhi\r\n0;last\r\n\r\n',), body=b"hi", kept=True),
    Odd("chunk-sizes-with-zeros", (CHUNKED + b"0002\r\nhi\r\n000\r\n\r\n",), body=b"hi", kept=True),
    Odd("chunks-of-one-byte", (CHUNKED + b"1\r\na\r\n" * 9000 + b"0\r\n\r\n",), body=b"a" * 2048, kept=True),
    Odd(
        "two-codings",
        (OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",),
        body=b"hi",
        kept=True,
    ),
    Odd("coding-in-capitals", (OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n",), kept=True),
    Odd("bare-line-feeds", (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",), body=b"hi", kept=True),
    Odd("folded-header", (OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",), kept=True),
    Odd("space-before-the-colon", (OK + b"Content-Length : 0\r\n\r\n",), kept=True),
    Odd("no-reason", (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",), kept=True),
    Odd("header-in-latin-1", (OK + b"X: \xe9\xff\r\nContent-Length: 0\r\n\r\n",), kept=True),
    Odd("blank-lines-first", (b"\r\n\r\n" + TWO + b"hi",), body=b"hi", kept=True),
    Odd("status-299", (b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n",), status=299, kept=True),
    Odd("status-999", (b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",), status=999, kept=True),
    Odd("empty-304", (b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n",), status=304, kept=True),
    Odd("http-1.0-kept", (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",), kept=True),
    Odd("http-1.0", (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",), body=b"hi"),
    Odd("close-announced", (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",), body=b"hi"),
    Odd("close-among-others", (OK + b"Connection: x, Close\r\nContent-Length: 0\r\n\r\n",)),
    Odd("until-fin", (OK + b"\r\n", b"h", b"i"), body=b"hi", then="fin"),
    Odd("until-fin-at-once", (OK + b"Connection: keep-alive\r\n\r\nhi",), body=b"hi", then="fin"),
    Odd("until-half-closed", (OK + b"\r\nhi",), body=b"hi", then="half"),
    Odd("until-fin-empty", (OK + b"\r\n",), then="fin"),
    Odd("coding-until-fin", (OK + b"Transfer-Encoding: gzip\r\n\r\nhi",), body=b"hi", then="fin"),
    Odd("half-closed-after-the-end", (TWO + b"hi",), body=b"hi", then="half"),
    Odd("fin-after-the-end", (TWO + b"hi",), body=b"hi", then="fin"),
    Odd("rst-after-the-end", (TWO + b"hi",), body=b"hi", then="rst"),
    Odd("blank-lines-after-the-end", (EMPTY_OK + b"\r\n",), kept=True),
    Odd(
        "interim-answers",
        (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 102 P\r\nX: y\r\n\r\n" + TWO + b"hi",),
        body=b"hi",
        kept=True,
    ),
    Odd("interim-in-pieces", each_byte(b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + EMPTY_OK), kept=True),
    Odd("switching-without-upgrade", (b"HTTP/1.1 101 S\r\n\r\n",), status=101, oracle=(STATUS, 101)),
    # More than the answer: it counts, and the connection is not used again.
    Odd("two-answers", (EMPTY_OK + EMPTY_OK,)),
    Odd("an-answer-and-garbage", (TWO + b"hi there",), body=b"hi", oracle=(PROTOCOL, None)),
    Odd("an-answer-and-a-byte", (EMPTY_OK + b"H",), oracle=(STATUS, 200)),
    Odd("body-on-204", (b"HTTP/1.1 204 X\r\n\r\nhi",), status=204, oracle=(PROTOCOL, None)),
    Odd("chunks-and-garbage", (CHUNKED + b"0\r\n\r\n0\r\n\r\n",), oracle=(PROTOCOL, None)),
    # Less than the answer.
    Odd("fin-in-a-length", (TWO, b"h"), RESET, then="fin", body=b"h"),
    Odd("rst-in-a-length", (TWO, b"h"), RESET, then="rst", body=b"h"),
    Odd("hold-in-a-length", (TWO, b"h"), SLOW, body=b"h"),
    Odd("half-closed-in-a-length", (TWO, b"h"), RESET, then="half", body=b"h"),
    Odd("fin-in-a-chunk", (CHUNKED, b"5\r\nhi"), RESET, then="fin", body=b"hi"),
    Odd("fin-before-the-last-chunk", (CHUNKED, b"2\r\nhi\r\n"), RESET, then="fin", body=b"hi"),
    Odd("fin-in-trailers", (CHUNKED, b"0\r\nX: "), RESET, then="fin"),
    Odd("hold-in-trailers", (CHUNKED, b"0\r\nX: "), SLOW),
    Odd("fin-in-headers", (OK + b"X: ",), RESET, None, then="fin"),
    Odd("rst-in-headers", (OK + b"X: ",), RESET, None, then="rst"),
    Odd("fin-after-interim", (b"HTTP/1.1 100 C\r\n\r\n",), RESET, None, then="fin"),
    Odd("fin-before-anything", (), RESET, None, then="fin"),
    Odd("rst-before-anything", (), RESET, None, then="rst"),
    Odd("half-closed-before-anything", (), RESET, None, then="half"),
    Odd("hold-before-anything", (), SILENT, None),
    Odd("hold-after-interim", (b"HTTP/1.1 100 C\r\n\r\n",), SILENT, None),
    Odd("rst-in-a-chunk", (CHUNKED, b"5\r\nhi"), RESET, then="rst", body=b"hi"),
    Odd("rst-in-trailers", (CHUNKED, b"0\r\nX: "), RESET, then="rst"),
    # aiohttp takes a reset for the end; what came before it may be a part only.
    Odd("rst-until-close", (OK + b"\r\nhi",), RESET, then="rst", body=b"hi", oracle=(STATUS, 200)),
    Odd("rst-after-interim", (b"HTTP/1.1 100 C\r\n\r\n",), RESET, None, then="rst"),
    Odd("half-closed-in-headers", (OK + b"X: ",), RESET, None, then="half"),
    Odd("hold-in-headers", (OK + b"X: ",), SILENT, None),
    Odd("hold-in-a-chunk-size", (CHUNKED, b"2"), SLOW),
    Odd("hold-before-the-last-line", (CHUNKED, b"0\r\n"), SLOW),
    # No HTTP, or not to be trusted as such.
    Odd("chunk-size-not-hex", (CHUNKED, b"zz\r\n"), PROTOCOL),
    Odd("chunk-size-negative", (CHUNKED, b"-1\r\n"), PROTOCOL),
    Odd("chunk-size-overflows", (CHUNKED, b"f" * 17 + b"\r\n"), PROTOCOL),
    Odd("chunk-longer-than-its-size", (CHUNKED, b"1\r\nhi\r\n"), PROTOCOL, body=b"h"),
    Odd("length-and-chunks", (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",), PROTOCOL, None),
    Odd("two-lengths", (OK + b"Content-Length: 2, 2\r\n\r\n",), PROTOCOL, None),
    Odd("length-with-a-sign", (OK + b"Content-Length: +2\r\n\r\n",), PROTOCOL, None),
    Odd("length-overflows", (OK + b"Content-Length: 99999999999999999999\r\n\r\n",), PROTOCOL, None),
    Odd("header-without-name", (OK + b": x\r\n\r\n",), PROTOCOL, None),
    Odd("status-of-two-digits", (b"HTTP/1.1 20 OK\r\n\r\n",), PROTOCOL, None),
    Odd("status-of-four-digits", (b"HTTP/1.1 2000 OK\r\n\r\n",), PROTOCOL, None),
    Odd("status-below-100", (b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",), PROTOCOL, None, oracle=(STATUS, 99)),
    Odd("http-0.9", (b"hello",), PROTOCOL, None),
    Odd("http-2", (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",), PROTOCOL, None),
    Odd("a-request", (b"POST / HTTP/1.1\r\n\r\n",), PROTOCOL, None),
    Odd("smtp", (b"220 mail.test ESMTP\r\n",), PROTOCOL, None),
    Odd("zeros", (bytes(100),), PROTOCOL, None),
    # Without an end.
    Odd("endless-headers", (OK + b"X: a\r\n" * 20_000,), PROTOCOL, None),
    Odd("endless-header", (OK + b"X: ", b"a" * 40_000, b"a" * 40_000), PROTOCOL, None),
    Odd("endless-header-name", (OK + b"a" * 80_000,), PROTOCOL, None),
    Odd("endless-status-line", (b"HTTP/1.1 200 ", b"a" * 80_000), PROTOCOL, None),
    Odd("endless-interim", (b"HTTP/1.1 100 C\r\n\r\n" * 9000,), PROTOCOL, None, oracle=(SILENT, None)),
    Odd("endless-interim-in-pieces", (b"HTTP/1.1 100 C\r\n\r\n",) * 2000, PROTOCOL, None, oracle=(SILENT, None)),
    Odd("endless-trailers", (CHUNKED, b"0\r\n" + b"X: a\r\n" * 20_000), PROTOCOL),
    Odd("endless-chunk-extension", (CHUNKED, b"1;", b"a" * 300_000), oracle=(SLOW, 200)),
]


def of_an_odd_answer(odd: Odd) -> Handler:
    async def handle(peer: Peer) -> None:
        if peer.number > 1:
            await peer.request()
            await peer.say(SECOND)
            return
        await peer.request()
        for part in odd.parts:
            with contextlib.suppress(ConnectionError):
                await peer.say(part)
            await asyncio.sleep(0)
        await go_on(odd.then, peer, once_read=bool(odd.parts))
        if odd.kept:
            await peer.request()
            await peer.say(SECOND)
        await peer.eof()

    return handle


async def go_on(what: str, peer: Peer, *, once_read: bool = False) -> None:
    """End the connection, or do not."""
    if what == "rst":
        if once_read:
            await a_moment()  # an RST overtakes bytes that the other side has not read yet
        peer.reset()
    elif what == "fin":
        peer.writer.close()
    elif what == "half":
        peer.writer.write_eof()
