"""The Store protocol: the verbs, and the promises that every engine keeps.

tests/server/store is the conformance suite for them; a new promise goes into that suite first.

Promises for all verbs:
1. A verb that has returned is on disk; one that raises has changed nothing.
2. Verbs that take a batch treat each member by itself and answer for each; one transaction holds them all.
3. A verb with `keep` raises InProgressError and changes nothing where the mark is no longer the key's.
4. Log order is commit order: a reader of `events_after` never misses an event that commits late (decision 0008).
5. A bell rings after the commit. It is a hint: whoever waits must also look by itself from time to time.
"""

from typing import Protocol

from video_translation_server.store.base.assets import AssetVerbs
from video_translation_server.store.base.bells import Bell, Bells
from video_translation_server.store.base.claims import ClaimVerbs, Reservation, Taker
from video_translation_server.store.base.deliveries import DeliveryVerbs
from video_translation_server.store.base.endpoints import EndpointVerbs
from video_translation_server.store.base.filters import EVERY_JOB, DeliveryFilter, EventFilter, JobFilter, Retention
from video_translation_server.store.base.jobs import UNLIMITED, JobVerbs
from video_translation_server.store.base.keeping import ANSWERS_KEPT, Keep
from video_translation_server.store.base.log import LogVerbs
from video_translation_server.store.base.requests import RequestVerbs
from video_translation_server.store.base.simulator import SimulatorVerbs
from video_translation_server.store.base.workspaces import WorkspaceVerbs

__all__ = [
    "ANSWERS_KEPT",
    "EVERY_JOB",
    "UNLIMITED",
    "Bell",
    "Bells",
    "DeliveryFilter",
    "EventFilter",
    "JobFilter",
    "Keep",
    "Reservation",
    "Retention",
    "Store",
    "Taker",
]


class Store(
    JobVerbs,
    AssetVerbs,
    LogVerbs,
    EndpointVerbs,
    WorkspaceVerbs,
    ClaimVerbs,
    DeliveryVerbs,
    RequestVerbs,
    SimulatorVerbs,
    Protocol,
):
    """What the rest of the server may ask of an engine. Times are Unix seconds of the server's clock."""

    @property
    def bells(self) -> Bells:
        """The bells that commits ring."""
        ...

    @property
    def is_shared(self) -> bool:
        """True where several servers may have it open: the time is then the database's, and nobody sets it."""
        ...

    async def schema_version(self) -> int:
        """The version of the schema, which only grows."""
        ...

    async def real_now(self) -> float:
        """The time, Unix seconds: the machine's, or the database's where it is shared."""
        ...

    async def close(self) -> None:
        """Finish the verbs that were asked for, then let go of the database."""
        ...

    async def ping(self) -> None:
        """Return when the database can commit.

        Raises:
            StoreError: It cannot.
        """
        ...
