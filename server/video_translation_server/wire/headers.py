"""Headers of the caller's own, that go out with every delivery to an endpoint: what may be one (RFC 9110).

Which requests have them is in `requests`; what the server sends besides is in `signing` and `delivery`.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

FORBIDDEN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Header names that are ours or the connection's (RFC 9110 section 7.6.1)."""

RESERVED_PREFIXES = ("webhook-", "heygen-")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,998}[\x21-\x7e])?|")


def _sendable_headers(headers: dict[str, str]) -> dict[str, str]:
    """Only what cannot break the request or pass for what we send ourselves (RFC 9110 section 5)."""
    names = [name.lower() for name in headers]
    if len(set(names)) < len(names):
        raise ValueError("names a header twice")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a header name")
        if name.lower() in FORBIDDEN_HEADERS or name.lower().startswith(RESERVED_PREFIXES):
            raise ValueError(f"the header {name} is set by the server or by the connection and cannot be given")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} must be printable ASCII without spaces at its ends")
    return headers


_HEADER_NAMES: dict[str, Any] = {"propertyNames": {"pattern": f"^{_TOKEN.pattern}$"}}
Headers = Annotated[
    dict[str, str], Field(max_length=20, json_schema_extra=_HEADER_NAMES), AfterValidator(_sendable_headers)
]
