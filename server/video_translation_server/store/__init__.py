"""Everything durable, behind one Protocol of domain verbs: `base` has the promises, the engines keep them.

`open_store` is the only door; which engine answers is decided by the URL alone.
"""

from pathlib import Path

from video_translation_server.errors import StoreError
from video_translation_server.ids import Ids, random_id
from video_translation_server.probe import Probe, unobserved
from video_translation_server.store.base import (
    ANSWERS_KEPT,
    UNLIMITED,
    Bell,
    Bells,
    DeliveryFilter,
    EventFilter,
    JobFilter,
    Keep,
    Retention,
    Store,
)
from video_translation_server.store.base.rules import DISABLE_AFTER, LEASE
from video_translation_server.store.sqlite import SqliteStore

__all__ = [
    "ANSWERS_KEPT",
    "UNLIMITED",
    "Bell",
    "Bells",
    "DeliveryFilter",
    "EventFilter",
    "JobFilter",
    "Keep",
    "Retention",
    "Store",
    "migrate_store",
    "open_store",
]


async def migrate_store(url: str) -> int:
    """Bring the schema of a store to the newest version; the version. A server does so by itself when it starts.

    Raises:
        StoreError: As `open_store`.
    """
    store = await open_store(url)
    try:
        return await store.schema_version()
    finally:
        await store.close()


async def open_store(
    url: str,
    *,
    ids: Ids = random_id,
    disable_after: float = DISABLE_AFTER,
    lease: float = LEASE,
    probe: Probe = unobserved,
) -> Store:
    """Open the store that `url` names, migrated to the newest schema.

    Args:
        url: A path or `sqlite:///path` for the embedded engine; `postgresql://user:password@host/database` for one
            that several servers share.
        ids: Makes the ids of notices.
        disable_after: Seconds without a success after which a failing endpoint is disabled.
        lease: Seconds that a claim holds; a shared store lets no server that fell silent hold up the others so long.
        probe: Called around commits; for test harnesses.

    Raises:
        StoreError: It is not ours, comes from a newer version, is in use, or has an unknown scheme.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return await SqliteStore.open(Path(url), ids=ids, disable_after=disable_after, probe=probe)
    if scheme == "sqlite":
        return await SqliteStore.open(Path(rest.removeprefix("/")), ids=ids, disable_after=disable_after, probe=probe)
    if scheme in ("postgresql", "postgres"):
        from video_translation_server.store.postgres import PostgresStore  # noqa: PLC0415  (a file needs no asyncpg)

        return await PostgresStore.open(url, ids=ids, disable_after=disable_after, lease=lease, probe=probe)
    raise StoreError(f"no store engine for {scheme}://: give a file path, sqlite:///path or postgresql://...")
