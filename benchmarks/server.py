"""A real server process: `python -m video_translation_server serve` on a free port, ended by its pid.

Its log goes to a file, as a service's does; what it has committed is read from its database once it has stopped.
"""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import apsw

from benchmarks.child import PATIENCE, ROOT


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


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """Run a server on a database and a log in `folder`; the value is its URL."""
    flags = {"store": str(folder / "server.db"), "port": "0", "start-job": "false", "log-format": "json"} | settings
    command = [sys.executable, "-m", "video_translation_server", "serve"]
    command += [word for name, value in flags.items() for word in (f"--{name}", value)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
    try:
        yield _url(process, folder)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _url(process: subprocess.Popen[str], folder: Path) -> str:
    """What the server says once it answers."""
    if process.stdout is not None and select.select([process.stdout], [], [], PATIENCE)[0]:
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
    with closing(apsw.Connection(str(folder / "server.db"), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return [Transition(row[0], row[1], row[2], row[3], bool(row[4])) for row in connection.execute(query)]


def committed(folder: Path) -> dict[str, float]:
    """When the server logged each transition, which is just after its commit was known: event id -> Unix seconds."""
    known: dict[str, float] = {}
    with (folder / "server.log").open(encoding="utf-8") as log:
        for text in log:
            line = json.loads(text)
            if line.get("event") == "transition":
                known[line["event_id"]] = datetime.fromisoformat(line["timestamp"]).timestamp()
    return known
