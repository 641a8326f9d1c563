"""Scripts: what a request, a scenario file or a setting makes of a job."""

from pathlib import Path
from typing import Any

import pytest

from tests.server.rig import EVENTS, HOOK, JOBS, VIDEO, Rig, serving

NEVER: dict[str, Any] = {"progression": "manual"}


async def statuses(rig: Rig, job_id: str) -> list[str]:
    """What the log says of a job."""
    query: dict[str, Any] = {"video_translate_id": job_id, "after": "cur_0", "limit": 100}
    events = (await rig.http.get(EVENTS, params=query)).json()["data"]
    return [event["event_type"].removeprefix("video_translate.") for event in events]


async def test_an_immediate_job_has_ended_when_the_request_is_answered(rig: Rig) -> None:
    await rig.register()
    [job_id] = await rig.translate(simulation={"progression": "immediate"}, callback_url=f"{HOOK}/callback")
    job = await rig.job(job_id)
    assert (job["status"], job["sequence"], job["video_url"] is None) == ("completed", 3, False)
    assert await statuses(rig, job_id) == ["pending", "running", "success"]
    await rig.quiet()
    assert rig.sender.sequences(job_id) == [1, 2, 3]
    assert rig.sender.sequences(job_id, f"{HOOK}/callback") == [3]


async def test_a_manual_job_is_not_moved_by_time(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation=NEVER)
    await rig.advance(1_000_000)
    job = await rig.job(job_id)
    assert (job["status"], job["estimated_completion_at"]) == ("pending", None)


async def test_polls_move_a_manual_job_every_so_often(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"progression": "manual", "polls": 2, "outcome": "failed"})
    seen = [(await rig.job(job_id))["status"] for _ in range(5)]
    assert seen == ["pending", "running", "running", "failed", "failed"]
    assert await statuses(rig, job_id) == ["pending", "running", "fail"]


async def test_every_door_that_tells_of_one_job_counts_as_a_poll(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"progression": "manual", "polls": 1})
    many = await rig.http.get(f"{JOBS}/statuses", params={"video_translation_ids": job_id})
    assert many.json()["data"][0]["status"] == "processing"
    assert (await rig.http.get(JOBS)).json()["data"][0]["status"] == "running", "a list counts for nothing"
    assert (await rig.http.get("/status")).json()["result"] == "completed"


async def test_a_long_poll_that_moves_the_job_answers_at_once(rig: Rig) -> None:
    [job_id] = await rig.translate(simulation={"progression": "manual", "polls": 1})
    answer = await rig.http.get(f"{JOBS}/{job_id}", params={"wait": 60})
    assert answer.json()["data"]["status"] == "running"


async def test_a_completed_job_may_have_no_url_for_a_while(rig: Rig) -> None:
    await rig.register(events=["video_translate.success", "video_translate.progress"])
    [job_id] = await rig.translate(simulation={"url_delay_seconds": 30})
    await rig.advance(1)
    await rig.advance(9)
    answer = await rig.http.get(f"{JOBS}/{job_id}")
    job = answer.json()["data"]
    assert (job["status"], job["video_url"], job["estimated_completion_at"]) == ("completed", None, None)
    assert answer.headers["retry-after"] == "30"
    await rig.advance(30)
    job = await rig.job(job_id)
    assert (job["status"], job["sequence"]) == ("completed", 3)
    assert job["video_url"]
    assert [post.event["event_data"]["url"] for post in rig.sender.posts] == [None, job["video_url"]]
    assert rig.sender.posts[-1].event["event_type"] == "video_translate.progress"


async def test_a_job_whose_run_fails_goes_back_and_every_move_is_pushed(rig: Rig) -> None:
    await rig.register()
    await rig.register(f"{HOOK}/progress", events=["video_translate.progress"])
    script = {"outcome": "completed", "duration_seconds": 10, "retries": 1, "progress_steps": 2}
    [job_id] = await rig.translate(simulation=script)
    assert (await rig.job(job_id))["estimated_completion_at"] == rig.clock.now() + 20
    for step in (1, 4.5):
        await rig.advance(step)
    assert (await rig.job(job_id))["progress"] == 50
    for step in (2.25, 2.25, 1, 4.5, 4.5):
        await rig.advance(step)
    assert await statuses(rig, job_id) == ["pending", "running", "progress"] * 2 + ["success"]
    assert rig.sender.sequences(job_id) == [1, 2, 3, 4, 5]
    assert rig.sender.sequences(job_id, f"{HOOK}/progress") == [2, 4]


async def test_an_error_message_may_be_a_preset(rig: Rig) -> None:
    script = {"progression": "immediate", "outcome": "failed"}
    [named] = await rig.translate(simulation=script | {"error_message": "no_audio"})
    [theirs] = await rig.translate(simulation=script | {"error_message": "EMPTY_AUDIO_STREAM"})
    [free] = await rig.translate(simulation=script | {"error_message": "No sound, sorry"})
    assert (await rig.job(named))["failure_message"] == "The video has no audio track"
    assert (await rig.job(theirs))["failure_message"] == "Empty audio stream"
    assert (await rig.job(free))["failure_message"] == "No sound, sorry"


async def test_a_job_may_have_an_id_of_the_callers_own(rig: Rig) -> None:
    assert await rig.translate(simulation={"id": "order-17"}) == ["order-17"]
    assert (await rig.job("order-17"))["id"] == "order-17"
    again = await rig.http.post(
        JOBS, json={"video": VIDEO, "output_languages": ["German"], "simulation": {"id": "order-17"}}
    )
    assert again.status_code == 409
    error = again.json()["error"]
    assert (error["code"], error["param"]) == ("conflict", "simulation.id")
    assert "order-17 exists already" in error["message"]
    assert (await rig.stored())[0] == 1


@pytest.mark.parametrize(
    ("languages", "script", "param"),
    [
        (["English", "German"], {"id": "one"}, "simulation"),
        (["English"], {"id": "a/b"}, "simulation.id"),
        (["English"], {"id": "languages"}, "simulation"),
        (["English"], {"progression": "sideways"}, "simulation.progression"),
        (["English"], {"polls": 3}, "simulation"),
        (["English"], {"polls": 0, "progression": "manual"}, "simulation.polls"),
        (["English"], {"progression": "immediate", "duration_seconds": 3}, "simulation"),
        (["English"], {"url_delay_seconds": -1}, "simulation.url_delay_seconds"),
    ],
)
async def test_a_script_that_makes_no_sense_is_refused(
    rig: Rig, languages: list[str], script: dict[str, Any], param: str
) -> None:
    answer = await rig.http.post(JOBS, json={"video": VIDEO, "output_languages": languages, "simulation": script})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert (await rig.stored())[0] == 0


async def test_settings_are_the_scripts_of_those_who_have_none(tmp_path: Path) -> None:
    async with serving(tmp_path, progression="manual", polls=1, error_message="too_long", error_rate=1) as rig:
        [job_id] = await rig.translate()
        [other] = await rig.translate(simulation={"progression": "immediate", "outcome": "completed"})
        assert (await rig.job(other))["status"] == "completed"
        assert [(await rig.job(job_id))["status"] for _ in range(2)] == ["running", "failed"]
        assert (await rig.job(job_id))["failure_message"] == "The video is longer than your plan allows"


async def test_a_scenario_file_decides_by_what_is_known_of_a_job(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(
        """
[defaults]
progression = "immediate"

[[rule]]
when = { title = "*broken*" }
script = { outcome = "failed", error_message = "no_speech" }

[[rule]]
when = { language = "German", number = [3] }
script = { outcome = "failed", error_message = "third" }
"""
    )
    async with serving(tmp_path, scenario=path) as rig:
        [broken] = await rig.translate(title="a broken video")
        jobs = await rig.translate("English", "German", "French")
        said = [(await rig.job(job_id))["failure_message"] for job_id in [broken, *jobs]]
        assert said == ["No speech was found in the video", None, "third", None]
        [own] = await rig.translate(title="broken", simulation={"outcome": "completed"})
        assert (await rig.job(own))["status"] == "completed", "the request's own word counts"
