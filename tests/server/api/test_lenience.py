"""`--lenient`: unknown fields are passed over; everything else is refused as ever."""

from pathlib import Path
from typing import Any

from tests.server.promises import refused
from tests.server.rig import ENDPOINTS, HOOK, JOBS, VIDEO, serving

ONE: dict[str, Any] = {"video": VIDEO | {"codec": "av1"}, "output_languages": ["English"], "title": "kept", "mood": 7}


async def test_unknown_fields_are_passed_over_at_every_depth(tmp_path: Path) -> None:
    async with serving(tmp_path, lenient=True) as rig:
        answer = await rig.http.post(JOBS, json=ONE, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200, answer.text
        [job_id] = answer.json()["data"]["video_translation_ids"]
        assert (await rig.job(job_id))["title"] == "kept"
        batch = {"video_translations": [ONE, ONE], "colour": None}
        assert (await rig.http.post(f"{JOBS}/batches", json=batch)).status_code == 200
        assert (await rig.http.patch(f"{JOBS}/{job_id}", json={"title": "new", "x": {}})).status_code == 200
        assert (await rig.job(job_id))["title"] == "new"
        assert (await rig.http.post(ENDPOINTS, json={"url": HOOK, "retries": 3})).status_code == 200
        assert await rig.stored() == (3, 3, 1)


async def test_what_is_wrong_beside_them_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, lenient=True) as rig:
        answer = await rig.http.post(JOBS, json=ONE | {"output_languages": ["Klingon"]})
        refused(answer, 400, "invalid_parameter", "output_languages[0]")
        refused(await rig.http.post(JOBS, json=ONE | {"title": 7}), 400, "invalid_parameter", "title")
        refused(await rig.http.post(JOBS, json={"mood": 7}), 400, "invalid_parameter", "video")
        assert await rig.stored() == (0, 0, 0)


async def test_they_are_refused_unless_the_server_is_told_otherwise(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        refused(await rig.http.post(JOBS, json=ONE), 400, "invalid_parameter", "video.codec")
