"""Long polls: an answer that comes when the job moves, not before, and not much later than asked for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import JOBS, Rig
from tests.waiting import PATIENCE, eventually
from video_translation_server.api.waiting import preferred_wait
from video_translation_server.model import Job
from video_translation_server.wire.responses import Answer, Status, Translation

Waiting = asyncio.Task[httpx.Response]


async def long_job(rig: Rig) -> str:
    """Running from second 10 on, completed at second 100."""
    [job_id] = await rig.translate(simulation={"duration_seconds": 100, "outcome": "completed"})
    return job_id


def waiters(rig: Rig) -> int:
    return len(rig.application.api.state.context.waiters)


@asynccontextmanager
async def waiting(rig: Rig, path: str, count: int = 1, **params: Any) -> AsyncIterator[list[Waiting]]:
    """So many callers that wait; none of them is answered yet."""
    asked = {"wait": 60} | params
    before = waiters(rig)
    tasks = [asyncio.create_task(rig.http.get(path, params=asked)) for _ in range(count)]
    await eventually(lambda: waiters(rig) == before + count or any(task.done() for task in tasks))
    assert not any(task.done() for task in tasks), "they are to wait"
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def took(call: Any) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    return await call, time.monotonic() - started


@pytest.mark.parametrize("after", [{}, {"after_sequence": 1}, {"after-sequence": 1}])
async def test_the_answer_comes_with_the_jobs_next_move(rig: Rig, after: dict[str, int]) -> None:
    job_id = await long_job(rig)
    async with waiting(rig, f"{JOBS}/{job_id}", **after) as [one]:
        await rig.advance(10)
        data = conforms(await asyncio.wait_for(one, PATIENCE), Answer[Translation])["data"]
    assert (data["status"], data["sequence"]) == ("running", 2)
    assert data == await rig.job(job_id)
    assert waiters(rig) == 0


async def test_status_waits_too_also_for_the_newest_job(rig: Rig) -> None:
    await long_job(rig)
    job_id = await long_job(rig)
    async with (
        waiting(rig, "/status") as [newest],
        waiting(rig, "/status", video_translation_id=job_id, after_sequence=1) as [named],
    ):
        await rig.advance(10)
        bodies = [conforms(await asyncio.wait_for(one, PATIENCE), Status) for one in (newest, named)]
    assert [(body["id"], body["status"]) for body in bodies] == [(job_id, "running")] * 2


async def test_it_waits_over_moves_up_to_the_sequence_that_is_known(rig: Rig) -> None:
    job_id = await long_job(rig)
    async with waiting(rig, f"{JOBS}/{job_id}", after_sequence=2) as [one]:
        await rig.advance(10)
        assert not one.done()
        await rig.http.post(f"{JOBS}/{job_id}/cancel")
        data = (await asyncio.wait_for(one, PATIENCE)).json()["data"]
    assert (data["status"], data["sequence"]) == ("failed", 3)


async def test_what_is_past_the_known_sequence_is_told_at_once(rig: Rig) -> None:
    job_id = await long_job(rig)
    await rig.advance(10)
    for after in (0, 1):
        answer, seconds = await took(rig.http.get(f"{JOBS}/{job_id}", params={"wait": 60, "after_sequence": after}))
        assert (answer.json()["data"]["sequence"], seconds < PATIENCE) == (2, True)


async def test_a_job_that_has_ended_is_told_at_once_whatever_is_known(rig: Rig) -> None:
    job_id = await long_job(rig)
    await rig.http.post(f"{JOBS}/{job_id}/cancel")
    for params in ({}, {"after_sequence": 2}, {"after_sequence": 99}):
        answer, seconds = await took(rig.http.get(f"{JOBS}/{job_id}", params={"wait": 60} | params))
        assert (answer.json()["data"]["status"], seconds < PATIENCE) == ("failed", True)


@pytest.mark.parametrize("path", [JOBS + "/{}", "/status?video_translation_id={}"])
async def test_after_the_time_that_was_asked_for_it_says_how_the_job_is(rig: Rig, path: str) -> None:
    """On real time: the server's clock stands still."""
    job_id = await long_job(rig)
    answer, seconds = await took(rig.http.get(f"{path.format(job_id)}{'&' if '?' in path else '?'}wait=0.2"))
    body = answer.json()
    assert 0.2 <= seconds < 10
    assert (body.get("data") or body)["sequence"] == 1
    assert answer.headers["retry-after"] == "10"


@pytest.mark.parametrize("params", [{}, {"wait": 0}, {"after_sequence": 1}, {"wait": 0, "after_sequence": 5}])
async def test_without_a_time_to_wait_it_answers_at_once(rig: Rig, params: dict[str, int]) -> None:
    job_id = await long_job(rig)
    answer, seconds = await took(rig.http.get(f"{JOBS}/{job_id}", params=params))
    assert (answer.status_code, seconds < PATIENCE) == (200, True)
    assert "preference-applied" not in answer.headers


async def test_what_is_not_there_is_told_at_once(rig: Rig) -> None:
    refused(await rig.http.get("/status", params={"wait": 60}), 404, "resource_not_found")
    for path in (f"{JOBS}/vt_none", "/status?video_translation_id=vt_none"):
        answer = await rig.http.get(f"{path}{'&' if '?' in path else '?'}wait=60")
        refused(answer, 404, "resource_not_found", "video_translation_id")


# Many


async def test_hundreds_wait_and_each_job_wakes_its_own(rig: Rig) -> None:
    first, second = await long_job(rig), await long_job(rig)
    async with waiting(rig, f"{JOBS}/{first}", 150) as of_first, waiting(rig, f"{JOBS}/{second}", 150) as of_second:
        await rig.http.post(f"{JOBS}/{first}/cancel")
        answers = await asyncio.wait_for(asyncio.gather(*of_first), PATIENCE)
        assert {answer.json()["data"]["status"] for answer in answers} == {"failed"}
        assert not any(task.done() for task in of_second)
        await rig.http.post(f"{JOBS}/{second}/cancel")
        await asyncio.wait_for(asyncio.gather(*of_second), PATIENCE)
    assert waiters(rig) == 0


async def test_what_happens_to_others_costs_a_waiter_no_reading(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, reads, read = await long_job(rig), 0, rig.store.job

    async def counted(workspace_id: str, name: str) -> Job:
        nonlocal reads
        reads += name == job_id
        return await read(workspace_id, name)

    monkeypatch.setattr(rig.store, "job", counted)
    tail = rig.application.api.state.context.tail
    async with waiting(rig, f"{JOBS}/{job_id}", 5):
        # The first who waits sets the tail in motion, and each looks once more.
        await eventually(lambda: reads >= 10)
        await rig.translate()
        for _ in range(10):
            [other] = await rig.translate()
            await rig.http.post(f"{JOBS}/{other}/cancel")
        end = await rig.store.last_position()
        await eventually(lambda: tail.position == end)
        assert reads <= 15


async def test_a_move_between_reading_and_waiting_is_not_missed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, read, reads = await long_job(rig), rig.store.job, 0

    async def read_and_move(workspace_id: str, name: str) -> Job:
        nonlocal reads
        job = await read(workspace_id, name)
        reads += 1
        if reads == 2:
            monkeypatch.undo()
            await rig.http.post(f"{JOBS}/{job_id}/cancel")
        return job

    monkeypatch.setattr(rig.store, "job", read_and_move)
    answer = await asyncio.wait_for(rig.http.get(f"{JOBS}/{job_id}", params={"wait": 60}), PATIENCE)
    assert answer.json()["data"]["status"] == "failed"


# Ends


async def test_the_servers_stop_answers_all_who_wait(rig: Rig) -> None:
    job_id = await long_job(rig)
    async with waiting(rig, f"{JOBS}/{job_id}", 20) as tasks:
        rig.application.stopping.set()
        answers = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    assert {(answer.status_code, answer.json()["data"]["sequence"]) for answer in answers} == {(200, 1)}
    assert waiters(rig) == 0


async def test_a_caller_that_goes_away_is_waited_for_no_more(rig: Rig) -> None:
    job_id, gone = await long_job(rig), asyncio.Event()
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{JOBS}/{job_id}",
        "query_string": b"wait=60",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
    }

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    call = asyncio.create_task(rig.application.api(scope, receive, send))
    await eventually(lambda: waiters(rig) == 1)
    gone.set()
    await asyncio.wait_for(call, PATIENCE)
    assert waiters(rig) == 0


# What is asked for


@pytest.mark.parametrize("path", [JOBS + "/{}", "/status"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("wait", value) for value in ("-1", "60.1", "61", "ten", "", "nan", "inf", "-inf", "1e9", "1,5", "9" * 400)),
        *(("after_sequence", value) for value in ("-1", "1.5", "two", "", "9" * 30, "9" * 5000, "nan")),
        ("after-sequence", "-1"),
    ],
)
async def test_what_cannot_be_waited_for_is_refused(rig: Rig, path: str, name: str, value: str) -> None:
    job_id = await long_job(rig)
    answer = await rig.http.get(path.format(job_id), params={"wait": 0} | {name: value})
    refused(answer, 400, "invalid_parameter", name.replace("-", "_"))


async def test_a_preference_is_taken_and_said_to_be(rig: Rig) -> None:
    job_id = await long_job(rig)
    headers = {"Prefer": "respond-async, wait=60"}
    one = asyncio.create_task(rig.http.get(f"{JOBS}/{job_id}", headers=headers))
    await eventually(lambda: waiters(rig) == 1)
    await rig.http.post(f"{JOBS}/{job_id}/cancel")
    answer = await asyncio.wait_for(one, PATIENCE)
    assert (answer.json()["data"]["status"], answer.headers["preference-applied"]) == ("failed", "wait=60")


async def test_the_parameter_is_stronger_than_the_preference(rig: Rig) -> None:
    job_id = await long_job(rig)
    answer = await rig.http.get(f"{JOBS}/{job_id}", params={"wait": 0}, headers={"Prefer": "wait=60"})
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["wait=10"], 10),
        (["Wait = 10"], 10),
        (['wait="10"'], 10),
        (["respond-async, wait=10"], 10),
        (["respond-async", "wait=10"], 10),
        (["wait=10; foo=bar"], 10),
        (["wait=10, wait=20"], 10),
        (["wait=0"], 0),
        (["wait=600"], 60),
        (["wait=99999999999999999999"], 60),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait"], None),
        (["wait="], None),
        (["wait=ten"], None),
        (["await=10"], None),
        (["wait=" + "9" * 5000], None),
        (["wait=\u0661"], None),
        (["foo; wait=10"], None),
        ([""], None),
        ([], None),
    ],
)
def test_a_preference_that_is_none_counts_as_not_said(lines: list[str], seconds: int | None) -> None:
    assert preferred_wait(lines) == seconds
