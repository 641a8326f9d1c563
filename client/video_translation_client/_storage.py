"""What a durable inbox is to the client: the protocol that storages follow, and the values that pass through it.

The client decides what is stored and when; how and where is left to the storage: `_durable` for a file, or the
user's own code in the user's own database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from video_translation_client._models import Event


@dataclass(frozen=True, slots=True)
class InboxState:
    """Where an inbox stood when its storage was last written.

    Attributes:
        cursor: the log's place up to which every event has been handled; None where nothing was read yet.
        sequences: the last handled sequence of each job.
        event_ids: ids of handled events that are no transition of a job, oldest first.
        waiting: events that were stored and not handled, in the order in which they were stored. A storage
            that keeps no events leaves it empty: they are read from the service's log, behind the cursor.
        going_on: the jobs of `sequences` whose last handled event was not their end. A storage that does not know
            leaves it empty: only if the service is restored to an earlier point, and a job then ends with the
            very sequence at which it went on before, is that end not told to callbacks.
    """

    cursor: str | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)
    event_ids: Sequence[str] = ()
    waiting: Sequence[Event] = ()
    going_on: Collection[str] = frozenset()


@runtime_checkable
class InboxStorage(Protocol):
    """A durable memory for one client.

    `load` is called once, by the thread that makes the client. `save` and `close` are called by one thread of the
    client, one call after the other; callbacks run on another thread meanwhile.
    """

    def load(self) -> InboxState:
        """Return where the inbox stood."""

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        """Store all of this, and return once it is safe; what it raises means that nothing was stored.

        Args:
            keep: events that were pushed. Each delivery is answered with 204 once this returns, and with 503
                where it raises. A storage that relies on the service's log may leave them: nothing is lost as
                long as the cursor and the sequences tell what was handled.
            done: events whose callbacks have run, in the order in which they ran. They may have been in `keep`
                before or, where they were read from the log, not.
            cursor: every event of the log up to here has been handled; None where that has not moved.
        """

    def close(self) -> None:
        """Release what `load` took; the client is closed."""
