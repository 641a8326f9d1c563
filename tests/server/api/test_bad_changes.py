"""What PATCH, rotate-secret, recover and replay refuse: a clear error, and nothing is changed."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.server.api import bad_fields
from tests.server.promises import refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, RECOVERIES, Rig, serving

Refused = Callable[..., Awaitable[None]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOR_PATCH = ("entity_id", "ttl_seconds", "asymmetric", "endpoint_id", "created_at", "expires_at", "failing_since")

PATCH_ROWS: list[bad_fields.Row] = [
    *bad_fields.SHARED,
    ({"status": None}, "status", "null"),
    ({"status": "paused"}, "status", "'disabled'"),
    ({"status": "Enabled"}, "status", "'enabled'"),
    ({"status": ""}, "status", "'enabled'"),
    ({"status": True}, "status", ""),
    ({"status": ["enabled"]}, "status", ""),
    ({"description": "fine", "max_in_flight": 0}, "max_in_flight", ""),
    ({"description": "fine", "url": "http://10.0.0.1/"}, "url", "private"),
    *(({name: "1"}, name, "/docs") for name in NOT_FOR_PATCH),
]

ROTATE_ROWS: list[bad_fields.Row] = [
    ({"overlap_seconds": -1}, "overlap_seconds", "0"),
    ({"overlap_seconds": 30 * 86400 + 1}, "overlap_seconds", "2592000"),
    ({"overlap_seconds": "60"}, "overlap_seconds", "number"),
    ({"overlap_seconds": None}, "overlap_seconds", ""),
    ({"overlap_seconds": True}, "overlap_seconds", ""),
    ({"overlap_seconds": float("nan")}, "overlap_seconds", ""),
    ({"overlap_seconds": float("inf")}, "overlap_seconds", ""),
    ({"overlap_seconds": 10**400}, "overlap_seconds", ""),
    ({"secret": "whsec_mine"}, "secret", "/docs"),
]

TIMES: list[tuple[Any, str]] = [
    (1_800_000_000, "ISO 8601"),
    (1.5, "ISO 8601"),
    (True, "ISO 8601"),
    ([], "ISO 8601"),
    ({}, "ISO 8601"),
    ("", "ISO 8601"),
    ("yesterday", "ISO 8601"),
    ("1800000000", "ISO 8601"),
    ("2026-11-20", "time zone"),
    ("2026-11-20T23:40:00", "time zone"),
    ("2026-02-30T00:00:00Z", "ISO 8601"),
    ("2026-11-20T25:00:00Z", "ISO 8601"),
    ("2026-11-20T23:40:00+99:00", "ISO 8601"),
    ("2026-11-20T23:40:00Z; DROP TABLE events", "ISO 8601"),
    ("2026-11-20T23:40:00\ud800", ""),
    ("2026-11-20T23:40:00\x00Z", "ISO 8601"),
    ("2" * 100_000, "ISO 8601"),
    ("10000-01-01T00:00:00Z", "ISO 8601"),
    ("2027-01-15T08:00:00.001Z", "future"),
    ("2027-01-15T09:00:01+01:00", "future"),
    ("9999-12-31T23:59:59-14:00", "future"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One server with one endpoint for every row: that it stays as it is is a part of each test."""
    async with serving(tmp_path_factory.mktemp("server")) as running:
        await running.translate()
        created = await running.register(headers={"X-Kept": "1"}, max_in_flight=3, asymmetric=True)
        assert created["endpoint_id"] == "ep_1"
        yield running


async def send(http: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response:
    # json.dumps keeps what httpx's own encoder refuses: lone surrogates, NaN, huge integers.
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.request(method, path, content=content, headers={"Content-Type": "application/json"})


async def everything(rig: Rig) -> list[Any]:
    """All that a call could have changed, secrets included."""
    endpoint = await rig.store.endpoint("ws_default", "ep_1")
    return [endpoint, *[(await rig.http.get(path)).json() for path in (ENDPOINTS, EVENTS, DELIVERIES)]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def before(rig: Rig) -> list[Any]:
    """Looked at once: no test may leave a trace."""
    return await everything(rig)


@pytest.fixture
def refused_without_a_trace(rig: Rig, before: list[Any]) -> Refused:
    async def check(request: tuple[str, str], body: Any, param: str, words: str = "") -> None:
        answer = await send(rig.http, *request, body)
        refused(answer, 400, "invalid_parameter", param, words)
        assert "sesame" not in answer.text
        assert await everything(rig) == before
        assert (await rig.http.get(f"{RECOVERIES}/rec_1")).status_code == 404

    return check


def named(rows: list[bad_fields.Row]) -> list[Any]:
    return [pytest.param(*row, id=f"{index}-{next(iter(row[0]))[:20]!a}") for index, row in enumerate(rows)]


@pytest.mark.parametrize(("change", "param", "words"), named(PATCH_ROWS))
async def test_a_bad_change_is_refused(
    refused_without_a_trace: Refused, change: dict[str, Any], param: str, words: str
) -> None:
    await refused_without_a_trace(("PATCH", f"{ENDPOINTS}/ep_1"), change, param, words)


@pytest.mark.parametrize(("body", "param", "words"), named(ROTATE_ROWS))
async def test_a_bad_rotation_is_refused(
    refused_without_a_trace: Refused, body: dict[str, Any], param: str, words: str
) -> None:
    await refused_without_a_trace(("POST", f"{ENDPOINTS}/ep_1/rotate-secret"), body, param, words)


@pytest.mark.parametrize("verb", ["recover", "replay"])
@pytest.mark.parametrize(("since", "words"), [pytest.param(*row, id=str(row[0])[:24]) for row in TIMES])
async def test_a_bad_since_is_refused(refused_without_a_trace: Refused, verb: str, since: Any, words: str) -> None:
    await refused_without_a_trace(("POST", f"{ENDPOINTS}/ep_1/{verb}"), {"since": since}, "since", words)


async def test_recover_needs_a_since(refused_without_a_trace: Refused) -> None:
    recover = "POST", f"{ENDPOINTS}/ep_1/recover"
    await refused_without_a_trace(recover, {}, "since", "required")
    await refused_without_a_trace(recover, {"since": None}, "since", "ISO 8601")
    await refused_without_a_trace(recover, b"", "body", "required")
    for verb in ("recover", "replay"):
        body = {"since": "2026-11-20T23:40:00Z", "until": "2026-11-21T23:40:00Z"}
        await refused_without_a_trace(("POST", f"{ENDPOINTS}/ep_1/{verb}"), body, "until", "/docs")


VERBS = [("PATCH", ""), ("POST", "/rotate-secret"), ("POST", "/recover"), ("POST", "/replay")]


@pytest.mark.parametrize(("method", "verb"), VERBS)
@pytest.mark.parametrize(
    "content",
    [b"[]", b'"x"', b"7", b"true", b"{", b"hello", b'{"\xff": 1}', b"[" * 100_000],
    ids=lambda raw: repr(raw[:8]),
)
async def test_a_bad_body_is_refused(refused_without_a_trace: Refused, method: str, verb: str, content: bytes) -> None:
    await refused_without_a_trace((method, f"{ENDPOINTS}/ep_1{verb}"), content, "body")


async def test_a_change_needs_a_body(refused_without_a_trace: Refused) -> None:
    for content in (b"", b"null"):
        await refused_without_a_trace(("PATCH", f"{ENDPOINTS}/ep_1"), content, "body")


@pytest.mark.parametrize(("method", "verb"), VERBS)
async def test_a_form_is_no_body(rig: Rig, before: list[Any], method: str, verb: str) -> None:
    answer = await rig.http.request(method, f"{ENDPOINTS}/ep_1{verb}", data={"status": "disabled"})
    refused(answer, 415, "unsupported_media_type", message="application/json")
    assert await everything(rig) == before


GOOD: dict[str, Any] = {"PATCH": {"url": HOOK}, "/recover": {"since": "2026-11-20T23:40:00Z"}}


@pytest.mark.parametrize("endpoint_id", ["ep_none", "ep_1%20", "EP_1", "%00", "x" * 3000])
@pytest.mark.parametrize(("method", "verb"), [*VERBS, ("POST", "/test")])
async def test_an_unknown_endpoint_is_not_found(
    rig: Rig, before: list[Any], method: str, verb: str, endpoint_id: str
) -> None:
    answer = await send(rig.http, method, f"{ENDPOINTS}/{endpoint_id}{verb}", GOOD.get(verb or method, {}))
    refused(answer, 404, "webhook_not_found", "endpoint_id")
    assert await everything(rig) == before
