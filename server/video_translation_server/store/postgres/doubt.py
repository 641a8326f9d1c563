"""What became of a commit whose answer was lost with the connection: the database knows by the transaction's number.

Without this, a caller would be told that nothing has happened while it has, or a verb would be carried out twice. It
asks on a connection of its own: a writer's begins by writing, and takes the number where the transaction was lost.
"""

import asyncio

import asyncpg

from video_translation_server.errors import StoreError
from video_translation_server.store.postgres.database import FAILURES, Database, history_of, let_go
from video_translation_server.store.postgres.session import PAUSE

LONGEST = 30.0
"""Seconds for which the database is asked."""

_ASK = "SELECT pg_xact_status($1::text::xid8)"
_END_IT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid"

_IN_PROGRESS = "in progress"
_UNKNOWN = "the connection was lost in a commit: whether it took place is not known"


async def has_committed(database: Database, number: str, history: str) -> bool:
    """Whether the transaction has committed that had this number in this history (`history_of`).

    Raises:
        StoreError: Nobody can say. The database has not been reached; or after a crash or a failover the number is of
            a transaction that committed, and that may be another one, if ours was lost with the last of the WAL.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LONGEST
    reason: BaseException | None = None
    while loop.time() < deadline:
        try:
            status = await _status(database, number, history)
        except FAILURES as error:
            reason = error
        else:
            if status is None:
                raise StoreError(_UNKNOWN)
            if status != _IN_PROGRESS:
                return status == "committed"
        await asyncio.sleep(PAUSE)
    raise StoreError(_UNKNOWN) from reason


async def _status(database: Database, number: str, history: str) -> str | None:
    """`committed`, `aborted` or `in progress`; None: it cannot be known."""
    connection = await database.connect()
    try:
        is_same = await history_of(connection) == history
        status: str | None = await connection.fetchval(_ASK, number)
        if is_same and status == _IN_PROGRESS:
            # Its server process has not noticed yet that we are gone.
            await connection.execute(_END_IT, number)
    except asyncpg.InvalidParameterValueError:
        status, is_same = "aborted", True  # a number that is still to come: here the transaction never was
    finally:
        await let_go(connection)
    if is_same or status == "aborted":
        return status
    # What had not ended went with the crash: who has the number now is somebody else, to be left alone.
    return "aborted" if status == _IN_PROGRESS else None
