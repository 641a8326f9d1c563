"""Who may come in: keys where there are keys; without them, only programs and pages of this machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.promises import refused
from tests.server.rig import ENDPOINTS, EVENTS, HOOK, JOBS, VIDEO, Rig, serving

KEYS = "first-key,second-key"
GUARDED = [
    ("GET", "/status"),
    ("GET", JOBS),
    ("GET", f"{JOBS}/vt_1"),
    ("GET", f"{JOBS}/languages"),
    ("GET", f"{JOBS}/statuses"),
    ("POST", f"{JOBS}/vt_1/cancel"),
    ("GET", ENDPOINTS),
    ("GET", f"{ENDPOINTS}/ep_1"),
    ("DELETE", f"{ENDPOINTS}/ep_1"),
    ("POST", f"{ENDPOINTS}/ep_1/renew"),
    ("GET", "/v3/webhooks/event-types"),
    ("GET", EVENTS),
    ("POST", JOBS),
    ("POST", ENDPOINTS),
]
BODIES = {JOBS: {"video": VIDEO, "output_languages": ["English"]}, ENDPOINTS: {"url": HOOK}}


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path, api_keys=KEYS, host="0.0.0.0", headers={"X-Api-Key": "first-key"}) as running:
        yield running


async def test_every_door_asks_for_a_key(locked: Rig) -> None:
    bodies = set()
    for method, path in GUARDED:
        for headers in ({"X-Api-Key": ""}, {"X-Api-Key": "wrong"}, {"X-Api-Key": "first-key2"}):
            body = BODIES.get(path) if method == "POST" else None
            answer = await locked.http.request(method, path, headers=headers, json=body)
            refused(answer, 401, "unauthorized", message="X-Api-Key")
            bodies.add(answer.content)
    assert len(bodies) == 1, "a missing and a wrong key get the same body"
    assert await locked.stored() == (0, 0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": "first-key"},
        {"X-Api-Key": "second-key"},
        {"X-Api-Key": "", "Authorization": "Bearer second-key"},
        {"X-Api-Key": "", "Authorization": "bearer  first-key "},
    ],
)
async def test_every_key_opens(locked: Rig, headers: dict[str, str]) -> None:
    assert (await locked.http.get(JOBS, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": "first-key,second-key"},
        {"X-Api-Key": "FIRST-KEY"},
        {"X-Api-Key": "first-key", "Authorization": "Bearer wrong"},
        {"X-Api-Key": "wrong", "Authorization": "Bearer first-key"},
        {"X-Api-Key": "", "Authorization": "Basic first-key"},
        {"X-Api-Key": "", "Authorization": "first-key"},
        {"X-Api-Key": "", "Authorization": "Bearer"},
        {"X-Api-Key": "x" * 10_000},
    ],
)
async def test_only_a_whole_key_opens(locked: Rig, headers: dict[str, str]) -> None:
    answer = await locked.http.get(JOBS, headers=headers)
    if headers["X-Api-Key"] == "first-key":  # X-Api-Key is what counts where both are given
        assert answer.status_code == 200
    else:
        refused(answer, 401, "unauthorized")


async def test_a_key_of_strange_bytes_is_only_wrong(locked: Rig) -> None:
    raw = [(b"X-Api-Key", b"\xff\xfe\x80")]
    refused(await locked.http.get(JOBS, headers=raw), 401, "unauthorized")


async def test_keys_are_not_logged(locked: Rig) -> None:
    await locked.http.get(JOBS, headers={"X-Api-Key": "wrong-sesame"})
    await locked.translate()
    text = str(locked.logs)
    assert "first-key" not in text
    assert "sesame" not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
async def test_health_and_documentation_need_no_key(locked: Rig, path: str) -> None:
    assert (await locked.http.get(path, headers={"X-Api-Key": ""})).status_code == 200


async def test_with_keys_any_host_and_origin_will_do(locked: Rig) -> None:
    headers = {"Host": "translate.example", "Origin": "https://app.example"}
    assert (await locked.http.get(JOBS, headers=headers)).status_code == 200


@pytest.mark.parametrize("target", ["http://127.0.0.1:3120/", "http://localhost:3120/", "http://[::1]/"])
async def test_a_server_of_the_network_calls_no_loopback(locked: Rig, target: str) -> None:
    answer = await locked.http.post(ENDPOINTS, json={"url": target})
    refused(answer, 400, "invalid_parameter", "url", "loopback")
    assert await locked.stored() == (0, 0, 0)


@pytest.mark.parametrize("target", ["http://127.0.0.1:3120/", "http://localhost:3120/", "http://[::1]:3120/x"])
async def test_a_server_on_loopback_calls_loopback(rig: Rig, target: str) -> None:
    assert (await rig.register(target))["url"] == target


async def test_a_network_can_be_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, allow_targets="10.0.0.0/8, 192.168.7.0/24") as rig:
        await rig.register("http://10.1.2.3/hook")
        await rig.register("http://192.168.7.9/hook")
        answer = await rig.http.post(ENDPOINTS, json={"url": "http://192.168.8.9/hook"})
        refused(answer, 400, "invalid_parameter", "url", "private")


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "whatever"}, {"Authorization": "Bearer whatever"}])
async def test_without_keys_any_key_or_none_will_do(rig: Rig, headers: dict[str, str]) -> None:
    await rig.translate()
    body = (await rig.http.get(JOBS, headers=headers)).json()
    assert len(body["data"]) == 1, "all are the one workspace"


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:1"])
async def test_without_keys_a_page_of_this_machine_is_served(rig: Rig, origin: str) -> None:
    assert (await rig.http.post(JOBS, json=BODIES[JOBS], headers={"Origin": origin})).status_code == 200
