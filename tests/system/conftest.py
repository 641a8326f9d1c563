"""Real processes over real HTTP: a server as a child process, clients in this one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.local_server import LocalServer

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

        made.append(LocalServer(tmp_path / f"jobs{len(made)}.db", *QUICK, *flags, on_log=keep))
        return made[-1]

    yield make
    for server in made:
        if server.is_running:
            server.stop()


@pytest.fixture
def server(make_server: Callable[..., LocalServer]) -> LocalServer:
    """A running server."""
    made = make_server()
    made.start()
    return made
