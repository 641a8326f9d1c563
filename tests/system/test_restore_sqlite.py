"""A file as the store, saved while it is in use and put back later: by the commands of docs/operations.md."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from examples.local_server import LocalServer
from tests.system.rehearsal import Door, Rehearsal, blocks

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def door() -> Iterator[Door]:
    with HTTPServer(threaded=True) as http:
        yield Door(http)


def test_nothing_is_told_twice_or_missed_after_a_file_was_put_back(
    make_server: Callable[..., LocalServer], door: Door, tmp_path: Path
) -> None:
    save, put_back = blocks("A file")
    server = make_server()
    server.start()
    names = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STORE": str(tmp_path / "jobs0.db"),
        "BACKUP": str(tmp_path / "backup.db"),
    }
    rehearsal = Rehearsal(server.url, door, tmp_path / "inbox.db")
    try:
        rehearsal.tell_what_is_saved()
        subprocess.run(["bash", "-c", save], env=names, check=True)
        rehearsal.tell_what_is_lost()
        server.kill()
        assert Path(names["STORE"] + "-wal").stat().st_size, (
            "what the killed server leaves must not be put back with it"
        )
        subprocess.run(["bash", "-c", put_back], env=names, check=True)
        server.start()
        rehearsal.go_on()
        rehearsal.check()
        rehearsal.start_the_client_anew()
    finally:
        rehearsal.close()
