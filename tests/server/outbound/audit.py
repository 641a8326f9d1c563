"""What the interpreter itself tells of this process: whom it connects to, and which names it looks up."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterator
from typing import Any

CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


@dataclasses.dataclass
class Audit:
    """Events since it was last begun.

    Attributes:
        connects: The addresses.
        lookups: The names; an address is one, too.
    """

    is_heard: bool = False
    connects: list[object] = dataclasses.field(default_factory=list)
    lookups: list[object] = dataclasses.field(default_factory=list)

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        """The hook."""
        if not self.is_heard:
            return
        if event in CONNECTS:
            self.connects.append(given[1])
        elif event in LOOKUPS:
            self.lookups.append(given[0])


@contextlib.contextmanager
def hearing() -> Iterator[Audit]:
    """Listen for a while."""
    audit = _hooked()
    audit.connects, audit.lookups, audit.is_heard = [], [], True
    try:
        yield audit
    finally:
        audit.is_heard = False


@functools.cache
def _hooked() -> Audit:
    """One per process, because a hook cannot be taken out again."""
    audit = Audit()
    sys.addaudithook(audit)
    return audit
