"""The bytes of one file, over as many answers as it takes: what is asked for, and what an answer may add.

Nothing here opens a connection. Whether there is another try is decided by `_download`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from video_translation_client._landing import Landing, Wish

P = ParamSpec("P")
T = TypeVar("T")
_OK: Final = 200
_PARTIAL: Final = 206
SENT: Final = (_OK, _PARTIAL)
"""Answers that hold bytes of the file."""
NO_SUCH_PART: Final = 416
_ELSEWHERE: Final = (301, 302, 303, 307, 308)
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")


@dataclass(slots=True)
class Fetch:
    """One GET, from where the file stands. The answer is None, or why it broke off.

    Attributes:
        url: where to.
        headers: all there are.
        silence: seconds without a byte after which it is given up.
        transfer: takes the answer in.
        status: what it was answered with; None where there was no answer.
        fits: whether the answer's body is of the file.
        location: where else the file is, as the answer says.
        retry_after: the answer's own word for when to come back.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
    silence: float
    transfer: Transfer = field(repr=False)
    status: int | None = None
    fits: bool = False
    location: str | None = None
    retry_after: str | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take in an answer's head; return whether its body is wanted. It may block."""
        self.status, self.retry_after = status, headers.get("retry-after")
        self.location = headers.get("location") if status in _ELSEWHERE else None
        self.fits = self.transfer.begin(status, headers)
        return self.fits


class Transfer:
    """The bytes of one file, over as many answers as it takes.

    Args:
        landing: where they go.
        wish: whom to tell of them.
        check: called with each piece; raises where the time is up.
    """

    def __init__(self, landing: Landing, wish: Wish, check: Callable[[], object]) -> None:
        self._landing = landing
        self._progress = wish.progress
        self._check = check
        self._validator: str | None = None
        self.total: int | None = None

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._landing.size

    def headers(self) -> dict[str, str]:
        """Ask for the whole, or where a part is there and can be told to be of the same file, for the rest."""
        ours = {"accept": "*/*", "accept-encoding": "identity"}
        if self._validator is None or not self.size:
            return ours
        return ours | {"range": f"bytes={self.size}-", "if-range": self._validator}

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take in an answer's head; return whether its body is wanted."""
        if status == _OK:
            self.restart()
            is_plain = headers.get("content-encoding", "identity") == "identity"
            length = headers.get("content-length", "")
            self.total = int(length) if is_plain and length.isdigit() else None
            self._validator = _validator(headers) if is_plain else None
            return True
        if status == _PARTIAL and self._goes_on(headers):
            return True
        if status in (_PARTIAL, NO_SUCH_PART):
            self.restart()  # another file than that of which a part is there
        return False

    def take(self, piece: bytes) -> None:
        """Add a piece of the body. It may block.

        Raises:
            WaitTimeoutError: the time is up.
            OSError: it cannot be written.
        """
        self._landing.write(piece)
        self._check()

    def report(self) -> None:
        """Tell the caller how far it is."""
        if self._progress is not None:
            self._progress(self.size, self.total)

    def restart(self) -> None:
        """Begin anew."""
        self._landing.restart()
        self.total = self._validator = None

    def shortfall(self) -> str | None:
        """Return what is wrong with a body that has ended; None where the file is whole."""
        if self.total is None or self.size == self.total:
            return None
        return f"the file ended after {self.size} of {self.total} bytes"

    def _goes_on(self, headers: Mapping[str, str]) -> bool:
        part = _RANGE.fullmatch(headers.get("content-range", ""))
        if part is None or int(part[1]) != self.size or self.total not in (None, int(part[2])):
            return False
        self.total = int(part[2])
        return _validator(headers) in (self._validator, None)


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what tells two files apart, of the kind that `If-Range` takes (RFC 9110, section 13.1.5)."""
    etag = headers.get("etag")
    return etag if etag and not etag.startswith("W/") else headers.get("last-modified")


async def finish_in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work on the disk in a thread; where the task is cancelled meanwhile, that ends first.

    Otherwise what tidies up afterwards could meet the work still going on.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
