"""Time in the user's hand, over a real application: everything due happens, at its instant, before the answer."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.server.promises import conforms, refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, JOBS, VIDEO
from video_translation_server import app
from video_translation_server.settings import Settings
from video_translation_server.wire.responses import Answer, Translation
from video_translation_server.wire.simulator import TEN_YEARS, ClockAnswer, Erased, SimulatorHealth

CLOCK = "/_sim/clock"
DELAYS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
DAY = 86_400


@asynccontextmanager
async def simulating(folder: Path, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A server with the clock that a user has, and real outgoing HTTP."""
    defaults = {"store": str(folder / "server.db"), "start_job": False, "error_rate": 0, "retry_jitter": 0, "seed": 1}
    async with app.running(Settings.model_validate(defaults | given)) as application:
        transport = httpx.ASGITransport(application.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as http:
            yield http


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with simulating(tmp_path, translation_time=600) as client:
        yield client


async def turned(http: httpx.AsyncClient, verb: str, **body: Any) -> Any:
    """What the clock shows after a turn of its hand."""
    return conforms(await http.post(f"{CLOCK}/{verb}", json=body), Answer[ClockAnswer])["data"]


async def translate(http: httpx.AsyncClient, **fields: Any) -> str:
    answer = await http.post(JOBS, json={"video": VIDEO, "output_languages": ["English"]} | fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["video_translation_ids"][0])


async def job(http: httpx.AsyncClient, job_id: str) -> Any:
    return (await http.get(f"{JOBS}/{job_id}")).json()["data"]


def unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_day_of_retries_runs_to_its_dead_end_at_once(http: httpx.AsyncClient, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("no", status=500)
    start = unix((await turned(http, "freeze"))["now"])
    body = {"url": httpserver.url_for("/hook"), "events": ["video_translate.success"]}
    assert (await http.post(ENDPOINTS, json=body)).status_code == 200
    await translate(http)
    ended = await turned(http, "advance", seconds=DAY)
    assert unix(ended["now"]) == pytest.approx(start + DAY, abs=0.002)
    assert len(httpserver.log) == 11
    [delivery] = (await http.get(DELIVERIES, params={"state": "dead"})).json()["data"]
    log = (await http.get(f"{DELIVERIES}/{delivery['delivery_id']}")).json()["data"]["attempt_log"]
    instants = [unix(attempt["started_at"]) - start for attempt in log]
    expected = list(itertools.accumulate((600, *DELAYS)))
    assert instants == pytest.approx(expected, abs=0.002), "each at the very instant that the schedule names"
    assert {attempt["status"] for attempt in log} == {500}
    assert unix(delivery["settled_at"]) - start == pytest.approx(expected[-1], abs=0.002)


async def test_what_is_due_happens_in_the_order_of_its_time(http: httpx.AsyncClient, httpserver: HTTPServer) -> None:
    seen: list[tuple[str, str]] = []

    def take(request: Request) -> Response:
        data = request.get_json()["event_data"]
        seen.append((data["video_translate_id"], data["status"]))
        return Response(status=500 if seen.count(seen[-1]) == 1 and data["status"] == "completed" else 204)

    httpserver.expect_request("/hook").respond_with_handler(take)
    await turned(http, "freeze")
    await http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook")})
    first = await translate(http, simulation={"id": "first", "duration_seconds": 100})
    await translate(http, simulation={"id": "second", "duration_seconds": 104})
    await turned(http, "advance", seconds=200)
    assert seen[-4:] == [
        (first, "completed"),
        ("second", "completed"),
        (first, "completed"),
        ("second", "completed"),
    ], "the first job's retry 5 s later comes after the second job's end 4 s later"
    assert len(seen) == 8


async def test_to_the_next_due_instant_and_no_further(http: httpx.AsyncClient) -> None:
    await turned(http, "freeze")
    job_id = await translate(http)
    due = (await turned(http, "freeze"))["next_due_at"]
    assert (await turned(http, "advance", to="next"))["now"] == due
    assert (await job(http, job_id))["status"] == "running"
    after = await turned(http, "advance", to="next")
    assert (await job(http, job_id))["status"] == "completed"
    assert after["next_due_at"] is None
    assert (await turned(http, "advance", to="next"))["now"] == after["now"], "nothing is due: the clock stays"


async def test_a_clock_that_is_set_forward_goes_on(http: httpx.AsyncClient) -> None:
    ahead = await turned(http, "advance", seconds=1000)
    assert (ahead["frozen"], ahead["speed"]) == (False, 1)
    assert ahead["offset_seconds"] == pytest.approx(1000, abs=1)
    frozen = await turned(http, "freeze")
    assert (frozen["frozen"], frozen["speed"]) == (True, 0)
    assert (await turned(http, "freeze"))["now"] == frozen["now"]
    assert (await turned(http, "resume"))["speed"] == 1


async def test_a_faster_clock_ends_a_job_by_itself(http: httpx.AsyncClient) -> None:
    job_id = await translate(http)
    assert (await turned(http, "speed", factor=1000))["speed"] == 1000
    ended = await http.get(f"{JOBS}/{job_id}", params={"wait": 30, "after_sequence": 2})
    assert ended.json()["data"]["status"] == "completed", "ten minutes pass in 0.6 s"


async def test_a_restart_keeps_the_offset(tmp_path: Path) -> None:
    async with simulating(tmp_path) as http:
        await turned(http, "advance", seconds=DAY)
        frozen = await turned(http, "freeze")
    async with simulating(tmp_path) as http:
        kept = conforms(await http.get(CLOCK), Answer[ClockAnswer])["data"]
        assert (kept["now"], kept["frozen"]) == (frozen["now"], True)
        resumed = await turned(http, "resume")
    async with simulating(tmp_path, simulator=False) as http:
        created = (await job(http, await translate(http)))["created_at"]
        assert created >= int(unix(resumed["now"])), "also where nobody may set it any more"


async def test_an_endpoint_runs_out_on_the_way(http: httpx.AsyncClient, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=204)
    await turned(http, "freeze")
    await http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook"), "ttl_seconds": 100})
    await translate(http)
    await turned(http, "advance", seconds=DAY)
    assert [r.get_json()["event_data"]["status"] for r, _ in httpserver.log] == ["pending", "running"]
    assert (await http.get(ENDPOINTS)).json()["data"] == []


async def test_a_receiver_that_is_slow_is_waited_for(http: httpx.AsyncClient, httpserver: HTTPServer) -> None:
    """No instant passes while an attempt is under way: all of a job's events are there when the answer comes."""
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=204))
    await turned(http, "freeze")
    await http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook")})
    for _ in range(5):
        await translate(http)
    await turned(http, "advance", seconds=600)
    states = [one["state"] for one in (await http.get(DELIVERIES, params={"limit": 100})).json()["data"]]
    assert states == ["delivered"] * 15


# Jobs by hand, and a fresh start


async def test_jobs_are_moved_by_hand(http: httpx.AsyncClient) -> None:
    await turned(http, "freeze")
    done, broken, slow = [await translate(http) for _ in range(3)]
    answer = await http.post(f"/_sim/jobs/{done}/complete")
    assert conforms(answer, Answer[Translation])["data"]["status"] == "completed"
    told = (await http.get(EVENTS, params={"video_translate_id": done, "after": "cur_0"})).json()["data"]
    assert [event["event_data"]["sequence"] for event in told] == [1, 2, 3], "it runs before it completes"
    failed = await http.post(f"/_sim/jobs/{broken}/fail", json={"message": "no audio"})
    assert conforms(failed, Answer[Translation])["data"]["failure_message"] == "no audio"
    statuses = [(await http.post(f"/_sim/jobs/{slow}/advance")).json()["data"]["status"] for _ in range(2)]
    assert statuses == ["running", "completed"]
    for verb in ("complete", "fail", "advance", "stall"):
        assert (await http.post(f"/_sim/jobs/{done}/{verb}")).status_code == 409
    again = await http.post(f"/_sim/jobs/{done}/reset")
    assert conforms(again, Answer[Translation])["data"]["status"] == "pending"
    assert (await http.post(f"/_sim/jobs/{done}/stall")).status_code == 200
    await turned(http, "advance", seconds=DAY)
    assert (await job(http, done))["status"] == "pending", "a stalled job stands still"


async def test_a_reset_leaves_nothing_but_the_clock(http: httpx.AsyncClient, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=204)
    await http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook")})
    await translate(http)
    now = (await turned(http, "freeze"))["now"]
    conforms(await http.post("/_sim/reset"), Answer[Erased])
    lists = [(await http.get(path)).json()["data"] for path in (JOBS, ENDPOINTS, EVENTS, DELIVERIES)]
    assert lists == [[], [], [], []]
    assert (await turned(http, "freeze"))["now"] == now
    job_id = await translate(http)
    await turned(http, "advance", seconds=600)
    assert (await job(http, job_id))["status"] == "completed"


# Who may, and what is refused


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("clock/advance", {}, "body"),
        ("clock/advance", {"seconds": 1, "to": "next"}, "body"),
        ("clock/advance", {"seconds": -1}, "seconds"),
        ("clock/advance", {"seconds": "1"}, "seconds"),
        ("clock/advance", {"to": "end"}, "to"),
        ("clock/advance", {"seconds": 1, "minutes": 1}, "minutes"),
        ("clock/speed", {}, "factor"),
        ("clock/speed", {"factor": 0}, "factor"),
        ("clock/speed", {"factor": 1001}, "factor"),
        ("clock/freeze", {"at": 1}, "at"),
        ("clock/resume", {"at": 1}, "at"),
        ("reset", {"jobs": True}, "jobs"),
        ("jobs/vt_1/fail", {"message": ""}, "message"),
        ("jobs/vt_1/complete", {"url": "x"}, "url"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], param: str
) -> None:
    refused(await http.post(f"/_sim/{path}", json=body), 400, "invalid_parameter", param)


async def test_the_clock_is_not_set_to_where_time_cannot_be_written(tmp_path: Path) -> None:
    async with simulating(tmp_path, translation_time=600, frozen_at="8970-01-01T00:00:00Z") as http:
        answer = await http.post("/_sim/clock/advance", json={"seconds": TEN_YEARS})
        while answer.status_code == 200:
            before = answer.json()["data"]
            answer = await http.post("/_sim/clock/advance", json={"seconds": TEN_YEARS})
        refused(answer, 400, "invalid_parameter", "seconds")
        assert before["now"].startswith("8999")
        job_id = await translate(http)
        after = await turned(http, "advance", seconds=600)
        assert before["now"] < after["now"]
        assert (await job(http, job_id))["status"] == "completed"


@pytest.mark.parametrize("verb", ["complete", "fail", "advance", "stall", "reset"])
async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient, verb: str) -> None:
    refused(await http.post(f"/_sim/jobs/vt_none/{verb}"), 404, "resource_not_found", "video_translation_id")


async def test_where_keys_are_needed_it_takes_the_admin_key(tmp_path: Path) -> None:
    async with simulating(tmp_path, require_key=True, admin_key="root") as http:
        refused(await http.post(f"{CLOCK}/freeze"), 403, "forbidden")
        answer = await http.get("/_sim/health", headers={"X-Api-Key": "root"})
        assert conforms(answer, SimulatorHealth)["clock"]["frozen"] is False
    async with simulating(tmp_path, api_keys="key") as http:
        refused(await http.post(f"{CLOCK}/freeze", headers={"X-Api-Key": "key"}), 403, "forbidden")


async def test_nothing_of_it_exists_where_it_is_off(tmp_path: Path) -> None:
    async with simulating(tmp_path, simulator=False) as http:
        for path in ("/_sim/clock", "/_sim/health", "/_sim/nothing"):
            refused(await http.get(path), 404, "resource_not_found")
        assert not any(path.startswith("/_sim") for path in (await http.get("/openapi.json")).json()["paths"])


async def test_setting_the_clock_forward_takes_a_line_through_to_its_end(tmp_path: Path) -> None:
    async with simulating(tmp_path, translation_time=600, workers=2) as http:
        await turned(http, "freeze")
        jobs = [await translate(http) for _ in range(5)]
        await turned(http, "advance", seconds=1200)
        found = [(await http.get(f"{JOBS}/{job_id}")).json()["data"]["status"] for job_id in jobs]
        assert found == ["completed"] * 4 + ["running"]
        await turned(http, "advance", seconds=600)
        assert (await http.get(f"{JOBS}/{jobs[-1]}")).json()["data"]["status"] == "completed"
