"""What became of a commit whose answer was lost with the connection: the database knows by the transaction's number.

Without this, a caller would be told that nothing has happened while it has, or a verb would be carried out twice.
"""

import asyncio

from video_translation_server.errors import StoreError
from video_translation_server.store.postgres.database import FAILURES, is_lost
from video_translation_server.store.postgres.session import PAUSE, Session

LONGEST = 30.0
"""Seconds for which the database is asked."""

_ASK = "SELECT pg_xact_status($1::text::xid8)"
_END_IT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid"


async def has_committed(session: Session, number: str) -> bool:
    """Whether the transaction of this number has committed.

    Raises:
        StoreError: Nobody can say: the database has not been reached.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LONGEST
    while loop.time() < deadline:
        try:
            connection = await session.connection()
            status = await connection.fetchval(_ASK, number)
            if status != "in progress":
                return bool(status == "committed")
            # Its server process has not noticed yet that we are gone.
            await connection.execute(_END_IT, number)
        except FAILURES as error:
            if is_lost(error):
                session.drop(error)
            elif not isinstance(error, StoreError):
                return False  # a database that has never heard of this number: a standby that took over
        await asyncio.sleep(PAUSE)
    raise StoreError("the connection was lost in a commit: whether it took place is not known")
