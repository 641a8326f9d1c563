"""What a URL's text says: scheme, host, port, and the IP address that its host may be in disguise.

Pure reading: whether the target may be called is for `guard` to judge.
"""

import dataclasses
import re
import socket
import unicodedata
import urllib.parse
from ipaddress import IPv4Address, IPv6Address

from video_translation_server.errors import InvalidError

MAX_URL_LENGTH = 2048
_MAX_HOST_LENGTH = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, in canonical form.

    Attributes:
        host: The name in lower case and ASCII, or the IP address without brackets.
        address: The host where it is a literal IP address, else None.
    """

    scheme: str
    host: str
    port: int
    address: str | None


def is_localhost(host: str) -> bool:
    """Whether a canonical name means this host itself (RFC 6761): no DNS server is ever asked."""
    return host.rstrip(".").rpartition(".")[2] == "localhost"


def read_target(url: str) -> Target:
    """Take a URL apart; every textual form of an IP address ends as that address.

    Raises:
        InvalidError: With param "url"; it is not a URL that can be called, whatever the policy.
    """
    _check_text(url)
    try:
        parts = urllib.parse.urlsplit(url)
        port, raw_host = parts.port, parts.hostname
    except ValueError as exc:
        raise _invalid(f"the URL cannot be read ({exc}); check its host and port") from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise _invalid(f"the scheme {parts.scheme!r} is not supported; use http or https")
    if "@" in parts.netloc:
        raise _invalid("the URL contains credentials; remove them and rely on the signature instead")
    if "#" in url:
        raise _invalid("the URL has a fragment, which is never sent; remove the part from '#' on")
    if port == 0:
        raise _invalid("port 0 cannot be called; use a port from 1 to 65535, or none")
    if not raw_host:
        raise _invalid("the URL has no host; write it as https://host/path")
    bracketed = parts.netloc.startswith("[")
    if bracketed and not re.fullmatch(r"\[[^\[\]]*\](:[0-9]*)?", parts.netloc):
        raise _invalid("the URL has text around the brackets of its host; write it as https://[address]:port/")
    host = urllib.parse.unquote(raw_host)
    address = _ipv6_literal(host) if bracketed else _ipv4_literal(_ascii_name(host, raw_host))
    return Target(
        scheme=parts.scheme,
        host=address or _ascii_name(host, raw_host),
        port=port or _DEFAULT_PORTS[parts.scheme],
        address=address,
    )


def _check_text(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise _invalid(f"the URL has {len(url)} characters; use at most {MAX_URL_LENGTH}")
    # isprintable() is False for control, format (soft hyphen, zero width) and space characters
    # other than " ": all of them are invisible to a reader and dropped or read by some parser.
    bad = next((c for c in url if c in " \\" or not c.isprintable()), None)
    if bad is not None:
        raise _invalid(f"the URL contains the character U+{ord(bad):04X}; remove or percent-encode it")


def _ascii_name(host: str, raw_host: str) -> str:
    """The host name in lower case and ASCII, in the form that IP literals are looked for in."""
    try:
        # Full-width and ideographic dots and digits become the plain ones, as in every IDNA client.
        name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower()
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise _invalid(f"the host {raw_host!r} is not a valid name; check its spelling") from exc
    if len(name.rstrip(".")) > _MAX_HOST_LENGTH or not _NAME.fullmatch(name):
        raise _invalid(f"the host {raw_host!r} is not a valid name; check its spelling")
    if "%" in raw_host and _ipv4_literal(name) is None:
        raise _invalid(f"the host {raw_host!r} is percent-encoded; write the name plainly")
    return name


def _ipv4_literal(name: str) -> str | None:
    """The address that a name ending in a number stands for, as inet_aton reads it; None for a real name."""
    text = name.removesuffix(".")
    if not _NUMBER.fullmatch(text.rpartition(".")[2]):
        return None
    try:
        return str(IPv4Address(socket.inet_aton(text)))
    except OSError as exc:
        raise _invalid(f"the host {name!r} is not a valid IP address; check its numbers") from exc


def _ipv6_literal(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError as exc:
        raise _invalid(f"the host {host!r} is not a valid IPv6 address; check what the brackets hold") from exc


def _invalid(message: str) -> InvalidError:
    return InvalidError(message, param="url")
