"""A server that is frozen (SIGSTOP) while another takes its deliveries over sends none of them when it wakes."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from examples.local_server import LocalServer
from tests.postgres import create_database, drop_database
from tests.system.conftest import QUICK
from tests.system.rehearsal import VIDEO, until

pytestmark = pytest.mark.timeout(180)

AT_ONCE = 4
FLAGS = ("--concurrency", str(AT_ONCE), "--attempt-timeout", "2", "--lease", "3", "--max-in-flight", "100")
JOBS = 60
SLOWNESS = 0.2
"""Seconds that the receiver takes for each delivery."""
_OPEN = "SELECT count(*), count(claim_id) FROM video_translation.deliveries"


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    name = f"frozen_{os.getpid()}"
    yield asyncio.run(create_database(postgres, name))
    asyncio.run(drop_database(postgres, name))


class Receiver:
    """Takes its time, so that there is a backlog, and something is claimed ahead of its turn."""

    def __init__(self, http: HTTPServer) -> None:
        self.begun: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.url = http.url_for("/hook")
        http.expect_request("/hook").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        event_id = request.headers["webhook-id"]
        self.begun[event_id] += 1
        time.sleep(SLOWNESS)
        self.answered[event_id] += 1
        return Response(status=204)

    @property
    def is_idle(self) -> bool:
        return self.begun.total() == self.answered.total()


async def queue(url: str) -> tuple[int, int]:
    """How many deliveries are open, and how many of them are claimed."""
    connection = await asyncpg.connect(url)
    try:
        opened, claimed = await connection.fetchrow(_OPEN)
    finally:
        await connection.close()
    return opened, claimed


def test_what_a_frozen_server_had_claimed_ahead_is_sent_by_the_other_alone(database: str, tmp_path: Path) -> None:
    log: list[str] = []
    flags = (*QUICK, *FLAGS, "--assets", str(tmp_path / "assets"))
    frozen = LocalServer(database, *flags, on_log=log.append)
    with (
        HTTPServer(threaded=True) as http,
        frozen,
        httpx.Client(base_url=frozen.url, timeout=30, trust_env=False) as api,
    ):
        receiver = Receiver(http)
        api.post("/v3/webhooks/endpoints", json={"url": receiver.url}).raise_for_status()
        translate(api, JOBS)
        until(lambda: freeze_with_claims_ahead(frozen, database, receiver))
        with LocalServer(database, *flags):
            until(lambda: asyncio.run(queue(database)) == (0, 0))
            before = receiver.begun.copy()
            os.kill(frozen.pid, signal.SIGCONT)
            until(lambda: [line for line in log if "not sent" in line])
            translate(api, AT_ONCE)  # it lives
            until(lambda: len(receiver.answered) == JOBS + AT_ONCE and asyncio.run(queue(database)) == (0, 0))
    repeated = before.total() - len(before)
    assert (len(before), repeated <= 2 * AT_ONCE) == (JOBS, True), "what was under way, or answered and not settled"
    assert {event_id: receiver.begun[event_id] for event_id in before} == before, "of these, nothing after it woke"


def translate(api: httpx.Client, jobs: int) -> None:
    order = {"video": {"type": "url", "url": VIDEO}, "output_languages": ["French"]}
    for _ in range(jobs):
        body = order | {"simulation": {"progression": "manual"}}
        api.post("/v3/video-translations", json=body).raise_for_status()


def freeze_with_claims_ahead(server: LocalServer, database: str, receiver: Receiver) -> bool:
    """Freeze it; where it holds no claim that it has not begun to send, wake it again."""
    os.kill(server.pid, signal.SIGSTOP)
    opened, claimed = asyncio.run(queue(database))
    until(lambda: receiver.is_idle)
    assert opened > AT_ONCE, "it was too quick for us"
    not_settled = len(receiver.begun) - (JOBS - opened)
    if claimed > not_settled:
        return True
    os.kill(server.pid, signal.SIGCONT)
    return False
