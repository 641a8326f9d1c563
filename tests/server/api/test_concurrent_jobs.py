"""`--concurrent-jobs`: the real service's limit on jobs that go on at once, off unless it is asked for."""

from pathlib import Path

from tests.server.promises import refused
from tests.server.rig import JOBS, VIDEO, serving

ONE = {"video": VIDEO, "output_languages": ["English"], "simulation": {"duration_seconds": 100}}
THREE = ONE | {"output_languages": ["English", "German", "Japanese"]}


async def test_beyond_the_limit_a_job_is_refused_until_another_has_ended(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrent_jobs=2) as rig:
        first, _ = await rig.translate("English", "German", simulation={"duration_seconds": 100})
        key = {"Idempotency-Key": "again"}
        answer = await rig.http.post(JOBS, json=ONE, headers=key)
        refused(answer, 429, "rate_limit_exceeded", message="at most 2")
        assert answer.headers["retry-after"] == "10"
        await rig.http.post(f"{JOBS}/{first}/cancel")
        assert (await rig.http.post(JOBS, json=ONE, headers=key)).status_code == 200
        assert (await rig.stored())[0] == 3


async def test_what_could_never_fit_is_another_error(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrent_jobs=2) as rig:
        refused(await rig.http.post(JOBS, json=THREE), 400, "resource_limit_reached", "output_languages", "at most 2")
        batch = {"video_translations": [THREE]}
        answer = await rig.http.post(f"{JOBS}/batches", json=batch)
        refused(answer, 400, "resource_limit_reached", "video_translations")
        fits = {"video_translations": [ONE, ONE]}
        assert (await rig.http.post(f"{JOBS}/batches", json=fits)).status_code == 200
        refused(await rig.http.post(f"{JOBS}/batches", json=fits), 429, "rate_limit_exceeded")
        assert (await rig.stored())[0] == 2
