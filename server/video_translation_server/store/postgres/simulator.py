"""What the simulator's doors need of PostgreSQL: the clock that is kept, what goes on at an instant, an empty store.

Every function takes a connection and runs inside the caller's transaction.
"""

from video_translation_server.clock import ClockState
from video_translation_server.store.postgres.database import Connection

ERASED = "idempotency, batches, jobs, events, endpoints, deliveries, turns, attempts, settled, sweeps, assets"
"""Tables that `erase` empties; who may call, what time it is, and where the log ends stays."""


async def clock(connection: Connection) -> ClockState | None:
    """The state that was kept last."""
    row = await connection.fetchrow("SELECT virtual_at, real_at, speed FROM clock")
    return None if row is None else ClockState(*row)


async def keep_clock(connection: Connection, state: ClockState) -> None:
    """Keep a state in the place of the one before."""
    await connection.execute(
        "INSERT INTO clock (n, virtual_at, real_at, speed) VALUES (1, $1, $2, $3) ON CONFLICT (n) DO UPDATE "
        "SET virtual_at = excluded.virtual_at, real_at = excluded.real_at, speed = excluded.speed",
        float(state.virtual_at),
        float(state.real_at),
        float(state.speed),
    )


async def begin_chapter(connection: Connection) -> int:
    """Count one chapter more, and say which it is; some may be left out."""
    chapter: int = await connection.fetchval("SELECT nextval('chapters')")
    return chapter


async def erase(connection: Connection) -> None:
    """Delete every row but those that say who may call and what time it is; numbers are not used again."""
    await connection.execute(f"TRUNCATE {ERASED} CONTINUE IDENTITY")
    await connection.execute("UPDATE kept SET delivered_since = 0, failed_since = 0")
