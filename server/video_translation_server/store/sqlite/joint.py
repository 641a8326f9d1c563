"""Verbs that come together are run together: what several callers ask of the same verb is done at once.

When they are run, and in which transaction, is the business of `writer`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import apsw

A = TypeVar("A")
T = TypeVar("T")

Verb = Callable[[apsw.Connection], Any]


@dataclass(frozen=True, slots=True)
class Joint(Generic[A, T]):
    """A verb that does at once what several callers ask for, where they come together.

    Attributes:
        each: From what each of them asks to the answer to each; calls that have the same are run as one.
        asked: What this caller asks for.
    """

    each: Callable[[apsw.Connection, Sequence[A]], Sequence[T]]
    asked: A

    def __call__(self, connection: apsw.Connection) -> T:
        """Do it for this caller alone."""
        return self.each(connection, [self.asked])[0]


def run_together(connection: apsw.Connection, verbs: Sequence[Verb]) -> Iterator[Any]:
    """Run verbs in their order, those that follow each other and can be run as one as one; the answer to each."""
    joined: list[Verb] = []
    for verb in verbs:
        if joined and not _is_joint(joined[-1], verb):
            yield from _answers(connection, joined)
            joined = []
        joined.append(verb)
    yield from _answers(connection, joined)


def _answers(connection: apsw.Connection, verbs: Sequence[Verb]) -> Sequence[Any]:
    """What one verb answers, or several that are run as one."""
    asked = [verb.asked for verb in verbs if isinstance(verb, Joint)]
    if isinstance(verbs[0], Joint) and len(asked) > 1:
        return verbs[0].each(connection, asked)
    return [verbs[0](connection)]


def _is_joint(one: Verb, other: Verb) -> bool:
    return isinstance(one, Joint) and isinstance(other, Joint) and one.each == other.each
