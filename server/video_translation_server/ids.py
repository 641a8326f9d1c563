"""Ids as an argument: time-ordered and random by default, with a prefix that tells what they name.

They are names only; nothing sorts by them (order is the log's business). Keys, which are secrets, are made here too.
"""

import secrets
from collections.abc import Callable

from uuid_utils import uuid7

Ids = Callable[[str], str]
"""Makes a new id from a prefix: `ids("evt")` -> `evt_...`."""


def random_id(prefix: str) -> str:
    """A new id such as `vt_019aa0c5e0a07d3c8c5c1e0d2f3b4a59` (UUID version 7, RFC 9562)."""
    return f"{prefix}_{uuid7().hex}"


def random_key() -> str:
    """A new key of a workspace, 256 bits of chance."""
    return f"vtk_{secrets.token_urlsafe(32)}"
