"""What a verb is to the writer: something that is carried out for all callers who have gathered, in few statements.

Each caller gets its own answer; who asks for what is the business of `verbs`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from video_translation_server.store.postgres.database import Connection

A = TypeVar("A")
T = TypeVar("T")

One = Callable[[Connection], Awaitable[T]]
"""What one caller wants, by itself."""


@dataclass(frozen=True, slots=True)
class Verb(Generic[A, T]):
    """How the wishes of several callers are carried out together, inside one transaction.

    Attributes:
        carry_out: One answer per wish, in their order. What it raises is raised to the caller at fault: the writer then
            runs each wish by itself.
        is_durable: Whether its commit waits for the disk. What does not can be undone by a power failure of the
            database.
        readdresses: It changes who is addressed by events: nobody appends any meanwhile.
        goes_last: It comes after the others of its transaction, since it takes locks that these may wait for elsewhere,
            and waits for nobody itself: so two servers never wait for each other in a circle.
    """

    carry_out: Callable[[Connection, Sequence[A]], Awaitable[Sequence[T]]]
    is_durable: bool = True
    readdresses: bool = False
    goes_last: bool = False


async def _each(connection: Connection, wishes: Sequence[One[Any]]) -> list[Any]:
    return [await wish(connection) for wish in wishes]


EACH: Verb[One[Any], Any] = Verb(_each)
"""One wish after the other."""

LEASING: Verb[One[Any], Any] = Verb(_each, is_durable=False)
"""The same for what holds for a while only (decision 0021)."""

CLAIMING: Verb[One[Any], Any] = Verb(_each, is_durable=False, goes_last=True)
"""The same for claims, which lock what others lease."""

LAST: Verb[One[Any], Any] = Verb(_each, goes_last=True)
"""The same for what comes after all else that was asked for, claims among it."""

READDRESSING: Verb[One[Any], Any] = Verb(_each, readdresses=True)
"""The same for changes of endpoints."""
