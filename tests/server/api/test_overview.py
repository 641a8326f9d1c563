"""What whoever runs the server sees of all workspaces, and acting in one of them by its name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import ENDPOINTS, JOBS, VIDEO, Rig, serving
from video_translation_server import __version__
from video_translation_server.wire.responses import Answer, Page, ServerStatus, TranslationOfAny, WorkspaceWithJobs

ALL_JOBS = "/v3/admin/jobs"
ROOT = {"X-Api-Key": "root"}
IN_BLUE = ROOT | {"X-Workspace-Id": "blue"}
IN_RED = ROOT | {"X-Workspace-Id": "red"}


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Rig]:
    """A server that asks for keys, with the workspaces blue and red."""
    async with serving(tmp_path, require_key=True, admin_key="root", translation_time=10) as running:
        for name in ("blue", "red"):
            await running.http.post("/v3/admin/workspaces", json={"name": name, "id": name}, headers=ROOT)
        yield running


async def create(rig: Rig, headers: dict[str, str], job_id: str, **script: Any) -> str:
    body = {"video": VIDEO, "output_languages": ["English"], "simulation": {"id": job_id} | script}
    answer = await rig.http.post(JOBS, json=body, headers=headers)
    assert answer.json()["data"]["video_translation_ids"] == [job_id], answer.text
    return job_id


async def listed(rig: Rig, **query: Any) -> list[tuple[str, str]]:
    """Workspace and id of each job, page by page."""
    found: list[tuple[str, str]] = []
    token: str | None = None
    while True:
        params = query | ({"token": token} if token else {})
        body = conforms(await rig.http.get(ALL_JOBS, params=params, headers=ROOT), Page[TranslationOfAny])
        found += [(job["workspace_id"], job["id"]) for job in body["data"]]
        token = body["next_token"]
        if token is None:
            return found


async def test_jobs_of_all_workspaces_are_listed_and_narrowed(locked: Rig) -> None:
    await create(locked, IN_BLUE, "one", outcome="completed", progression="immediate")
    await create(locked, IN_RED, "two", outcome="completed", progression="immediate")
    await create(locked, IN_RED, "three")
    everything = [("red", "three"), ("red", "two"), ("blue", "one")]
    assert await listed(locked, limit=2) == await listed(locked) == everything
    assert await listed(locked, status="completed", limit=1) == [("red", "two"), ("blue", "one")]
    assert await listed(locked, workspace_id="blue", status="completed") == [("blue", "one")]
    assert await listed(locked, workspace_id="blue", status="pending") == []
    assert await listed(locked, created_after=locked.clock.now()) == []


async def test_a_job_is_found_in_whichever_workspace_it_is(locked: Rig) -> None:
    await create(locked, IN_RED, "two")
    found = conforms(await locked.http.get(f"{ALL_JOBS}/two", headers=ROOT), Answer[TranslationOfAny])["data"]
    own = (await locked.http.get(f"{JOBS}/two", headers=IN_RED)).json()["data"]
    assert found == own | {"workspace_id": "red"}
    unknown = await locked.http.get(f"{ALL_JOBS}/none", headers=ROOT)
    refused(unknown, 404, "resource_not_found", "video_translation_id", "none")


async def test_jobs_are_counted_in_all_and_in_one(locked: Rig) -> None:
    await create(locked, IN_BLUE, "one", outcome="failed", progression="immediate")
    await create(locked, IN_RED, "two")
    await create(locked, IN_RED, "three")
    await locked.advance(1)
    status = conforms(await locked.http.get("/v3/admin/status", headers=ROOT), Answer[ServerStatus])["data"]
    assert status["version"] == __version__
    assert status["jobs"] == {"pending": 0, "running": 2, "completed": 0, "failed": 1}
    before = status["now"]
    await locked.advance(9)
    status = (await locked.http.get("/v3/admin/status", headers=ROOT)).json()["data"]
    assert (status["jobs"]["completed"], status["now"] > before) == (2, True)
    blue = conforms(await locked.http.get("/v3/admin/workspaces/blue", headers=ROOT), Answer[WorkspaceWithJobs])["data"]
    assert blue["jobs"] == {"pending": 0, "running": 0, "completed": 0, "failed": 1}


@pytest.mark.parametrize(
    "query", [{"status": "done"}, {"limit": 0}, {"token": "x"}, {"created_after": "soon"}, {"workspace_id": "x" * 256}]
)
async def test_a_bad_query_is_named(locked: Rig, query: dict[str, Any]) -> None:
    refused(await locked.http.get(ALL_JOBS, params=query, headers=ROOT), 400, "invalid_parameter", next(iter(query)))


async def test_the_admin_key_acts_in_the_workspace_that_is_named(locked: Rig) -> None:
    job = await create(locked, IN_BLUE, "one")
    for answer in (
        await locked.http.get(f"{JOBS}/{job}", headers=IN_RED),
        await locked.http.post(f"{JOBS}/{job}/cancel", headers=IN_RED),
    ):
        refused(answer, 404, "resource_not_found", "video_translation_id", job)
    await locked.http.post(ENDPOINTS, json={"url": "https://receiver.example/hook"}, headers=IN_BLUE)
    assert len((await locked.http.get(ENDPOINTS, headers=IN_BLUE)).json()["data"]) == 1
    assert (await locked.http.get(ENDPOINTS, headers=IN_RED)).json()["data"] == []
    cancelled = await locked.http.post(f"{JOBS}/{job}/cancel", headers=IN_BLUE)
    assert cancelled.json()["data"]["cancelled_at"] is not None


async def test_only_the_admin_key_names_a_workspace(locked: Rig) -> None:
    made = await locked.http.post("/v3/admin/workspaces/blue/keys", headers=ROOT)
    key = {"X-Api-Key": made.json()["data"]["key"]}
    assert (await locked.http.get(JOBS, headers=key)).status_code == 200
    for headers in ({}, key, {"X-Api-Key": "wrong"}):
        for name in ("blue", "red", "ws_none", ""):
            answer = await locked.http.get(JOBS, headers=headers | {"X-Workspace-Id": name})
            refused(answer, 403, "forbidden", message="admin key")


async def test_without_an_admin_key_a_locked_server_lets_nobody_name_one(tmp_path: Path) -> None:
    async with serving(tmp_path, api_keys="sesame", headers={"X-Api-Key": "sesame"}) as rig:
        answer = await rig.http.get(JOBS, headers={"X-Workspace-Id": "ws_default"})
        refused(answer, 403, "forbidden", message="--admin-key")


async def test_an_open_server_lets_everybody_name_one(rig: Rig) -> None:
    await rig.http.post("/v3/admin/workspaces", json={"name": "blue", "id": "blue"})
    await create(rig, {"X-Workspace-Id": "blue"}, "one")
    assert (await rig.http.get(JOBS)).json()["data"] == []
    assert await listed(rig) == [("blue", "one")]
