from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer, error
from video_translation_client import (
    APIError,
    AsyncVideoTranslationClient,
    ConflictError,
    JobCancelledError,
    NotFoundError,
    PermissionDeniedError,
)


def cancel_with(server: FakeServer, answer: Callable[[str], object]) -> None:
    """Give the fake service a cancel: `answer` makes of a job id what it does to the job."""
    original = server.answer

    def respond(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
        if not target.endswith("/cancel"):
            return original(method, target, headers, body)
        job_id = target.split("/")[-2]
        if server.jobs[job_id]["status"] in ("completed", "failed"):
            return error(409, "conflict")
        answer(job_id)
        return 200, {"data": dict(server.jobs[job_id])}

    server.answer = respond  # type: ignore[method-assign,assignment]  # the double has no cancel of its own


def test_cancel_says_whether_the_job_is_cancelled_now(server: FakeServer, make_client: MakeClient) -> None:
    cancel_with(server, lambda job_id: server.move(job_id, "failed", cancelled_at=time.time()))
    client = make_client()
    group = client.translate("https://v", ["French", "German"])
    server.move(group[1].id, "completed")
    assert group.cancel() == [True, False]
    assert (group[0].cancelled(), group[0].cancel(), group[1].result().status) == (True, True, "completed")
    with pytest.raises(JobCancelledError):
        group[0].result(0)
    assert group.by_language["French"] is group[0]


def test_a_conflict_over_a_job_that_goes_on_is_raised(server: FakeServer, make_client: MakeClient) -> None:
    server.overrides["unknown"] = lambda: error(409, "conflict")
    (job,) = make_client(max_retries=0).translate("https://v", ["French"])
    with pytest.raises(ConflictError):
        job.cancel()


def test_a_group_cancels_what_it_can_before_it_raises(server: FakeServer, make_client: MakeClient) -> None:
    cancel_with(server, lambda job_id: server.move(job_id, "failed", cancelled_at=time.time()))
    jobs = make_client().translate("https://v", ["French", "German", "Italian"])
    refuse_to_cancel(server, jobs[0].id)
    with pytest.raises(PermissionDeniedError):
        jobs.cancel()
    assert [job.cancelled() for job in jobs] == [False, True, True]


async def test_an_async_group_does_the_same(server: FakeServer) -> None:
    cancel_with(server, lambda job_id: server.move(job_id, "failed", cancelled_at=time.time()))
    async with AsyncVideoTranslationClient(server.url, auto_poll=False) as client:
        jobs = await client.translate("https://v", ["French", "German", "Italian"])
        refuse_to_cancel(server, jobs[0].id)
        with pytest.raises(PermissionDeniedError):
            await jobs.cancel()
        assert [job.cancelled() for job in jobs] == [False, True, True]


def refuse_to_cancel(server: FakeServer, job_id: str) -> None:
    refusing = functools.partial(_refuse, server.answer, f"/{job_id}/cancel")
    server.answer = refusing  # type: ignore[method-assign]  # as above


def _refuse(otherwise: Callable[..., Any], path: str, method: str, target: str, *rest: Any) -> Any:
    return error(403, "forbidden") if target.endswith(path) else otherwise(method, target, *rest)


def test_a_service_without_cancel_is_named(plain_server: FakeServer, make_client: MakeClient) -> None:
    (job,) = make_client(plain_server.url).translate("https://v", ["French"])
    with pytest.raises(NotFoundError, match=r"cannot cancel jobs.*is pending and goes on"):
        job.cancel()
    plain_server.jobs.clear()
    with pytest.raises(APIError, match="no"):
        job.cancel()


async def test_the_async_handle_asks_on_the_loop(
    server: FakeServer, plain_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_with(server, lambda job_id: server.move(job_id, "failed", cancelled_at=time.time()))
    async with AsyncVideoTranslationClient(server.url, auto_poll=False) as client:
        group = await client.translate("https://v", ["French", "German"])
        monkeypatch.setattr(client._engine.transport, "send", None)  # the background's sender has no part in this
        server.move(group[1].id, "completed")
        assert (await group[0].refresh()).status == "pending"
        assert await group.cancel() == [True, False]
        assert (group[0].cancelled(), await group[0].cancel(), await group[1].status()) == (True, True, "completed")
        monkeypatch.undo()
    async with AsyncVideoTranslationClient(plain_server.url, auto_poll=False) as client:
        (job,) = await client.translate("https://v", ["French"])
        with pytest.raises(NotFoundError, match=r"cannot cancel jobs.*is pending and goes on"):
            await job.cancel()
