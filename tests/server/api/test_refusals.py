"""Requests that are refused before they reach a thing: bad queries, paths, methods, hosts and origins."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.server.promises import refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, JOBS, VIDEO, Rig, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = (JOBS, ENDPOINTS, EVENTS, DELIVERIES)
FOREIGN_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.1.5:8000",
    "0.0.0.0",
    "evil.example:8000",
    "localhost@evil.example",
    "[",
    "[::1",
    "[fe80::1]",
    "",
    ":8000",
]
BODIES = {JOBS: {"video": VIDEO, "output_languages": ["English"]}, ENDPOINTS: {"url": HOOK}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One server for all: that it stays empty is a part of the tests."""
    async with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "ten", "", "1e2", "9" * 30, "9" * 5000])
async def test_a_limit_out_of_range_is_refused(http: httpx.AsyncClient, limit: str) -> None:
    for path in LISTS:
        refused(await http.get(path, params={"limit": limit}), 400, "invalid_parameter", "limit")


@pytest.mark.parametrize("limit", [1, 100])
async def test_the_ends_of_the_limit_are_taken(http: httpx.AsyncClient, limit: int) -> None:
    for path in LISTS:
        assert (await http.get(path, params={"limit": limit})).status_code == 200


@pytest.mark.parametrize(
    "token", ["", "garbage", "%%%", "é", "a", "am9iczo", "am9iczotMQ", "x" * 200, "x" * 201, "\x00"]
)
async def test_a_token_of_nowhere_is_refused(http: httpx.AsyncClient, token: str) -> None:
    for path in LISTS:
        refused(await http.get(path, params={"token": token}), 400, "invalid_parameter", "token")


async def test_an_unknown_status_is_refused(http: httpx.AsyncClient) -> None:
    refused(await http.get(JOBS, params={"status": "done"}), 400, "invalid_parameter", "status", "'running'")


async def test_an_unknown_event_type_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get(EVENTS, params={"event_type": "video_translate.sucess"})
    refused(answer, 400, "invalid_parameter", "event_type", "video_translate.sucess")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/v3",
        "/v3/webhooks",
        "/v3/webhooks/endpoints/",
        "/v3/video-translations/a/b",
        "/_sim/health",
    ],
)
async def test_an_unknown_path_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    refused(await http.get(path), 404, "resource_not_found", message="/docs")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", JOBS),
        ("DELETE", JOBS),
        ("POST", "/status"),
        ("PUT", f"{ENDPOINTS}/ep_1"),
        *(("GET", f"{ENDPOINTS}/ep_1/{verb}") for verb in ("renew", "rotate-secret", "test", "recover", "replay")),
        ("POST", "/v3/webhooks/recoveries/rec_1"),
        ("POST", "/v3/webhooks/secret"),
        ("POST", "/v3/webhooks/deliveries"),
        ("DELETE", "/v3/webhooks/deliveries/dlv_1"),
        ("GET", "/v3/webhooks/deliveries/dlv_1/resend"),
        ("POST", EVENTS),
        ("OPTIONS", JOBS),
        ("TRACE", "/healthz"),
    ],
)
async def test_a_method_that_a_path_does_not_take(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    refused(answer, 405, "method_not_allowed", message="/docs")
    assert answer.headers["allow"]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_without_keys_a_foreign_host_is_refused(rig: Rig, host: str) -> None:
    for method, path in (("GET", "/status"), ("POST", JOBS), ("GET", "/healthz")):
        answer = await rig.http.request(method, path, headers={"Host": host}, json=BODIES.get(path))
        refused(answer, 403, "forbidden", message="localhost")
    assert await rig.stored() == (0, 0, 0)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "a.localhost"]
)
async def test_without_keys_the_names_of_this_machine_are_taken(rig: Rig, host: str) -> None:
    assert (await rig.http.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null", "", "http://[", "x"]
)
async def test_without_keys_a_foreign_origin_is_refused(rig: Rig, origin: str) -> None:
    for method, path in (("GET", "/status"), ("POST", ENDPOINTS)):
        answer = await rig.http.request(method, path, headers={"Origin": origin}, json=BODIES.get(path))
        refused(answer, 403, "forbidden", message="origin")
    assert await rig.stored() == (0, 0, 0)
