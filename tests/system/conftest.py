"""Real processes over real HTTP: a server as a child process, clients in this one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from examples.local_server import LocalServer
from tests.forked import ForkedServer

QUICK = (
    "--start-job",
    "false",
    "--error-rate",
    "0",
    "--retry-delays",
    "0.2,0.2,0.2,0.5,0.5,1,1,1,1,1",
    "--poll-interval",
    "0.5",
)


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., LocalServer]]:
    """Make a server on a database of its own, not started yet; whatever still runs at the end is stopped."""
    made: list[LocalServer] = []

    def make(*flags: str) -> LocalServer:
        log = tmp_path / f"server{len(made)}.log"

        def keep(line: str) -> None:
            with log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

        made.append(ForkedServer(tmp_path / f"jobs{len(made)}.db", *QUICK, *flags, on_log=keep))
        return made[-1]

    yield make
    for server in made:
        if server.is_running:
            server.stop()


@pytest.fixture
def own_server(make_server: Callable[..., LocalServer]) -> LocalServer:
    """A running server on a database in the test's folder, whose log begins with the test."""
    made = make_server()
    made.start()
    return made


@pytest.fixture(scope="session")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    lasting = ForkedServer(tmp_path_factory.mktemp("lasting") / "jobs.db", *QUICK)
    yield lasting
    if lasting.is_running:
        lasting.stop()


@pytest.fixture
def server(lasting_server: LocalServer) -> LocalServer:
    """A running server with nothing in it, which a test may kill and start: one process for many tests.

    A start takes longer than most of them.
    """
    if not lasting_server.is_running:
        lasting_server.start()
    httpx.post(f"{lasting_server.url}/_sim/reset", trust_env=False).raise_for_status()
    return lasting_server
