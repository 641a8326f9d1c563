"""The engine for several servers on one PostgreSQL database, through asyncpg.

The verbs are one-liners in `verbs/`; what each does in SQL is in the noun modules beside this one.
"""

from collections.abc import Callable

from video_translation_server.ids import Ids, random_id
from video_translation_server.probe import Probe, unobserved
from video_translation_server.store.base.rules import DISABLE_AFTER, LEASE, Rules
from video_translation_server.store.postgres.database import Database, longest_silence
from video_translation_server.store.postgres.engine import READERS
from video_translation_server.store.postgres.server import Server
from video_translation_server.store.postgres.verbs.assets import AssetVerbs
from video_translation_server.store.postgres.verbs.claims import ClaimVerbs
from video_translation_server.store.postgres.verbs.deliveries import DeliveryVerbs
from video_translation_server.store.postgres.verbs.endpoints import EndpointVerbs
from video_translation_server.store.postgres.verbs.jobs import JobVerbs
from video_translation_server.store.postgres.verbs.log import LogVerbs
from video_translation_server.store.postgres.verbs.requests import RequestVerbs
from video_translation_server.store.postgres.verbs.simulator import SimulatorVerbs
from video_translation_server.store.postgres.verbs.workspaces import WorkspaceVerbs


class PostgresStore(
    AssetVerbs,
    ClaimVerbs,
    DeliveryVerbs,
    EndpointVerbs,
    JobVerbs,
    LogVerbs,
    RequestVerbs,
    SimulatorVerbs,
    WorkspaceVerbs,
):
    """The Store on a PostgreSQL database, one server's share of it; what each verb promises is in `store.base`."""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        ids: Ids = random_id,
        disable_after: float = DISABLE_AFTER,
        lease: float = LEASE,
        real_time: Callable[[], float] | None = None,
        probe: Probe = unobserved,
    ) -> "PostgresStore":
        """Migrate and open a database, beside the servers that have it open already.

        Args:
            url: `postgresql://user:password@host:port/database`, as libpq knows it.
            ids: Makes the ids of notices.
            disable_after: Seconds without a success after which a failing endpoint is disabled.
            lease: Seconds that the servers' claims hold; by it the database breaks off those who fall silent.
            real_time: Unix seconds for leases, for tests; None: the database's time.
            probe: Called before and after each commit.

        Raises:
            StoreError: It cannot be reached, or its schema is newer than we are.
        """
        database = Database(url, longest_silence(lease))
        return await cls.on(database, Rules(ids=ids, disable_after=disable_after), real_time=real_time, probe=probe)

    @classmethod
    async def on(
        cls,
        database: Database,
        rules: Rules,
        *,
        real_time: Callable[[], float] | None = None,
        probe: Probe = unobserved,
    ) -> "PostgresStore":
        """What `open` does once it is known where the database is, and how to connect to it."""
        number = await database.prepare()
        pool = await database.pool(READERS)
        store = cls(database, pool, Server(number, real_time), rules, probe)
        await store._doorbell.start()
        await store.ping()  # the log's writer connects, and leaves room before anybody asks for the log's end
        return store
