"""One SQLite file as our database: owned by one process, recognised, migrated, tuned.

Connections come from here; what is read and written through them is the business of the noun modules.
"""

import contextlib
import os
from importlib import resources
from pathlib import Path

import apsw

from video_translation_server.errors import StoreError

APPLICATION_ID = 0x56545253
"""`VTRS` in the file's header: tells our databases from other programs'."""


CHECKPOINT = 4000
"""Pages of the write-ahead log (16 MiB) after which it is emptied into the file: busy pages come into it many times,
and are then copied once."""

BUSY_TIMEOUT = 5_000
"""Milliseconds that a statement waits for another program that holds the file."""

KEPT_STATEMENTS = 1024
"""Uses for which a prepared statement is kept (apsw's cache is a ring of uses): the rare ones, of large lots, are those
whose preparing costs the most."""


class Database:
    """An exclusive hold on a database file, migrated to the newest schema.

    Ownership is a second, empty SQLite file beside it that is kept locked: SQLite's own locks work on every
    platform and end with the process, however it ends.

    Raises:
        StoreError: The file cannot be opened, is not ours, is newer than we are, or has an owner.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._owned = self._own()
        try:
            self._prepare()
        except BaseException:
            self._owned.close()
            raise

    def _own(self) -> apsw.Connection:
        lock = self.path.with_name(self.path.name + "-lock")
        try:
            owned = apsw.Connection(str(lock))
            owned.pragma("journal_mode", "OFF")
            # A call of its own: apsw stops a list of statements at the first one that has a row to give.
            owned.execute("BEGIN EXCLUSIVE")
        except apsw.BusyError:
            raise StoreError(
                f"{self.path} is in use by another server: stop that one, or give this one its own --store"
            ) from None
        except apsw.Error as error:
            raise StoreError(
                f"cannot create {lock}: {error}; give a --store in a folder that exists and can be written"
            ) from error
        return owned

    def _prepare(self) -> None:
        with contextlib.suppress(FileExistsError):
            # The file holds signing secrets: nobody but the owner may read it.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with contextlib.closing(apsw.Connection(str(self.path))) as connection:
                self._recognise(connection)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                migrate(connection)
        except apsw.NotADBError as error:
            raise StoreError(f"{self.path} is not a database file; give another --store") from error
        except apsw.Error as error:
            raise StoreError(f"cannot open {self.path}: {error}; give another --store") from error

    def _recognise(self, connection: apsw.Connection) -> None:
        application = connection.pragma("application_id")
        marks = connection.execute("SELECT count(*) FROM sqlite_schema").get, connection.pragma("user_version")
        is_blank = (application, *marks) == (0, 0, 0)
        if application != APPLICATION_ID and not is_blank:
            raise StoreError(f"{self.path} is the database of another program; give another --store")
        found, newest = connection.pragma("user_version"), len(migrations())
        if found > newest:
            raise StoreError(
                f"{self.path} has schema version {found}, this server knows up to {newest}: "
                "it was written by a newer version; upgrade, or give another --store"
            )

    def connect(self, *, readonly: bool) -> apsw.Connection:
        """A tuned connection; the caller closes it."""
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(str(self.path), flags=flags, statementcachesize=KEPT_STATEMENTS)
        connection.set_busy_timeout(BUSY_TIMEOUT)
        connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -32768")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        return connection

    def close(self) -> None:
        """Let other processes own the file."""
        self._owned.close()


def migrations() -> list[str]:
    """The schema's steps in order; step n leads to schema version n."""
    folder = resources.files(__package__) / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def migrate(connection: apsw.Connection) -> None:
    """Apply the steps that the file lacks, each in a transaction of its own; a new file gets all of them in one.

    A wait for the disk per step would be most of a server's start inside a test.
    """
    found = connection.pragma("user_version")
    with contextlib.nullcontext() if found else connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for version, script in enumerate(migrations()[found:], start=found + 1):
            with connection:
                connection.execute(script)
                connection.execute(f"PRAGMA user_version = {version}")
