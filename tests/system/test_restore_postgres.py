"""A database that is set back to an instant: by the settings and commands of docs/operations.md, on real servers."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from examples.local_server import LocalServer
from tests.forked import ForkedServer
from tests.postgres import own_cluster
from tests.system.conftest import QUICK
from tests.system.rehearsal import Door, Rehearsal, blocks
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)

# What was claimed at the instant is claimed in the restored database too, until its lease has run out.
LEASES = ("--attempt-timeout", "4", "--lease", "5")
SETTINGS, SAVE, RESTORE = blocks("PostgreSQL")


class Site:
    """A database that archives its WAL, and the commands that are run beside it."""

    def __init__(self, folder: Path) -> None:
        settings = dict(line.split(" = ", 1) for line in SETTINGS.replace("/backups", str(folder)).splitlines())
        own = {"fsync": "off", "unix_socket_directories": f"'{folder}'", "listen_addresses": "''"}
        self.cluster = own_cluster(folder / "data", settings | own, home=folder)
        self.restored = folder / "restored"
        self.restored_url = f"postgresql://postgres@/postgres?host={folder}"
        self.folder = folder
        if self.cluster.user is not None:
            shutil.chown(folder, self.cluster.user)
        self._names = {
            "PATH": f"{self.cluster.programs}:{os.environ['PATH']}",
            "DATABASE": self.cluster.url,
            "BACKUPS": str(folder),
            "RESTORED": str(self.restored),
            "RESTORED_DATABASE": self.restored_url,
        }
        assert self.run("mkdir wal").returncode == 0

    def run(self, commands: str, **names: str) -> subprocess.CompletedProcess[str]:
        """Run commands as the database's user."""
        log = self.folder / "output"  # a file: a database that is started would keep a pipe open
        with log.open("w+", encoding="utf-8") as output:
            done = subprocess.run(
                ["bash", "-c", commands],
                env=self._names | names,
                user=self.cluster.user,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def restore(self, instant: str) -> str:
        """Restore to an instant; what the commands say of it in the end."""
        restored = self.run(RESTORE, WHEN=instant)
        assert restored.returncode == 0, restored.stdout
        return str(restored.stdout).splitlines()[-1]

    def ask(self, query: str) -> str:
        """The one value that a query gives."""
        done = self.run(f'psql --no-psqlrc --dbname "$DATABASE" -Atc "{query}"')
        assert done.returncode == 0, done.stdout
        return str(done.stdout).strip()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site(Path(tempfile.mkdtemp(prefix="vts-restore-")))
    yield made
    made.cluster.close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[str], LocalServer]]:
    made: list[LocalServer] = []

    def make(url: str) -> LocalServer:
        made.append(ForkedServer(url, *QUICK, *LEASES, "--assets", str(tmp_path / "assets")))
        return made[-1]

    yield make
    for server in made:
        if server.is_running:
            server.stop()


@pytest.fixture
def door() -> Iterator[Door]:
    with HTTPServer(threaded=True) as http:
        yield Door(http)


def test_nothing_is_told_twice_or_missed_after_a_restore_to_an_instant(
    site: Site, make_server: Callable[[str], LocalServer], door: Door, tmp_path: Path
) -> None:
    before, after = make_server(site.cluster.url), make_server(site.restored_url)
    before.start()
    saved = site.run(SAVE)
    assert saved.returncode == 0, saved.stdout
    rehearsal = Rehearsal(before.url, door, tmp_path / "inbox.db")
    try:
        rehearsal.tell_what_is_saved()
        instant = site.ask("SELECT clock_timestamp()")
        rehearsal.tell_what_is_lost()
        assert before.stop() == 0
        site.ask("SELECT pg_switch_wal()")
        site.cluster.stop()

        too_late = site.run(RESTORE, WHEN="2999-01-01 00:00:00+00")
        assert too_late.returncode != 0
        assert "recovery ended before configured recovery target was reached" in too_late.stdout
        assert site.run(RESTORE, WHEN=instant).returncode != 0, "there is a folder already"
        until(lambda: not (site.restored / "postmaster.pid").exists())  # it may be about to end
        shutil.rmtree(site.restored)
        assert site.restore(instant).startswith("9|")

        after.port = before.port
        after.start()
        rehearsal.go_on()
        rehearsal.check()
        rehearsal.start_the_client_anew()
    finally:
        rehearsal.close()


PUT_IN = "INSERT INTO video_translation.events SELECT extract(epoch FROM clock_timestamp())"
MAKE_A_TABLE = "CREATE TABLE video_translation.events (created_at double precision)"


def test_a_second_restore_goes_to_its_own_instant_and_not_to_where_the_first_one_went_on(site: Site) -> None:
    site.ask("CREATE SCHEMA video_translation")
    site.ask(MAKE_A_TABLE)
    assert site.run(SAVE).returncode == 0
    instants = []
    for _ in range(3):
        site.ask(PUT_IN)
        instants.append(site.ask("SELECT clock_timestamp()"))
    site.ask("SELECT pg_switch_wal()")
    site.cluster.stop()
    assert site.restore(instants[0]).startswith("1|")
    until((site.folder / "wal" / "00000002.history").exists)  # it archives into the same folder
    assert site.run('pg_ctl --pgdata "$RESTORED" --wait stop').returncode == 0
    shutil.rmtree(site.restored)
    assert site.restore(instants[1]).startswith("2|")


STANDBY = """
set -euo pipefail
pg_basebackup --dbname "$DATABASE" --pgdata "$RESTORED" --checkpoint fast --write-recovery-conf
pg_ctl --pgdata "$RESTORED" --log "$RESTORED/restore.log" --wait start
"""
CUT_OFF = """
psql --no-psqlrc --dbname "$RESTORED_DATABASE" -c "ALTER SYSTEM SET primary_conninfo = ''" -c 'SELECT pg_reload_conf()'
"""


def test_nothing_is_told_twice_or_missed_after_a_standby_took_over_that_lacks_the_last_of_it(
    site: Site, make_server: Callable[[str], LocalServer], door: Door, tmp_path: Path
) -> None:
    """The server goes on running, and finds the other database by itself."""
    hosts = f"{site.cluster.folder},{site.restored.parent}"
    server = make_server(f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write")
    server.start()
    standing_by = site.run(STANDBY)
    assert standing_by.returncode == 0, standing_by.stdout
    rehearsal = Rehearsal(server.url, door, tmp_path / "inbox.db")
    try:
        rehearsal.tell_what_is_saved()
        until(lambda: site.ask("SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication") == "t")
        assert site.run(CUT_OFF).returncode == 0
        until(lambda: site.ask("SELECT count(*) FROM pg_stat_replication") == "0")
        rehearsal.tell_what_is_lost()
        site.cluster.stop("immediate")
        promoted = site.run('pg_ctl --pgdata "$RESTORED" --wait promote')
        assert promoted.returncode == 0, promoted.stdout
        rehearsal.go_on()
        rehearsal.check()
        rehearsal.start_the_client_anew()
    finally:
        rehearsal.close()
