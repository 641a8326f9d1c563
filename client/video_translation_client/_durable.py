"""A durable inbox in a SQLite file: what was pushed and not handled, each job's last sequence, the place in the log.

One process owns the file. A file that is not ours, or of a newer version, is refused and left as it is; when
something is stored is decided by the keeper.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from video_translation_client._errors import InboxError
from video_translation_client._models import Event
from video_translation_client._storage import InboxState

logger = logging.getLogger("video_translation_client")

APPLICATION_ID: Final = 0x56544358
"""`VTCX` in the file's header, where SQLite keeps a mark of the program that a file belongs to."""
VERSION: Final = 2
_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_DAY: Final = 86_400.0
_KEEP_ENDED: Final = 30 * _DAY  # as long as the service keeps events, so that no repeat can come later
_KEEP_SILENT: Final = 365 * _DAY
_PRUNE_EVERY: Final = 60.0
_PRUNE_AT_ONCE: Final = 200
_MOST_JOBS: Final = 100_000
_MOST_IDS: Final = 10_000

_SCHEMA: Final = (
    # Events that were pushed and not handled. A transition of a job has its sequence; any other event has none.
    """CREATE TABLE waiting (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        job_id TEXT,
        sequence INTEGER,
        body TEXT NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0
    )""",
    # A job of a service that was set back may end with a sequence at which it went on before: those are two events.
    "CREATE UNIQUE INDEX waiting_by_job ON waiting (job_id, sequence, ended) WHERE sequence IS NOT NULL",
    # The last handled sequence of each job.
    """CREATE TABLE jobs (
        job_id TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        moved REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX jobs_by_time ON jobs (moved)",
    # Handled events that are no transition.
    "CREATE TABLE handled (event_id TEXT PRIMARY KEY, moved REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX handled_by_time ON handled (moved)",
    "CREATE TABLE log (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL)",
)
# Version 1 knew no second event of a sequence.
_FROM_1: Final = (
    "DROP INDEX waiting_by_job",
    "ALTER TABLE waiting ADD COLUMN ended INTEGER NOT NULL DEFAULT 0",
    "CREATE UNIQUE INDEX waiting_by_job ON waiting (job_id, sequence, ended) WHERE sequence IS NOT NULL",
)
_KEEP: Final = "INSERT OR IGNORE INTO waiting (event_id, job_id, sequence, ended, body) VALUES (?, ?, ?, ?, ?)"
# A job's events are handled in order: what is waiting below was stepped over. Its end comes behind what went on.
_FINISH: Final = "DELETE FROM waiting WHERE job_id = ? AND (sequence, ended) <= (?, ?)"
_MOVE: Final = """
    INSERT INTO jobs (job_id, sequence, ended, moved) VALUES (?, ?, ?, ?)
    ON CONFLICT (job_id) DO UPDATE SET
        sequence = max(sequence, excluded.sequence), ended = excluded.ended, moved = excluded.moved
"""
_CURSOR: Final = "INSERT INTO log (one, cursor) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET cursor = excluded.cursor"
_PRUNE_JOBS: Final = """
    DELETE FROM jobs WHERE job_id IN (
        SELECT job_id FROM jobs WHERE moved < ? AND (ended OR moved < ?) ORDER BY moved LIMIT ?
    )
"""
_PRUNE_HANDLED: Final = """
    DELETE FROM handled WHERE event_id IN (SELECT event_id FROM handled WHERE moved < ? ORDER BY moved LIMIT ?)
"""


class SQLiteInbox:
    """An `InboxStorage` in a file of its own.

    Args:
        path: the file; made where there is none.
        now: the wall clock, unix seconds.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._next_pruning = 0.0
        self._opened: sqlite3.Connection | None = None

    def load(self) -> InboxState:
        """Open the file, and return where the inbox stood.

        Raises:
            InboxError: it cannot be opened, belongs to another client, another program or a newer version.
        """
        _check_header(self._path)
        self._opened = self._open()
        try:
            return _read(self._opened)
        except sqlite3.Error as error:
            self.close()
            raise InboxError(_refusal(self._path, error)) from error

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        """Store all of this in one transaction that is on the disk when this returns."""
        with self._transaction() as connection:
            connection.executemany(_KEEP, map(_row, keep))
            for event in done:
                self._finish(connection, event)
            if cursor is not None:
                connection.execute(_CURSOR, (cursor,))
            self._prune(connection)

    def close(self) -> None:
        """Close the file; another client may open it then."""
        if self._opened is not None:
            self._opened.close()

    def _open(self) -> sqlite3.Connection:
        try:
            # One thread after the other uses it: the one that loads, then the keeper's.
            connection = sqlite3.connect(self._path, timeout=0.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise InboxError(f"the inbox {self._path} cannot be opened ({error}): does its folder exist?") from error
        try:
            self._take(connection)
        except sqlite3.Error as error:
            connection.close()
            raise InboxError(_refusal(self._path, error)) from error
        except InboxError:
            connection.close()
            raise
        return connection

    def _take(self, connection: sqlite3.Connection) -> None:
        # The lock is held from the first transaction to the end of the process, however that comes.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            connection.execute("ROLLBACK")
            raise InboxError(_too_new(self._path, version))
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif version == 1:
            _upgrade(connection)
        if version != VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened
        if connection is None:
            raise InboxError(f"the inbox {self._path} is written before it was loaded")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite ends some failed transactions by itself
                connection.execute("ROLLBACK")
            raise

    def _finish(self, connection: sqlite3.Connection, event: Event) -> None:
        now = self._now()
        if event.transition is None:
            connection.execute("DELETE FROM waiting WHERE event_id = ?", (event.id,))
            connection.execute("INSERT OR REPLACE INTO handled (event_id, moved) VALUES (?, ?)", (event.id, now))
        else:
            job_id, sequence = event.transition
            connection.execute(_FINISH, (job_id, sequence, event.job.terminal))
            connection.execute(_MOVE, (job_id, sequence, event.job.terminal, now))

    def _prune(self, connection: sqlite3.Connection) -> None:
        now = self._now()
        if now < self._next_pruning:
            return
        old = now - _KEEP_ENDED
        jobs = connection.execute(_PRUNE_JOBS, (old, now - _KEEP_SILENT, _PRUNE_AT_ONCE)).rowcount
        handled = connection.execute(_PRUNE_HANDLED, (old, _PRUNE_AT_ONCE)).rowcount
        # As long as there is more, some of it goes with every transaction.
        self._next_pruning = now + (0.0 if _PRUNE_AT_ONCE in (jobs, handled) else _PRUNE_EVERY)


def _upgrade(connection: sqlite3.Connection) -> None:
    for statement in _FROM_1:
        connection.execute(statement)
    rows = connection.execute("SELECT event_id, body FROM waiting WHERE sequence IS NOT NULL").fetchall()
    restored = (_restore(*row) for row in rows)
    ended = [(event.id,) for event in restored if event is not None and event.job.terminal]
    connection.executemany("UPDATE waiting SET ended = 1 WHERE event_id = ?", ended)


def _read(connection: sqlite3.Connection) -> InboxState:
    rows = connection.execute
    newest = rows("SELECT job_id, sequence, ended FROM jobs ORDER BY moved DESC LIMIT ?", (_MOST_JOBS,)).fetchall()
    handled = rows("SELECT event_id FROM handled ORDER BY moved DESC LIMIT ?", (_MOST_IDS,)).fetchall()
    waiting = rows("SELECT event_id, body FROM waiting ORDER BY place")
    place = rows("SELECT cursor FROM log").fetchone()
    return InboxState(
        cursor=place[0] if place else None,
        sequences={job_id: sequence for job_id, sequence, _ in reversed(newest)},
        event_ids=[event_id for (event_id,) in reversed(handled)],
        waiting=[event for row in waiting if (event := _restore(*row)) is not None],
        going_on={job_id for job_id, _, ended in newest if not ended},
    )


def _row(event: Event) -> tuple[str, str | None, int | None, bool, str]:
    job_id, sequence = event.transition or (None, None)
    return event.id, job_id, sequence, event.job.terminal, json.dumps(event.raw, separators=(",", ":"))


def _restore(event_id: str, body: str) -> Event | None:
    try:
        return Event.from_raw(json.loads(body), event_id=event_id)
    except ValueError as error:
        logger.error("event %s in the durable inbox cannot be read and is left there: %s", event_id, error)  # noqa: TRY400 - the reason is all there is
        return None


def _check_header(path: Path) -> None:
    """Recognise a file by its first bytes, before SQLite may touch it."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InboxError(f"the inbox {path} cannot be read ({error.strerror or error})") from error
    if not header:
        return
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise InboxError(f"{path} is not an inbox of this client and is left as it is: choose another file")
    version = int.from_bytes(header[60:64], "big")
    if version > VERSION:
        raise InboxError(_too_new(path, version))


def _too_new(path: Path, version: int) -> str:
    return (
        f"the inbox {path} was written by a newer version of this package (file version {version}, known: {VERSION}) "
        "and is left as it is: upgrade video-translation-client"
    )


def _refusal(path: Path, error: sqlite3.Error) -> str:
    if error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return f"the inbox {path} is in use by another client: close that one, or give this client a file of its own"
    return f"the inbox {path} cannot be used ({error}): check the file and its folder, or choose another file"
