"""The bytes of one request: where a URL leads and what is written there.

Pure; whether the target may be called is for `guard` to judge.
"""

import dataclasses
import functools
import re
import urllib.parse
from collections.abc import Mapping
from typing import NamedTuple

import idna

from video_translation_server.outbound.target import Target

Origin = tuple[str, str, int]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE_BYTES = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))
# What frames the request or belongs to the connection; one of the caller's would contradict ours.
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where requests to one URL go, and how they begin.

    Attributes:
        origin: Scheme, host and port: connections are shared by places with the same.
        host: The name to look up, or the address.
        address: The host where it is a literal IP address, else None.
        server_name: What the certificate must be valid for; None without TLS.
        head: The request's first lines: all that does not change from one request to the next.
    """

    origin: Origin
    host: str
    port: int
    address: str | None
    server_name: str | None
    head: bytes


def place_of(url: str, target: Target, method: str = "POST") -> Place:
    """The place of a URL that `target` was read from, for requests of one method."""
    host = target.address or _name(url, target)
    bare = host.rstrip(".")
    authority = f"[{bare}]" if ":" in bare else bare
    if target.port != _DEFAULT_PORTS[target.scheme]:
        authority = f"{authority}:{target.port}"
    head = f"{method} {_path(url)} HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n"
    return Place(
        origin=(target.scheme, host, target.port),
        host=host,
        port=target.port,
        address=target.address,
        server_name=bare if target.scheme == "https" else None,
        head=head.encode("ascii"),
    )


def request_bytes(place: Place, headers: Mapping[str, str], body: bytes) -> bytes:
    """The whole request.

    Raises:
        ValueError: A header cannot be sent.
    """
    lines = _lines(tuple(headers))
    pieces = lines.pieces.copy()
    pieces[1::2] = str(len(body)), *headers.values()
    try:
        block = "".join(pieces).encode("latin-1")
    except UnicodeEncodeError as exc:
        raise ValueError(f"the header block cannot be sent: {exc.object[exc.start]!r} is not Latin-1") from exc
    # What remains without the characters of names and values must be our line ends.
    if block.translate(None, _VALUE_BYTES) != lines.ends:
        raise ValueError("a header's value contains a line break or another control character")
    return b"".join((place.head, block, body))


class _Lines(NamedTuple):
    """Lines of headers with certain names behind that of the body's length, up to the empty one.

    Attributes:
        pieces: What stands before, between and behind the values, with a place for each of these.
        ends: The line ends alone.
    """

    pieces: list[str]
    ends: bytes


@functools.lru_cache(1024)
def _lines(names: tuple[str, ...]) -> _Lines:
    """The lines for headers of these names, in their order; nearly all attempts have the same few.

    Raises:
        ValueError: One is no valid name, or not the caller's to set.
    """
    for name in names:
        _check(name)
    pieces = [piece for name in ("Content-Length", *names) for piece in (f"\r\n{name}: ", "")]
    pieces[0] = pieces[0].lstrip()
    return _Lines([*pieces, "\r\n\r\n"], b"\r\n" * (len(names) + 2))


def _check(name: str) -> None:
    """Refuse the name of a header.

    Raises:
        ValueError: It is none that is valid, or not the caller's to set.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is set by the sender")


def _name(url: str, target: Target) -> str:
    """The host's name; an international one as registries and browsers read it today (UTS 46)."""
    if url.isascii():
        return target.host
    try:
        return idna.encode(urllib.parse.urlsplit(url).hostname or "", uts46=True).decode("ascii")
    except UnicodeError:
        return target.host  # a name that only the older IDNA knows


def _path(url: str) -> str:
    """Path and query byte for byte as registered; only what is not ASCII is percent-encoded."""
    rest = url.partition("//")[2]
    begin = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path = rest[begin:]
    if not path.startswith("/"):
        path = f"/{path}"
    return path if path.isascii() else urllib.parse.quote(path, safe=_PRINTABLE)
