"""`POST /v3/video-translations/{id}/cancel`: a job given up, told like any other failure."""

import asyncio

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import EVENTS, JOBS, Rig
from tests.server.store.builders import LINKS
from video_translation_server import lifecycle
from video_translation_server.model import Job
from video_translation_server.wire.responses import Answer, EventPage, Translation


@pytest.mark.parametrize(("seconds", "sequence"), [(0, 2), (10, 3)])
async def test_a_pending_or_running_job_ends_at_once_as_failed(rig: Rig, seconds: float, sequence: int) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 100})
    await rig.advance(seconds)
    data = conforms(await rig.http.post(f"{JOBS}/{job_id}/cancel"), Answer[Translation])["data"]
    assert (data["id"], data["status"], data["sequence"]) == (job_id, "failed", sequence)
    assert (data["failure_message"], data["cancelled_at"]) == ("Cancelled by the caller", rig.clock.now())
    assert data["estimated_completion_at"] is None
    assert await rig.job(job_id) == data
    await rig.advance(1000)
    assert await rig.job(job_id) == data, "the simulation does not move it any more"


async def test_it_is_pushed_and_logged_with_the_same_fields(rig: Rig) -> None:
    await rig.register()
    [job_id] = await rig.translate(simulation={"duration_seconds": 100})
    await rig.quiet()
    data = (await rig.http.post(f"{JOBS}/{job_id}/cancel")).json()["data"]
    await rig.quiet()
    pushed = rig.sender.posts[-1].event
    assert pushed["event_type"] == "video_translate.fail"
    assert pushed["event_data"]["message"] == data["failure_message"]
    for name in ("status", "sequence", "cancelled_at", "failure_message", "updated_at"):
        assert pushed["event_data"][name] == data[name]
    log = conforms(await rig.http.get(EVENTS, params={"limit": 1}), EventPage)
    assert log["data"] == [pushed]
    assert [line["status"] for line in rig.lines("transition")] == ["pending", "failed"]


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_job_that_has_ended_cannot_be_cancelled(rig: Rig, outcome: str) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 0, "outcome": outcome})
    await rig.advance(1)
    before = await rig.job(job_id)
    refused(await rig.http.post(f"{JOBS}/{job_id}/cancel"), 409, "conflict", "video_translation_id", outcome)
    assert await rig.job(job_id) == before


async def test_of_many_callers_one_cancels_it(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"duration_seconds": 100})
    answers = await asyncio.gather(*(rig.http.post(f"{JOBS}/{job_id}/cancel") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert (await rig.job(job_id))["sequence"] == 2


async def test_a_race_with_the_simulation_is_run_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job moves between being read and being written: the cancel is made of what it is then."""
    [job_id] = await rig.translate(simulation={"duration_seconds": 100})
    read = rig.store.job

    async def read_too_early(workspace_id: str, name: str) -> Job:
        monkeypatch.undo()
        job = await read(workspace_id, name)
        change = lifecycle.advance(job, event_id="evt_first", now=rig.clock.now(), links=LINKS)
        assert await rig.store.record([change]) == [True]
        return job

    monkeypatch.setattr(rig.store, "job", read_too_early)
    data = conforms(await rig.http.post(f"{JOBS}/{job_id}/cancel"), Answer[Translation])["data"]
    assert (data["status"], data["sequence"]) == ("failed", 3)
    log = await rig.http.get(EVENTS, params={"after": "cur_0"})
    assert [event["event_data"]["sequence"] for event in log.json()["data"]] == [1, 2, 3]


async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{JOBS}/vt_none/cancel")
    refused(answer, 404, "resource_not_found", "video_translation_id", "vt_none")
    refused(await http.get(f"{JOBS}/vt_none/cancel"), 405, "method_not_allowed")
