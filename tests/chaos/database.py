"""All that the harness knows of the embedded engine's tables: what was in flight at a death, and how it ended.

A dead server's file is read in a copy, so that the next server recovers it exactly as it was left.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw

from tests.chaos.record import Pair

_PAIRS = """
SELECT p.id, e.id, d.claim_id
FROM deliveries d JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint
WHERE {condition}
"""


def leases_at_death(store: Path, copies: Path) -> dict[Pair, int]:
    """The deliveries that were claimed and not settled, each with the fence of its claim.

    These are exactly the attempts that were in flight, and those of a process before that this one did not live
    to take back; the fence tells them apart.

    Args:
        store: The database file; no server may run on it.
        copies: A folder for the copy, which is deleted again.
    """
    copy = copies / "at-death.db"
    files = [(store.with_name(store.name + suffix), copy.with_name(copy.name + suffix)) for suffix in ("", "-wal")]
    try:
        for source, target in files:
            if source.exists():
                shutil.copyfile(source, target)
        return _pairs(copy, "d.claim_id IS NOT NULL", flags=apsw.SQLITE_OPEN_READWRITE)
    finally:
        for path in copies.glob("at-death.db*"):
            path.unlink()


def set_aside(store: Path) -> frozenset[Pair]:
    """The deliveries that the engine gave up because a later transition of the job waited; also of a live file."""
    return frozenset(_pairs(store, "d.state = 'superseded'"))


def open_deliveries(store: Path) -> int:
    """How many deliveries are not settled; also of a live file."""
    with _opened(store) as connection:
        return int(connection.execute("SELECT count(*) FROM deliveries WHERE settled_at IS NULL").get)


def settled_attempts(store: Path) -> int:
    """How many attempts are in the attempt log."""
    with _opened(store) as connection:
        return int(connection.execute("SELECT count(*) FROM attempts").get)


def _pairs(store: Path, condition: str, flags: int = apsw.SQLITE_OPEN_READONLY) -> dict[Pair, int]:
    with _opened(store, flags) as connection:
        rows = connection.execute(_PAIRS.format(condition=condition))
        return {Pair(endpoint, event): fence for endpoint, event, fence in rows}


@contextlib.contextmanager
def _opened(store: Path, flags: int = apsw.SQLITE_OPEN_READONLY) -> Iterator[apsw.Connection]:
    with contextlib.closing(apsw.Connection(str(store), flags=flags)) as connection:
        connection.set_busy_timeout(5_000)
        yield connection
