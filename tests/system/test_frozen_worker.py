"""A server that is frozen (SIGSTOP) while another takes its deliveries over sends none of them when it wakes."""

import asyncio
import os
import signal
import threading
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
from tests.system.rehearsal import VIDEO
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.timeout(240)

AT_ONCE = 4
FLAGS = ("--concurrency", str(AT_ONCE), "--attempt-timeout", "3", "--lease", "4", "--max-in-flight", "100")
JOBS = 60
AT_FIRST = 3 * AT_ONCE
"""Deliveries that the receiver answers at once: enough that the server claims ahead by what it has settled."""
_OPEN = "SELECT count(*) FROM video_translation.deliveries"
_CLAIMED = """
SELECT e.id FROM video_translation.deliveries d JOIN video_translation.events e ON e.position = d.event
WHERE d.claim_id IS NOT NULL
"""


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    name = f"frozen_{os.getpid()}"
    yield asyncio.run(create_database(postgres, name))
    asyncio.run(drop_database(postgres, name))


class Receiver:
    """Answers a few deliveries, then none until it is let to, so that there is a backlog and a reserve of claims."""

    def __init__(self, http: HTTPServer) -> None:
        self.begun: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.url = http.url_for("/hook")
        self.opened = threading.Event()
        self._lock = threading.Lock()
        http.expect_request("/hook").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        event_id = request.headers["webhook-id"]
        with self._lock:
            self.begun[event_id] += 1
            is_held = self.begun.total() > AT_FIRST
        if is_held:
            assert self.opened.wait(PATIENCE)
        with self._lock:
            self.answered[event_id] += 1
        return Response(status=204)


async def queue(url: str) -> tuple[int, set[str]]:
    """How many deliveries are open, and the events of those that are claimed."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            opened: int = await connection.fetchval(_OPEN)
            return opened, {row[0] for row in await connection.fetch(_CLAIMED)}
    finally:
        await connection.close()


def is_empty(database: str) -> bool:
    opened, _ = asyncio.run(queue(database))
    return opened == 0


def test_what_a_frozen_server_had_claimed_ahead_is_sent_by_the_other_alone(database: str, tmp_path: Path) -> None:
    flags = (*QUICK, *FLAGS, "--assets", str(tmp_path / "assets"))
    frozen = LocalServer(database, *flags)
    with (
        HTTPServer(threaded=True) as http,
        frozen,
        httpx.Client(base_url=frozen.url, timeout=PATIENCE, trust_env=False) as api,
    ):
        receiver = Receiver(http)
        api.post("/v3/webhooks/endpoints", json={"url": receiver.url}).raise_for_status()
        translate(api, JOBS)
        claimed = until(lambda: freeze_with_claims_ahead(frozen, database, receiver))
        receiver.opened.set()
        with LocalServer(database, *flags):
            until(lambda: is_empty(database))
            before = receiver.begun.copy()
            os.kill(frozen.pid, signal.SIGCONT)
        # It is alone by now, and sends in the order in which it has claimed: what it held has gone before these.
        translate(api, AT_ONCE)
        until(lambda: len(receiver.answered) == JOBS + AT_ONCE and is_empty(database))
    assert len(before) == JOBS
    assert {event_id: receiver.begun[event_id] for event_id in before} == before, "of these, nothing after it woke"
    ahead = {event_id for event_id in claimed if before[event_id] == 1}
    assert ahead, "it had claimed what it had not begun to send: what it had begun was sent again"


def translate(api: httpx.Client, jobs: int) -> None:
    """One transaction: what is claimed next is claimed of all of them."""
    languages = api.get("/v3/video-translations/languages").raise_for_status().json()["data"]["languages"][:jobs]
    body = {"video": {"type": "url", "url": VIDEO}, "output_languages": languages}
    body["simulation"] = {"progression": "manual"}
    api.post("/v3/video-translations", json=body).raise_for_status()


def freeze_with_claims_ahead(server: LocalServer, database: str, receiver: Receiver) -> set[str]:
    """Freeze it and return what it has claimed; where that is no more than it may have begun to send, wake it again."""
    if not claims_ahead(database, receiver):
        return set()
    os.kill(server.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, server.pid, os.WSTOPPED)
    if claimed := claims_ahead(database, receiver):
        return claimed
    os.kill(server.pid, signal.SIGCONT)
    return set()


def claims_ahead(database: str, receiver: Receiver) -> set[str]:
    """What it has claimed, where all that was answered is settled and more is claimed than can be under way."""
    opened, claimed = asyncio.run(queue(database))
    is_settled = opened == JOBS - AT_FIRST and receiver.begun.total() >= AT_FIRST + AT_ONCE
    return claimed if is_settled and len(claimed) > AT_ONCE else set()
