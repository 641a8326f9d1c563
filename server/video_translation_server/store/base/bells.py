"""What a commit rings: a hint to those who wait, lost without harm.

Whoever waits must also look by itself from time to time.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Bell:
    """Wakes those who listen when something was committed; used from the event loop only."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Wake every listener."""
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listen(self, listener: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """An event (the given one, or a new one) that each ring sets, until the block ends; the listener clears it."""
        listener = listener or asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


@dataclass(frozen=True, slots=True)
class Bells:
    """One bell per kind of waiter.

    `jobs` for new due times, `deliveries` for new work, `events` for the log, `sweeps` for new sweeps.
    """

    jobs: Bell = field(default_factory=Bell)
    deliveries: Bell = field(default_factory=Bell)
    events: Bell = field(default_factory=Bell)
    sweeps: Bell = field(default_factory=Bell)
