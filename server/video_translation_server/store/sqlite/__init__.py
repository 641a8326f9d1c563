"""The embedded engine: SQLite through apsw, one writer, a few readers.

The verbs are one-liners in `verbs/`; what each does in SQL is in the noun modules beside this one.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import apsw

from video_translation_server.ids import Ids, random_id
from video_translation_server.probe import Probe, unobserved
from video_translation_server.store.base.rules import DISABLE_AFTER, Rules
from video_translation_server.store.sqlite import claims, log, requests
from video_translation_server.store.sqlite.database import Database
from video_translation_server.store.sqlite.verbs.assets import AssetVerbs
from video_translation_server.store.sqlite.verbs.claims import ClaimVerbs
from video_translation_server.store.sqlite.verbs.deliveries import DeliveryVerbs
from video_translation_server.store.sqlite.verbs.endpoints import EndpointVerbs
from video_translation_server.store.sqlite.verbs.jobs import JobVerbs
from video_translation_server.store.sqlite.verbs.log import LogVerbs
from video_translation_server.store.sqlite.verbs.recording import RecordVerbs
from video_translation_server.store.sqlite.verbs.requests import RequestVerbs
from video_translation_server.store.sqlite.verbs.simulator import SimulatorVerbs
from video_translation_server.store.sqlite.verbs.workspaces import WorkspaceVerbs


class SqliteStore(
    AssetVerbs,
    ClaimVerbs,
    DeliveryVerbs,
    EndpointVerbs,
    JobVerbs,
    LogVerbs,
    RecordVerbs,
    RequestVerbs,
    SimulatorVerbs,
    WorkspaceVerbs,
):
    """The Store on one SQLite file; what each verb promises is in `store.base`."""

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        ids: Ids = random_id,
        disable_after: float = DISABLE_AFTER,
        real_time: Callable[[], float] = time.time,
        lease_time: Callable[[], float] = time.monotonic,
        probe: Probe = unobserved,
    ) -> "SqliteStore":
        """Own, migrate and open a database file.

        Args:
            path: The file; it is created where it does not exist, its folder is not.
            ids: Makes the ids of notices.
            disable_after: Seconds without a success after which a failing endpoint is disabled.
            real_time: Unix seconds.
            lease_time: Seconds that leases run on. They end with the process, so that these need not be Unix seconds;
                and setting the machine's clock must not end one whose attempt is under way.
            probe: Called before and after each commit, on the writer's thread.

        Raises:
            StoreError: It cannot be opened, is not ours, is newer than we are, or has an owner.
        """
        rules = Rules(ids=ids, disable_after=disable_after)
        store = cls(await asyncio.to_thread(Database, path), rules, real_time, lease_time, probe)
        # Nobody else can hold a lease on a file that we own.
        await store._writer.run(partial(_take_over, real_now=real_time()))
        return store


def _take_over(connection: apsw.Connection, *, real_now: float) -> None:
    claims.release_all(connection)
    requests.drop_all(connection)
    log.leave_room(connection, real_now)
