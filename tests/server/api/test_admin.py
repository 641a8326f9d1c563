"""`/v3/admin` and stored keys: who may administer, what a key opens, what of another workspace is seen: nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.listening import listening
from tests.server.promises import conforms, refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, JOBS, Rig, serving
from tests.server.store.builders import life
from tests.waiting import eventually
from video_translation_server.wire.responses import Answer, KeyAnswer, NewKey, Page, WorkspaceAnswer, WorkspaceWithJobs

WORKSPACES = "/v3/admin/workspaces"
KEYS = "/v3/admin/keys"
ROOT = {"X-Api-Key": "root"}


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Rig]:
    """A server that asks for keys, with an admin key."""
    async with serving(tmp_path, require_key=True, admin_key="root") as running:
        yield running


async def workspace(rig: Rig, name: str = "Team") -> str:
    answer = await rig.http.post(WORKSPACES, json={"name": name}, headers=ROOT)
    return str(conforms(answer, Answer[WorkspaceAnswer])["data"]["workspace_id"])


async def key(rig: Rig, workspace_id: str, **body: Any) -> dict[str, Any]:
    answer = await rig.http.post(f"{WORKSPACES}/{workspace_id}/keys", json=body, headers=ROOT)
    data: dict[str, Any] = conforms(answer, Answer[NewKey])["data"]
    return data


async def opens(rig: Rig, **headers: str) -> int:
    return (
        await rig.http.get(JOBS, headers={name.replace("_", "-"): value for name, value in headers.items()})
    ).status_code


def is_on_disk(secret: str, folder: Path) -> bool:
    return any(secret.encode() in path.read_bytes() for path in folder.iterdir())


async def test_a_key_is_shown_once_and_opens_its_workspace(locked: Rig) -> None:
    team = await workspace(locked)
    made = await key(locked, team, label="laptop")
    assert made["key"].startswith("vtk_")
    assert len(made["key"]) > 40
    listed = conforms(await locked.http.get(f"{WORKSPACES}/{team}/keys", headers=ROOT), Page[KeyAnswer])["data"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    assert await opens(locked, X_Api_Key=made["key"]) == 200
    assert await opens(locked, Authorization=f"Bearer {made['key']}") == 200
    assert made["key"] not in str(locked.logs)
    assert not is_on_disk(made["key"], Path(locked.settings.store).parent)


async def test_workspaces_are_listed_newest_first(locked: Rig) -> None:
    team = await workspace(locked)
    page = conforms(await locked.http.get(WORKSPACES, headers=ROOT), Page[WorkspaceAnswer])
    assert [one["workspace_id"] for one in page["data"]] == [team, "ws_default"]
    first = (await locked.http.get(WORKSPACES, params={"limit": 1}, headers=ROOT)).json()
    rest = await locked.http.get(WORKSPACES, params={"token": first["next_token"]}, headers=ROOT)
    assert [one["workspace_id"] for one in rest.json()["data"]] == ["ws_default"]


async def test_a_workspace_may_have_an_id_of_ones_own_and_that_once(locked: Rig) -> None:
    body = {"name": "Team", "id": "team-blue"}
    made = conforms(await locked.http.post(WORKSPACES, json=body, headers=ROOT), Answer[WorkspaceAnswer])["data"]
    assert made["workspace_id"] == "team-blue"
    refused(await locked.http.post(WORKSPACES, json=body, headers=ROOT), 409, "conflict", "id", "team-blue")
    found = conforms(await locked.http.get(f"{WORKSPACES}/team-blue", headers=ROOT), Answer[WorkspaceWithJobs])["data"]
    assert found == made | {"jobs": {"pending": 0, "running": 0, "completed": 0, "failed": 0}}


async def test_missing_wrong_and_revoked_are_refused_alike(locked: Rig) -> None:
    made = await key(locked, "ws_default")
    assert await opens(locked, X_Api_Key=made["key"]) == 200
    answer = await locked.http.delete(f"{KEYS}/{made['key_id']}", headers=ROOT)
    assert conforms(answer, Answer[KeyAnswer])["data"]["revoked_at"] is not None
    answers = [
        await locked.http.get(JOBS, headers={"X-Api-Key": given}) for given in ("", "wrong", made["key"], "root")
    ]
    for one in answers:
        refused(one, 401, "unauthorized", message="X-Api-Key")
    assert len({one.content for one in answers}) == 1


async def test_a_revoked_key_ends_its_stream(locked: Rig) -> None:
    first, second = await key(locked, "ws_default"), await key(locked, "ws_default")
    async with (
        listening(locked, headers={"x-api-key": first["key"]}) as ended,
        listening(locked, headers={"x-api-key": second["key"]}) as other,
    ):
        await locked.http.delete(f"{KEYS}/{first['key_id']}", headers=ROOT)
        await eventually(ended.task.done)
        assert ended.is_complete
        await locked.store.record(life("a")[:1])
        assert await other.got(1) == ["evt_a_1"]
        assert ended.events == []


@pytest.mark.parametrize("given", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer roo"}])
async def test_only_the_admin_key_administers(locked: Rig, given: dict[str, str]) -> None:
    for method, path in ADMIN_CALLS:
        refused(await locked.http.request(method, path, headers=given), 403, "forbidden", message="admin key")
    assert (await locked.http.get(WORKSPACES, headers={"Authorization": "Bearer root"})).status_code == 200


ADMIN_CALLS = [
    ("POST", WORKSPACES),
    ("GET", WORKSPACES),
    ("GET", f"{WORKSPACES}/ws_default"),
    ("GET", "/v3/admin/status"),
    ("GET", "/v3/admin/jobs"),
    ("GET", "/v3/admin/jobs/vt_1"),
    ("POST", f"{WORKSPACES}/ws_default/keys"),
    ("GET", f"{WORKSPACES}/ws_default/keys"),
    ("DELETE", f"{KEYS}/key_1"),
]


async def test_a_key_of_a_workspace_is_no_admin_key(locked: Rig) -> None:
    made = await key(locked, "ws_default")
    answer = await locked.http.get(WORKSPACES, headers={"X-Api-Key": made["key"]})
    refused(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "settings", [{"api_keys": "sesame"}, {"require_key": True}, {"host": "0.0.0.0", "api_keys": "k"}]
)
async def test_a_locked_server_without_an_admin_key_is_not_administered(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with serving(tmp_path, headers={"X-Api-Key": "sesame"}, **settings) as rig:
        refused(await rig.http.get(WORKSPACES), 403, "forbidden", message="--admin-key")


async def test_an_open_server_is_administered_without_a_key_but_by_no_page(rig: Rig) -> None:
    assert await key(rig, await workspace(rig))
    refused(await rig.http.get(WORKSPACES, headers={"Origin": "https://evil.example"}), 403, "forbidden")


async def test_on_an_open_server_a_given_key_counts_once_there_are_keys(rig: Rig) -> None:
    assert await opens(rig, X_Api_Key="whatever") == 200
    await rig.translate()
    made = await key(rig, await workspace(rig))
    assert (await rig.http.get(JOBS)).json()["data"], "without a key: the default workspace, as ever"
    assert (await rig.http.get(JOBS, headers={"X-Api-Key": made["key"]})).json()["data"] == []
    assert await opens(rig, X_Api_Key="whatever") == 401, "a mistyped key must not land in another workspace"
    await rig.http.delete(f"{KEYS}/{made['key_id']}")
    assert await opens(rig, X_Api_Key=made["key"]) == 401
    assert await opens(rig) == 200


async def test_configured_keys_open_the_default_workspace_beside_stored_ones(tmp_path: Path) -> None:
    async with serving(tmp_path, api_keys="sesame", admin_key="root", headers={"X-Api-Key": "sesame"}) as rig:
        await rig.translate()
        made = await key(rig, await workspace(rig))
        assert len((await rig.http.get(JOBS)).json()["data"]) == 1
        assert (await rig.http.get(JOBS, headers={"X-Api-Key": made["key"]})).json()["data"] == []


async def test_keys_survive_a_restart(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"require_key": True, "admin_key": "root"}
    async with serving(tmp_path, **settings) as rig:
        made = await key(rig, "ws_default")
    async with serving(tmp_path, **settings) as rig:
        assert await opens(rig, X_Api_Key=made["key"]) == 200


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (WORKSPACES, {}, "name"),
        (WORKSPACES, {"name": ""}, "name"),
        (WORKSPACES, {"name": None}, "name"),
        (WORKSPACES, {"name": 7}, "name"),
        (WORKSPACES, {"name": "x" * 256}, "name"),
        (WORKSPACES, {"name": "\ud800"}, "name"),
        (WORKSPACES, {"name": "x", "id": "team/blue"}, "id"),
        (WORKSPACES, {"name": "x", "id": ""}, "id"),
        (WORKSPACES, {"name": "x", "id": "-x"}, "id"),
        (WORKSPACES, {"name": "x", "key": "mine"}, "key"),
        (WORKSPACES, [], "body"),
        (f"{WORKSPACES}/ws_default/keys", {"label": 7}, "label"),
        (f"{WORKSPACES}/ws_default/keys", {"label": "x" * 256}, "label"),
        (f"{WORKSPACES}/ws_default/keys", {"key": "mine"}, "key"),
        (f"{WORKSPACES}/ws_default/keys", "laptop", "body"),
    ],
)
async def test_a_bad_body_is_refused(locked: Rig, path: str, body: Any, param: str) -> None:
    headers = ROOT | {"Content-Type": "application/json"}
    answer = await locked.http.post(path, content=json.dumps(body), headers=headers)
    refused(answer, 400, "invalid_parameter", param)
    assert len((await locked.store.workspaces(limit=10))[0]) == 1
    assert not await locked.store.has_keys()


async def test_what_is_not_there_is_named(locked: Rig) -> None:
    for answer, param in (
        (await locked.http.post(f"{WORKSPACES}/ws_none/keys", headers=ROOT), "workspace_id"),
        (await locked.http.get(f"{WORKSPACES}/ws_none", headers=ROOT), "workspace_id"),
        (await locked.http.get("/v3/admin/jobs", params={"workspace_id": "ws_none"}, headers=ROOT), "workspace_id"),
        (await locked.http.get(JOBS, headers=ROOT | {"X-Workspace-Id": "ws_none"}), "workspace_id"),
        (await locked.http.get(f"{WORKSPACES}/ws_none/keys", headers=ROOT), "workspace_id"),
        (await locked.http.delete(f"{KEYS}/key_none", headers=ROOT), "key_id"),
    ):
        refused(answer, 404, "resource_not_found", param, "_none")


# Two workspaces: every route of the API, walked by the one for what belongs to the other

BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", f"{JOBS}/{{video_translation_id}}"): {"title": "mine now"},
    ("PATCH", ENDPOINTS): {"description": "mine now"},
    ("POST", f"{ENDPOINTS}/recover"): {"since": "2020-01-01T00:00:00Z"},
}
PUBLIC = ("/v3/admin", "/healthz", "/readyz", "/docs", "/openapi.json", "/files")  # files: to whoever has a signed URL


async def settle_in(rig: Rig, headers: dict[str, str]) -> dict[str, str]:
    """One of everything in the caller's workspace: the ids, by the names of the path's parameters."""
    http, ids = rig.http, dict[str, str]()
    video = {"video": {"type": "url", "url": "https://example.com/a.mp4"}, "output_languages": ["English"]}
    endpoint = (await http.post(ENDPOINTS, json={"url": HOOK}, headers=headers)).json()["data"]
    created = (await http.post(JOBS, json=video, headers=headers)).json()["data"]
    await rig.quiet()
    ids["endpoint_id"] = endpoint["endpoint_id"]
    batch = await http.post(f"{JOBS}/batches", json={"video_translations": [video]}, headers=headers)
    ids["batch_id"] = ids["batch_ids"] = batch.json()["data"]["batch_id"]
    ids["video_translation_id"] = ids["video_translate_id"] = ids["entity_id"] = created["video_translation_ids"][0]
    ids["video_translation_ids"] = ids["video_translation_id"]
    recovery = await http.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/replay", headers=headers)
    ids["recovery_id"] = recovery.json()["data"]["recovery_id"]
    delivery = (await http.get(DELIVERIES, headers=headers)).json()["data"][0]
    ids["delivery_id"], ids["event_id"] = delivery["delivery_id"], delivery["event_id"]
    await rig.quiet()
    return ids


async def seen_by(rig: Rig, headers: dict[str, str]) -> list[Any]:
    lists = [(await rig.http.get(path, headers=headers)).json() for path in (JOBS, ENDPOINTS, DELIVERIES, EVENTS)]
    return [*lists, (await rig.http.get("/v3/webhooks/secret", headers=headers)).json()]


def calls(described: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Every call that acts in a workspace: method, path, the names of its query parameters."""
    found = []
    for path, methods in described["paths"].items():
        if path.startswith(PUBLIC):
            continue
        for method, operation in methods.items():
            queries = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
            found.append((method.upper(), path, queries))
    return found


async def test_another_workspaces_objects_are_not_found_anywhere(locked: Rig) -> None:
    owner, stranger = [
        {"X-Api-Key": (await key(locked, await workspace(locked, name)))["key"]} for name in ("owner", "stranger")
    ]
    ids = await settle_in(locked, owner)
    before = await seen_by(locked, owner)
    described = (await locked.http.get("/openapi.json")).json()
    walked = 0
    for method, path, queries in calls(described):
        if "{" in path:
            name = path[path.index("{") + 1 : path.index("}")]
            body = BODIES.get((method, path.replace("/{endpoint_id}", "")))
            answer = await locked.http.request(method, path.format(**ids), json=body, headers=stranger)
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
            assert answer.json()["error"]["code"] in ("resource_not_found", "webhook_not_found"), name
            walked += 1
        elif method == "GET":
            walked += await shows_nothing(locked.http, path, queries, ids, stranger)
    assert walked >= 20
    assert await seen_by(locked, owner) == before, "and nothing of it was changed"


async def shows_nothing(
    http: httpx.AsyncClient, path: str, queries: list[str], ids: dict[str, str], stranger: dict[str, str]
) -> int:
    """Ask for the list, plain and by each of the owner's ids; what comes has nothing of the owner's."""
    named = [{name: ids[name]} for name in queries if name in ids]
    asked = named if path.endswith(("/stream", "/statuses")) else [{}, *named]
    if "after" in queries:
        answer = await http.get(path, params={"after": ids["event_id"]}, headers=stranger)
        refused(answer, 400, "invalid_parameter", "after")
    for query in asked:
        if path.endswith("/stream"):
            continue  # a stream of its own test
        answer = await http.get(path, params=query, headers=stranger)
        assert answer.status_code in (200, 404), f"{path} {query}: {answer.text}"
        found = answer.json().get("data", [])
        if path.endswith("/statuses"):
            assert [one["status"] for one in found] == ["not_found"]
        elif query or path in (JOBS, ENDPOINTS, DELIVERIES, EVENTS):
            assert found == [], f"{path} {query}"
    return len(asked)


async def test_a_stream_has_only_its_own_workspaces_events(locked: Rig) -> None:
    team = await workspace(locked)
    mine = {"x-api-key": (await key(locked, team))["key"]}
    await locked.store.record(life("before", workspace="ws_default")[:1])
    async with listening(locked, headers=mine, after="cur_0") as listener:
        await locked.store.record(life("theirs", workspace="ws_default")[:1])
        await locked.store.record(life("mine", workspace=team)[:1])
        assert await listener.got(1) == ["evt_mine_1"]
        assert listener.last_id == "cur_3"
