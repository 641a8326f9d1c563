"""Names as an argument: ids with a prefix that tells what they name, and the bytes that secrets are made of.

They are random, or of a seed, so that a run can be repeated (decision 0030). Nothing sorts by ids (order is the log's
business). Keys, which open a server, are made here too and are always random.
"""

import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterator
from functools import partial

from uuid_utils import uuid7

Ids = Callable[[str], str]
"""Makes a new id from a prefix: `ids("evt")` -> `evt_...`."""

ORDINAL_DIGITS = 8
"""Hexadecimal digits at the end of a seeded id that count."""


def random_id(prefix: str) -> str:
    """A new id such as `vt_019aa0c5e0a07d3c8c5c1e0d2f3b4a59` (UUID version 7, RFC 9562)."""
    return f"{prefix}_{uuid7().hex}"


def random_key() -> str:
    """A new key of a workspace, 256 bits of chance."""
    return f"vtk_{secrets.token_urlsafe(32)}"


def ordinal(name: str) -> str:
    """What of a seeded id is the same in every chapter: the how-manieth of its kind it is."""
    return name[-ORDINAL_DIGITS:]


class Names:
    """The ids and secrets of one server.

    Of a seed, the n-th of a kind in a chapter is always the same; no two chapters have one in common. Whoever makes
    names at moments of its own (the store's threads do) gets a row `apart`, so that it does not disturb the others.
    """

    def __init__(self, *, keeps_secrets: bool = False) -> None:
        """Random, until a chapter begins; with `keeps_secrets`, secrets are random for good."""
        self._keeps_secrets = keeps_secrets
        self._root: str | None = None
        self._counts: dict[str, Iterator[int]] = {}

    def begin(self, seed: int | None, chapter: int) -> None:
        """Make names of `seed` from here on (None: random ones), in a chapter that the store has not had before."""
        self._root, self._counts = None if seed is None else f"{seed}/{chapter}", {}

    def __call__(self, prefix: str) -> str:
        """A new id."""
        return self._id("", prefix)

    def apart(self, row: str) -> Ids:
        """A source of ids of its own."""
        return partial(self._id, row)

    def token(self, purpose: str, size: int) -> bytes:
        """Bytes for a secret; of a seed, whoever knows the seed knows them."""
        if self._root is None or self._keeps_secrets:
            return secrets.token_bytes(size)
        return _digest(self._root, "token", purpose, self._next(f"token/{purpose}"), size=size)

    def _id(self, row: str, prefix: str) -> str:
        if self._root is None:
            return random_id(prefix)
        number = self._next(f"{row}/{prefix}")
        return f"{prefix}_{_digest(self._root, row, prefix, number, size=12).hex()}{number:0{ORDINAL_DIGITS}x}"

    def _next(self, kind: str) -> int:
        # `setdefault` and `next` are one step each: two threads never get the same number.
        return next(self._counts.setdefault(kind, itertools.count(1)))


def _digest(*parts: object, size: int) -> bytes:
    return hashlib.shake_256("\0".join(map(str, parts)).encode()).digest(size)
