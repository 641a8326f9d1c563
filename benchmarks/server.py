"""A real server process: `python -m video_translation_server serve` on a free port, ended by its pid.

Its log goes to a file, as a service's does; what it has committed is read from its database once it has stopped, and
when, where it was watched (`benchmarks.watched`).
"""

import json
import select
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from benchmarks.child import PATIENCE, ROOT

STARTING = 60.0
"""Seconds that a start may take on a machine that has much else to do."""


DATABASE = "server.db"
"""The name of the database in a server's folder."""
COMMITS = "commits.json"
"""Where a watched server says when it committed."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One event of the log.

    Attributes:
        job_id: Whose it is.
        sequence: 1 for a job's creation.
        at: The instant of the transition, Unix seconds, just before its commit began.
        is_last: The job has ended with it.
    """

    event_id: str
    job_id: str
    sequence: int
    at: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class Server:
    """A running one.

    Attributes:
        started_in: Seconds from the process's beginning to the line that says that it answers.
    """

    url: str
    folder: Path
    process: subprocess.Popen[str]
    started_in: float

    @property
    def database(self) -> Path:
        """Its file."""
        return self.folder / DATABASE

    def log_position(self) -> int:
        """How many events it has committed, ever."""
        with closing(apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").get or 0)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Server]:
    """Run a server on a database and a log in `folder`; it is stopped at the end, unless it was killed."""
    flags = _defaults(folder) | settings
    command = [sys.executable, "-m", "video_translation_server", "serve"]
    command += [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", value)]
    with _run(command, folder) as server:
        yield server


def _defaults(folder: Path) -> dict[str, str]:
    return {"store": str(folder / DATABASE), "port": "0", "start_job": "false", "log_format": "json"}


@contextmanager
def _run(command: list[str], folder: Path) -> Iterator[Server]:
    began = time.perf_counter()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
    try:
        yield Server(_url(process, folder), folder, process, time.perf_counter() - began)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """As `started`, for who needs its URL only."""
    with started(folder, **settings) as server:
        yield server.url


@contextmanager
def watched(folder: Path) -> Iterator[str]:
    """A server that says, once it has stopped, when it committed; its URL."""
    command = [sys.executable, "-m", "benchmarks.watched", str(folder / COMMITS), json.dumps(_defaults(folder))]
    with _run(command, folder) as server:
        yield server.url


def _url(process: subprocess.Popen[str], folder: Path) -> str:
    """What the server says once it answers."""
    if process.stdout is not None and select.select([process.stdout], [], [], STARTING)[0]:
        line = process.stdout.readline()
        if line.startswith("Listening on "):
            return line.split()[-1]
    raise RuntimeError("the server did not start:\n" + (folder / "server.log").read_text(encoding="utf-8"))


def transitions(folder: Path) -> list[Transition]:
    """The event log of a server that has stopped."""
    query = (
        "SELECT events.id, jobs.id, events.sequence, events.created_at, "
        "type IN ('video_translate.success', 'video_translate.fail') "
        "FROM events JOIN jobs ON jobs.n = events.job ORDER BY position"
    )
    with closing(apsw.Connection(str(folder / DATABASE), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return [Transition(row[0], row[1], row[2], row[3], bool(row[4])) for row in connection.execute(query)]


def committed(folder: Path, log: list[Transition]) -> dict[str, float]:
    """When each transition's COMMIT ended, of a watched server that has stopped: event id -> Unix seconds.

    It is in the first transaction whose COMMIT began after its instant; where it is in the one behind that, because the
    event loop was held up in between, its latency is overstated.
    """
    noted = json.loads((folder / COMMITS).read_text(encoding="utf-8"))
    began, ended = noted["before commit"], noted["after commit"]
    return {transition.event_id: ended[bisect_left(began, transition.at)] for transition in log}
