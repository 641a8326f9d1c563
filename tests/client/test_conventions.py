from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import logging
import math
import threading
from typing import Any

import httpx
import pytest

from tests.client.conftest import FAST, NEVER, MakeClient
from tests.client.fake_server import FakeServer, error
from tests.waiting import PATIENCE
from video_translation_client import (
    AsyncVideoTranslationClient,
    ClientClosedError,
    Event,
    NotFoundError,
    ServerError,
    VideoTranslationClient,
)


def test_a_view_sends_its_own_calls_differently_and_shares_the_rest(
    server: FakeServer, make_client: MakeClient
) -> None:
    client = make_client(default_headers={"X-Team": "a", "X-Kept": "1"})
    job_id = server.new_job()
    view = client.with_options(max_retries=0, default_headers={"x-team": "b"})
    view.get_job(job_id)
    client.get_job(job_id)
    teams = [(headers["x-team"], headers["x-kept"]) for headers in server.headers]
    assert teams == [("b", "1"), ("a", "1")]
    server.overrides["job"] = lambda: error(500, "internal_error")
    with pytest.raises(ServerError):
        view.with_options(timeout=5.0).get_job(job_id)
    assert server.count("job") == 3
    assert client.metrics() == view.metrics()
    view.close()
    with pytest.raises(ClientClosedError):
        client.get_job(job_id)


@pytest.mark.parametrize("wrong", [{"timeout": 0.0}, {"timeout": math.inf}, {"timeout": math.nan}, {"max_retries": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float], make_client: MakeClient) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_client(**wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_client().with_options(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rate_limit"):
        make_client(rate_limit=0.0)


@pytest.mark.parametrize(
    "wrong", [{"timeout": "5"}, {"max_retries": "2"}, {"api_key": 5}, {"default_headers": {"a": 5}}]
)
def test_what_is_of_another_type_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(wrong))}"):
        VideoTranslationClient(**wrong)


def test_an_id_that_is_none_is_named_among_many(make_client: MakeClient) -> None:
    with pytest.raises(ValueError, match=r"^job_id must be a job's id"):
        make_client().get_statuses(["vt_1", ""])


@pytest.mark.parametrize("since", ["yesterday", math.nan, 1e30, dt.datetime(2026, 11, 20, tzinfo=dt.UTC)])
def test_a_time_that_is_no_number_of_seconds_is_named(since: Any, make_client: MakeClient) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^since is unix seconds"):
        make_client().webhooks.recover("ep_1", since)


@pytest.mark.parametrize("value", ["hemlig\n", "hemlig\r\nx: y", "schlüssel", "hem\x00lig"])
def test_what_cannot_stand_in_a_header_is_refused_and_never_shown(value: str, make_client: MakeClient) -> None:
    with pytest.raises(ValueError, match=r"^api_key must be printable ASCII") as key:
        make_client(api_key=value)
    with pytest.raises(ValueError, match=r"^default_headers\['x-team'\] must be printable ASCII") as header:
        make_client(default_headers={"x-team": value})
    with pytest.raises(ValueError, match=r"^idempotency_key must be printable ASCII") as idempotency:
        make_client().translate("https://example.com/v.mp4", ["French"], idempotency_key=value)
    for refusal in (key, header, idempotency):
        assert value.strip() not in str(refusal.value)
        assert ("strip() it" in str(refusal.value)) == value.endswith("\n")


def test_a_call_may_have_a_timeout_of_its_own(server: FakeServer, make_client: MakeClient) -> None:
    release = threading.Event()
    server.new_job()
    server.overrides["job"] = lambda: error(500, "x") if not release.wait(PATIENCE) else None
    client = make_client(max_retries=0)
    with pytest.raises(ConnectionError, match="no answer"):
        client.get_job("vt_1", timeout=0.05)
    release.set()
    assert client.get_job("vt_1").id == "vt_1"


def test_a_raw_answer_has_status_headers_request_id_and_result(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    answer = client.with_raw_response.translate("https://v", ["French"])
    assert (answer.status, answer.request_id) == (200, "req_1")
    assert answer.headers["Content-Type"] == "application/json"
    assert b"video_translation_ids" in answer.content
    assert answer.elapsed > 0
    (job,) = answer.parse()
    assert job.id in server.jobs
    assert client.with_raw_response.get_job(job.id).parse().id == job.id
    with pytest.raises(NotFoundError) as caught:
        client.with_raw_response.get_job("vt_nobody")
    assert caught.value.request_id == "req_1"


def test_lists_page_by_themselves_and_read_no_page_too_many(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    job_id = server.new_job()
    for _ in range(4):
        server.move(job_id, "running")
    server.page_size = 2
    sequences = [event.job.sequence for event in client.list_events("cur_0")]
    assert (sequences, server.count("events")) == ([1, 2, 3, 4, 5], 3)
    list(itertools.islice(client.list_events("cur_0"), 2))
    assert server.count("events") == 4
    assert [event.id for event in client.list_events("cur_0", job_id="vt_nobody")] == []


def test_a_service_that_gives_the_same_page_for_ever_ends_the_iteration(
    server: FakeServer, make_client: MakeClient
) -> None:
    page = {"data": [{"event_id": "evt_9", "event_type": "x"}], "has_more": True, "next_token": "t", "cursor": "cur_9"}
    server.overrides["events"] = lambda: (200, page)
    assert len(list(make_client().list_events("cur_0"))) == 2
    assert len(list(make_client().list_events())) == 2


def test_the_first_of_several_servers_that_works_is_used(server: FakeServer) -> None:
    gone = FakeServer().start()
    gone.stop()
    with VideoTranslationClient([gone.url, server.url], max_retries=0, poll=FAST, safety_net=NEVER) as client:
        (job,) = client.translate("https://v", ["French"])
        server.move(job.id, "completed")
        assert job.result(PATIENCE).status == "completed"
        assert client.base_url == server.url
    with pytest.raises(ValueError, match="base_url"):
        VideoTranslationClient([server.url, "localhost:1"])


def test_secrets_are_never_shown(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "video_translation_client")
    options = {"authorization": "Bearer hidden"}
    client = VideoTranslationClient(
        server.url, api_key="sk_hidden", default_headers=options, webhook_secret="whsec_aGlkZGVu", max_retries=1
    )
    with client:
        server.overrides["status"] = lambda: error(500, "internal_error")
        with pytest.raises(ServerError) as caught:
            client.get_status()
        shown = caplog.text + repr(client) + repr(client._engine.terms) + repr(client._options) + str(caught.value)
    assert "hidden" not in shown
    assert "aGlkZGVu" not in shown


def test_a_client_of_the_other_world_is_refused(server: FakeServer) -> None:
    with pytest.raises(TypeError, match="must be an httpx"):
        VideoTranslationClient(server.url, http_client=httpx.AsyncClient())  # type: ignore[arg-type]
    with httpx.Client() as blocking, pytest.raises(TypeError, match="AsyncClient"):
        AsyncVideoTranslationClient(server.url, http_client=blocking)  # type: ignore[arg-type]


# --- the async twin -----------------------------------------------------------------------------------


async def test_the_async_client_does_what_the_blocking_one_does(server: FakeServer) -> None:
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        seen: list[Event] = []
        registration = await client.register_webhook(seen.append)
        (job,) = await client.translate("https://v", ["French"])
        assert (await client.get_job(job.id)).status == (await client.get_status(job.id)).status == "pending"
        server.move(job.id, "completed")
        await asyncio.to_thread(server.push, *server.log)
        assert (await job).status == "completed"
        assert (await registration.wait_for("completed", PATIENCE)) is not None
        assert await registration.wait_for("failed", 0.01) is None
        assert [event.id async for event in client.list_events("cur_0")] == ["evt_1", "evt_2"]
        answer = await client.with_raw_response.get_job(job.id)
        assert (answer.request_id, answer.parse().id) == ("req_1", job.id)
        assert (await client.poll_status(job.id)).result == "completed"
        assert (await client.with_options(timeout=5.0).get_job(job.id)).terminal
    assert server.endpoints == {}
    with pytest.raises(ClientClosedError):
        await client.get_status()


async def test_cancelling_a_wait_leaves_the_job_and_the_client_alone(server: FakeServer) -> None:
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        (job,) = await client.translate("https://v", ["French"])
        registration = await client.register_webhook(url="http://127.0.0.1:9/hook")

        async def wait() -> None:
            await job

        tasks = [asyncio.create_task(wait()), asyncio.create_task(registration.wait_for("completed"))]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert not job.done()
        server.move(job.id, "completed")
        await client.get_job(job.id)
        assert (await job).status == "completed"
