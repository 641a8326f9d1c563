"""Parts of a file, as a `Range` header asks for them (RFC 9110, section 14); who sends them is `files`.

What cannot be read as a range is as if it were not there, as the RFC wants it.
"""

import re

_RANGE = re.compile(r"bytes\s*=\s*(.+)", re.IGNORECASE)
_PART = re.compile(r"([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18})")


class UnsatisfiableError(Exception):
    """Nothing of the file is in what was asked for."""


def within(header: str, size: int) -> str | None:
    """The same header with only those parts that a file of `size` bytes has; None where it is no range of bytes.

    Raises:
        UnsatisfiableError: It has none of them.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        return None
    parts = [_PART.fullmatch(part.strip()) for part in found[1].split(",")]
    spans = [_span(part, size) for part in parts if part is not None]
    if len(spans) < len(parts) or any(last is not None and last < first for first, last in spans):
        return None
    there = [f"{first}-{'' if last is None else last}" for first, last in spans if first < size]
    if not there:
        raise UnsatisfiableError
    return f"bytes={','.join(there)}"


def _span(part: re.Match[str], size: int) -> tuple[int, int | None]:
    """The first and the last byte, as far as it is said; the last n bytes begin behind the file where n is 0."""
    first, last, suffix = part.groups()
    if suffix is not None:
        return (max(size - int(suffix), 0) if int(suffix) else size), None
    return int(first), int(last) if last else None
