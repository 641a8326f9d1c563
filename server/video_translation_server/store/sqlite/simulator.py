"""What the simulator's doors need of SQLite: the clock that is kept, what goes on at an instant, an empty file.

Every function takes a connection and runs inside the caller's transaction.
"""

from typing import Any

import apsw

from video_translation_server.clock import ClockState

KEPT = ("workspaces", "keys", "clock", "file_key", "chapter", "recipients")
"""Tables that survive `erase`: who may call, what time it is, what a running server has read once, past ids; and by
which it is told that what it remembers of endpoints is good no longer."""


def clock(connection: apsw.Connection) -> ClockState | None:
    """The state that was kept last."""
    for row in connection.execute("SELECT virtual_at, real_at, speed FROM clock"):
        return ClockState(*row)
    return None


def keep_clock(connection: apsw.Connection, state: ClockState) -> None:
    """Keep a state in the place of the one before."""
    connection.execute(
        "INSERT OR REPLACE INTO clock (n, virtual_at, real_at, speed) VALUES (1, ?, ?, ?)",
        (state.virtual_at, state.real_at, state.speed),
    )


def next_expiry(connection: apsw.Connection) -> float | None:
    """When the first endpoint runs out."""
    return connection.execute(  # type: ignore[no-any-return]
        "SELECT min(expires_at) FROM endpoints WHERE expires_at IS NOT NULL AND deleted_at IS NULL"
    ).get


def erase(connection: apsw.Connection) -> None:
    """Delete every row but those of `KEPT`; numbers that were given out are not used again."""
    # The youngest table first: what refers to others goes before them.
    names: list[Any] = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "ORDER BY rowid DESC"
    ).fetchall()
    for (name,) in names:
        if name not in KEPT:
            connection.execute(f"DELETE FROM {name}")


def begin_chapter(connection: apsw.Connection) -> int:
    """Count one chapter more, and say which it is."""
    return connection.execute(  # type: ignore[no-any-return]
        "INSERT INTO chapter (n, count) VALUES (1, 1) ON CONFLICT (n) DO UPDATE SET count = count + 1 RETURNING count"
    ).get
