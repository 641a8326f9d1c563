"""Whole servers on one PostgreSQL database: their roles, their first job, their clock, an outage of the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.postgres import create_database, drop_database
from tests.proxy import Proxy
from tests.server.process import ran
from tests.waiting import PATIENCE
from video_translation_server.app import running
from video_translation_server.settings import Settings

JOBS = "/v3/video-translations"
DEFAULTS = {"translation_time": 0.2, "error_rate": 0.0, "poll_interval": 0.2, "start_job": False}
BODY = {"video": {"type": "url", "url": "https://example.com/talk.mp4"}, "output_languages": ["German"]}


@pytest.fixture
async def url(postgres: str, worker_id: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"servers_{worker_id}"
    await drop_database(postgres, name)
    yield await create_database(postgres, name)
    await drop_database(postgres, name)


@asynccontextmanager
async def server(url: str, folder: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    given = Settings.model_validate(DEFAULTS | {"store": url, "assets": folder / "assets"} | settings)
    async with running(given) as application:
        transport = httpx.ASGITransport(application.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as http:
            yield http


async def status_of(http: httpx.AsyncClient, job: str, wanted: str) -> str:
    """The status of a job, asked with a long poll until it is the wanted one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await http.get(f"{JOBS}/{job}", params={"wait": 1})
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers["Retry-After"]))
            elif answer.json()["data"]["status"] == wanted:
                return wanted


async def test_what_one_server_takes_another_carries_out_and_the_first_tells_of(url: str, tmp_path: Path) -> None:
    async with server(url, tmp_path, role="api") as api, server(url, tmp_path, role="worker") as worker:
        answer = await api.post(JOBS, json=BODY)
        [job] = answer.json()["data"]["video_translation_ids"]
        assert await status_of(api, job, "completed") == "completed"
        events = (await api.get("/v3/webhooks/events")).json()["data"]
        assert [event["event_data"]["sequence"] for event in events] == [3, 2, 1]
        assert (await worker.get(f"{JOBS}/{job}")).status_code == 404, "a worker answers nothing but its health"
        assert [(await one.get("/readyz")).status_code for one in (api, worker)] == [200, 200]


async def test_without_a_worker_jobs_wait(url: str, tmp_path: Path) -> None:
    async with server(url, tmp_path, role="api") as api:
        [job] = (await api.post(JOBS, json=BODY)).json()["data"]["video_translation_ids"]
        answer = await api.get(f"{JOBS}/{job}", params={"wait": 1})
        assert answer.json()["data"]["status"] == "pending"
    async with server(url, tmp_path) as both:
        assert await status_of(both, job, "completed") == "completed", "what was left is carried out"


async def test_servers_that_start_at_once_on_an_empty_database_start_one_job(url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as servers:
        opening = [server(url, tmp_path, start_job=True) for _ in range(4)]
        apis = await asyncio.gather(*(servers.enter_async_context(one) for one in opening))
        for api in apis:
            assert len((await api.get(JOBS)).json()["data"]) == 1


async def test_the_databases_clock_is_shown_and_cannot_be_set(url: str, tmp_path: Path) -> None:
    async with server(url, tmp_path) as http:
        assert (await http.get("/_sim/clock")).json()["data"]["frozen"] is False
        for path, body in (("freeze", {}), ("resume", {}), ("speed", {"factor": 10}), ("advance", {"seconds": 60})):
            answer = await http.post(f"/_sim/clock/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict"), path
            assert "--store" in answer.json()["error"]["message"]
        answer = await http.post("/_sim/clock/advance", json={"to": "next"})
        assert answer.status_code == 409


async def test_while_the_database_is_away_callers_are_told_when_to_come_back_and_then_all_goes_on(
    url: str, tmp_path: Path
) -> None:
    async with Proxy(url) as proxy, server(proxy.url, tmp_path) as http:
        [job] = (await http.post(JOBS, json=BODY)).json()["data"]["video_translation_ids"]
        await proxy.refuse()
        for answer in (await http.post(JOBS, json=BODY), await http.get(f"{JOBS}/{job}"), await http.get("/readyz")):
            assert answer.status_code == 503
        refused = await http.get(f"{JOBS}/{job}")
        assert refused.headers["Retry-After"] == "1"
        assert (await http.get("/healthz")).status_code == 200
        await proxy.accept()
        assert await status_of(http, job, "completed") == "completed"
        events = (await http.get("/v3/webhooks/events")).json()["data"]
        assert [event["event_data"]["sequence"] for event in events] == [3, 2, 1]


async def test_migrate_may_be_run_by_several_at_once_and_says_where_it_ends(url: str, tmp_path: Path) -> None:
    runs = await asyncio.gather(
        *(asyncio.to_thread(ran, "migrate", "--store", url, folder=tmp_path) for _ in range(3)),
        asyncio.to_thread(ran, "migrate", folder=tmp_path, VTS_STORE=str(tmp_path / "jobs.db")),
    )
    assert [run.returncode for run in runs] == [0] * 4, [run.stderr for run in runs]
    assert len({run.stdout for run in runs[:3]}) == 1
    assert all(run.stdout.startswith("schema version ") for run in runs)


def test_a_store_that_cannot_be_migrated_is_named(tmp_path: Path) -> None:
    run = ran("migrate", "--store", "mysql://db/name", folder=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "mysql" in run.stderr
