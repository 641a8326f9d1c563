"""`/v3/webhooks/endpoints` and the event types."""

import base64
from typing import Any

import httpx
import pytest

from tests.server.promises import OPERATIONS, conforms, refused
from tests.server.rig import ENDPOINTS, HOOK, JOBS, Rig
from video_translation_server.wire.responses import Answer, EndpointAnswer, NewEndpoint, Page

CREATE = "POST /v3/webhooks/endpoints"
LIST = "GET /v3/webhooks/endpoints"
REAL_TYPES = OPERATIONS[CREATE]["request"]["events"]["items_enum"]


async def test_creating_tells_the_secret_and_the_cursor(http: httpx.AsyncClient) -> None:
    body = conforms(await http.post(ENDPOINTS, json={"url": HOOK}), Answer[NewEndpoint], CREATE)
    endpoint = body["data"]
    secret = endpoint.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 24
    assert endpoint == {
        "endpoint_id": "ep_1",
        "url": HOOK,
        "events": None,
        "status": "enabled",
        "created_at": "2027-01-15T08:00:00.000Z",
        "entity_id": None,
        "description": None,
        "ttl_seconds": None,
        "expires_at": None,
        "headers": {},
        "ordering": "job",
        "max_in_flight": None,
        "rate_limit": None,
        "disabled_reason": None,
        "failing_since": None,
        "public_key": None,
        "cursor": "cur_0",
    }


async def test_secrets_differ(rig: Rig) -> None:
    assert len({(await rig.register())["secret"] for _ in range(5)}) == 5


async def test_the_secret_is_told_only_once(rig: Rig, http: httpx.AsyncClient) -> None:
    created = await rig.register(ttl_seconds=60)
    path = f"{ENDPOINTS}/{created['endpoint_id']}"
    await rig.translate()
    await rig.advance(20)
    later = [
        await http.get(path),
        await http.get(ENDPOINTS),
        await http.post(f"{path}/renew"),
        await http.get("/v3/webhooks/events"),
        await http.get(JOBS),
        await http.get("/readyz"),
        await http.delete(path),
        await http.get(path),
    ]
    for answer in later:
        assert "whsec_" not in answer.text
        assert created["secret"].removeprefix("whsec_") not in answer.text
    assert created["secret"] not in str(rig.logs)


async def test_what_was_given_comes_back(rig: Rig, http: httpx.AsyncClient) -> None:
    given: dict[str, Any] = {
        "url": "https://receiver.example:8443/a/b?c=d&e=%20",
        "events": ["video_translate.success", "video_translate.progress", "batch.finished"],
        "entity_id": "vt_77",
        "description": "the team's: 映画",
        "ttl_seconds": 3600,
        "headers": {"Authorization": "Bearer sesame", "X-Team": ""},
        "ordering": "none",
        "max_in_flight": 1000,
        "rate_limit": 0.5,
    }
    created = await rig.register(**given)
    one = conforms(await http.get(f"{ENDPOINTS}/{created['endpoint_id']}"), Answer[EndpointAnswer])["data"]
    assert {name: one[name] for name in given} == given
    assert one["expires_at"] == "2027-01-15T09:00:00.000Z"
    assert one == {name: value for name, value in created.items() if name not in ("secret", "cursor")}


async def test_every_type_of_the_real_service_can_be_subscribed_to(rig: Rig) -> None:
    assert (await rig.register(events=REAL_TYPES))["events"] == REAL_TYPES


async def test_a_type_named_twice_counts_once(rig: Rig) -> None:
    assert (await rig.register(events=["batch.finished", "batch.finished"]))["events"] == ["batch.finished"]


async def test_the_cursor_is_the_log_at_the_commit(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.translate("English", "German")
    cursor = (await rig.register())["cursor"]
    [third] = await rig.translate()
    page = (await http.get("/v3/webhooks/events", params={"after": cursor})).json()
    assert [event["event_data"]["video_translate_id"] for event in page["data"]] == [third]


async def test_the_list_is_newest_first_and_paged(rig: Rig, http: httpx.AsyncClient) -> None:
    ids = [(await rig.register())["endpoint_id"] for _ in range(5)]
    seen: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = conforms(await http.get(ENDPOINTS, params={"limit": 2} | token), Page[EndpointAnswer], LIST)
        seen += [endpoint["endpoint_id"] for endpoint in page["data"]]
        assert page["has_more"] == (page["next_token"] is not None)
        if not page["has_more"]:
            break
        token = {"token": page["next_token"]}
    assert seen == ids[::-1]


async def test_a_deleted_endpoint_is_gone(rig: Rig, http: httpx.AsyncClient) -> None:
    path = f"{ENDPOINTS}/{(await rig.register(ttl_seconds=60))['endpoint_id']}"
    body = conforms(await http.delete(path), Answer[dict], "DELETE /v3/webhooks/endpoints/{endpoint_id}")  # type: ignore[type-arg]
    assert body == {"data": {}}
    for answer in (await http.get(path), await http.delete(path), await http.post(f"{path}/renew")):
        refused(answer, 404, "webhook_not_found", "endpoint_id", "ep_1")
    assert (await http.get(ENDPOINTS)).json()["data"] == []
    await rig.translate()
    await rig.advance(20)
    assert rig.sender.posts == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_an_unknown_endpoint_is_not_found(http: httpx.AsyncClient, method: str) -> None:
    path = f"{ENDPOINTS}/ep_none" + ("/renew" if method == "POST" else "")
    refused(await http.request(method, path), 404, "webhook_not_found", "endpoint_id", "ep_none")


async def test_an_endpoint_that_nobody_renews_ends(rig: Rig, http: httpx.AsyncClient) -> None:
    path = f"{ENDPOINTS}/{(await rig.register(ttl_seconds=60))['endpoint_id']}"
    await rig.advance(50)
    assert (await http.get(path)).status_code == 200
    await rig.advance(10)
    refused(await http.get(path), 404, "webhook_not_found", "endpoint_id")
    assert rig.lines("endpoint expired")[0]["endpoint_id"] == "ep_1"


async def test_a_renewal_starts_the_time_anew(rig: Rig, http: httpx.AsyncClient) -> None:
    path = f"{ENDPOINTS}/{(await rig.register(ttl_seconds=60))['endpoint_id']}"
    await rig.advance(50)
    renewed = conforms(await http.post(f"{path}/renew"), Answer[EndpointAnswer])["data"]
    assert renewed["expires_at"] == "2027-01-15T08:01:50.000Z"
    await rig.advance(55)
    assert (await http.get(path)).json()["data"] == renewed
    await rig.advance(5)
    assert (await http.get(path)).status_code == 404


async def test_an_endpoint_without_ttl_has_nothing_to_renew(rig: Rig, http: httpx.AsyncClient) -> None:
    path = f"{ENDPOINTS}/{(await rig.register())['endpoint_id']}"
    refused(await http.post(f"{path}/renew"), 409, "conflict", message="ttl_seconds")
    await rig.advance(10 * 365 * 86400)
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("ttl", [10, 2_592_000, 10.5])
async def test_the_ends_of_the_ttl_are_taken(rig: Rig, ttl: float) -> None:
    assert (await rig.register(ttl_seconds=ttl))["ttl_seconds"] == ttl


async def test_event_types_are_listed_with_what_they_say(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v3/webhooks/event-types", params={"limit": 100})
    body = conforms(answer, Page[dict[str, str]], "GET /v3/webhooks/event-types")
    names = {item["event_type"] for item in body["data"]}
    ours = {f"video_translate.{word}" for word in ("pending", "running", "progress")}
    assert names >= set(REAL_TYPES) | ours | {"endpoint.disabled", "endpoint.recovered", "delivery.exhausted"}
    assert all(item["description"] for item in body["data"])
    assert (body["has_more"], body["next_token"]) == (False, None)
