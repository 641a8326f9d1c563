"""What can be done to an endpoint after its creation: change, rotate, test, keys, headers."""

import base64
import hashlib
import hmac
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.server.promises import OPERATIONS, conforms, refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, Post, Rig, answered
from video_translation_server.wire.responses import (
    Answer,
    DeliveryAnswer,
    EndpointAnswer,
    NewEndpoint,
    NewSecret,
    WorkspaceSecret,
)

PATCH = "PATCH /v3/webhooks/endpoints/{endpoint_id}"
ROTATE = "POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret"
PATH = f"{ENDPOINTS}/ep_1"
OTHER = "https://other.example/hook"
PENDING: dict[str, Any] = {"events": ["video_translate.pending"]}


def verifies(secret: str, post: Post) -> bool:
    """By other people's code."""
    try:
        Webhook(secret).verify(post.body, dict(post.headers))
    except WebhookVerificationError:
        return False
    return True


def signed_by(post: Post) -> str:
    return post.headers["Heygen-Signature"]


def heygen(secret: str, post: Post) -> str:
    return hmac.new(secret.encode(), post.body, hashlib.sha256).hexdigest()


async def patched(http: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
    operation = PATCH if PATCH in OPERATIONS else None
    found: dict[str, Any] = conforms(await http.patch(PATH, json=change), Answer[EndpointAnswer], operation)["data"]
    assert (await http.get(PATH)).json()["data"] == found
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"url": OTHER},
        {"events": ["video_translate.fail", "batch.finished"]},
        {"events": None},
        {"description": "映画"},
        {"description": None},
        {"headers": {"X-A": "b"}},
        {"headers": {}},
        {"ordering": "none"},
        {"ordering": "job"},
        {"max_in_flight": 1},
        {"max_in_flight": 1000},
        {"max_in_flight": None},
        {"rate_limit": 0.01},
        {"rate_limit": 10_000},
        {"rate_limit": None},
        {"status": "enabled"},
        {},
        {"url": OTHER, "events": None, "max_in_flight": 2, "ordering": "none"},
    ],
    ids=str,
)
async def test_a_change_changes_what_it_names_and_nothing_else(
    rig: Rig, http: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    created = await rig.register(
        events=["video_translate.success"],
        description="before",
        headers={"X-Before": "1"},
        max_in_flight=7,
        rate_limit=5,
        ttl_seconds=60,
        entity_id="vt_1",
        asymmetric=True,
    )
    before = {name: value for name, value in created.items() if name not in ("secret", "cursor")}
    assert await patched(http, **change) == before | change


async def test_null_keeps_the_url_as_the_real_service_takes_it(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    assert (await patched(http, url=None, events=["batch.finished"]))["url"] == HOOK


async def test_a_type_named_twice_in_a_change_counts_once(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    assert (await patched(http, events=["batch.finished"] * 3))["events"] == ["batch.finished"]


async def test_disabled_by_its_owner_it_is_held_and_enabled_it_gets_all(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register(**PENDING)
    found = await patched(http, status="disabled")
    assert (found["status"], found["disabled_reason"]) == ("disabled", "disabled by the caller")
    await rig.translate("English", "German")
    await rig.advance(3600)
    assert rig.sender.posts == []
    held = (await http.get(DELIVERIES)).json()["data"]
    assert [one["state"] for one in held] == ["due", "due"], "held, not lost"
    found = await patched(http, status="enabled")
    assert (found["status"], found["disabled_reason"], found["failing_since"]) == ("enabled", None, None)
    await rig.quiet()
    assert [post.job for post in rig.sender.posts] == ["vt_1", "vt_2"]
    events = (await http.get(EVENTS)).json()["data"]
    assert not [event for event in events if event["event_type"] == "endpoint.disabled"], "who did it knows it"


async def test_new_headers_go_out_with_the_next_attempt(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register(headers={"Authorization": "Bearer sesame", "X-Empty": "", "x-team": "a b"}, **PENDING)
    await rig.translate()
    await rig.quiet()
    await patched(http, headers={"X-New": "~!"})
    await rig.translate()
    await rig.quiet()
    first, second = rig.sender.posts
    assert {name: first.headers[name] for name in ("Authorization", "X-Empty", "x-team")} == {
        "Authorization": "Bearer sesame",
        "X-Empty": "",
        "x-team": "a b",
    }
    assert set(second.headers) - set(first.headers) == {"X-New"}
    assert set(first.headers) - set(second.headers) == {"Authorization", "X-Empty", "x-team"}
    assert "sesame" not in str(rig.logs)


async def test_the_ends_of_the_headers_are_taken(rig: Rig) -> None:
    headers = {f"X-{number}": "v" * 1000 for number in range(19)} | {"x" * 100: "!"}
    assert (await rig.register(headers=headers))["headers"] == headers
    await rig.translate(simulation={"duration_seconds": 1000})
    await rig.quiet()
    assert headers.items() <= rig.sender.posts[0].headers.items()


async def test_rotation_with_overlap_signs_with_both_until_it_ends(rig: Rig, http: httpx.AsyncClient) -> None:
    old = (await rig.register(**PENDING))["secret"]
    operation = ROTATE if ROTATE in OPERATIONS else None
    answer = conforms(
        await http.post(f"{PATH}/rotate-secret", json={"overlap_seconds": 60}), Answer[NewSecret], operation
    )
    new = answer["data"]["secret"]
    assert new.startswith("whsec_")
    assert new != old
    for _ in range(3):
        await rig.translate()
        await rig.quiet()
        await rig.advance(30)
    for post, is_overlap in zip(rig.sender.posts, (True, True, False), strict=True):
        assert verifies(new, post)
        assert verifies(old, post) is is_overlap
        assert signed_by(post) == heygen(new, post), "one signature only: the new secret's"
    assert "whsec_" not in (await http.get(PATH)).text


async def test_rotation_without_overlap_ends_the_old_secret_at_once(rig: Rig, http: httpx.AsyncClient) -> None:
    secrets = [(await rig.register(**PENDING))["secret"]]
    for content in (None, b"{}", b'{"overlap_seconds": 0}'):
        headers = {"Content-Type": "application/json"}
        answer = await http.post(f"{PATH}/rotate-secret", content=content, headers=headers)
        secrets.append(answer.json()["data"]["secret"])
    await rig.translate()
    await rig.quiet()
    assert [verifies(secret, rig.sender.posts[0]) for secret in secrets] == [False, False, False, True]


async def test_rotations_in_a_row_overlap_each_for_its_own_time(rig: Rig, http: httpx.AsyncClient) -> None:
    secrets = [(await rig.register(**PENDING))["secret"]]
    for overlap in (10, 2_592_000):
        answer = await http.post(f"{PATH}/rotate-secret", json={"overlap_seconds": overlap})
        secrets.append(answer.json()["data"]["secret"])
    expected = [[True, True, True], [False, True, True]]
    for valid in expected:
        await rig.translate()
        await rig.quiet()
        assert [verifies(secret, rig.sender.posts[-1]) for secret in secrets] == valid
        await rig.advance(10)
    await http.post(f"{PATH}/rotate-secret")
    await rig.translate()
    await rig.quiet()
    assert not any(verifies(secret, rig.sender.posts[-1]) for secret in secrets), "now all the old ones are dead"


async def test_a_retry_is_signed_with_the_secret_of_its_own_time(rig: Rig, http: httpx.AsyncClient) -> None:
    statuses = iter([500, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    old = (await rig.register(**PENDING))["secret"]
    await rig.translate()
    await rig.quiet()
    new = (await http.post(f"{PATH}/rotate-secret")).json()["data"]["secret"]
    await rig.advance(5)
    first, second = rig.sender.posts
    assert (verifies(old, first), verifies(new, first)) == (True, False)
    assert (verifies(old, second), verifies(new, second)) == (False, True)
    assert first.body == second.body


async def test_an_asymmetric_endpoint_is_signed_for_with_its_key(rig: Rig, http: httpx.AsyncClient) -> None:
    created = conforms(
        await http.post(ENDPOINTS, json={"url": HOOK, "asymmetric": True} | PENDING), Answer[NewEndpoint]
    )["data"]
    public = created["public_key"]
    assert public.startswith("whpk_")
    assert (await http.get(PATH)).json()["data"]["public_key"] == public
    assert "whsk_" not in (await http.get(PATH)).text + str(created), "the private key never leaves"
    await http.post(f"{PATH}/rotate-secret", json={"overlap_seconds": 60})
    await rig.translate()
    await rig.quiet()
    [post] = rig.sender.posts
    entries = [entry.split(",", 1) for entry in post.headers["webhook-signature"].split(" ")]
    assert [version for version, _ in entries] == ["v1", "v1", "v1a"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_"), validate=True))
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    key.verify(base64.b64decode(entries[2][1], validate=True), signed)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(entries[2][1]), signed + b" ")
    assert verifies(created["secret"], post), "v1 is there all the same"


async def test_each_asymmetric_endpoint_has_a_key_of_its_own(rig: Rig) -> None:
    keys = {(await rig.register(asymmetric=True))["public_key"] for _ in range(3)}
    assert len(keys) == 3
    assert (await rig.register(asymmetric=False))["public_key"] is None


async def test_a_test_event_goes_to_one_endpoint_through_the_queue(rig: Rig, http: httpx.AsyncClient) -> None:
    secret = (await rig.register(events=["batch.finished"]))["secret"]
    await rig.register(OTHER)
    told = conforms(await http.post(f"{PATH}/test"), Answer[DeliveryAnswer])["data"]
    assert (told["event_type"], told["endpoint_id"], told["state"]) == ("endpoint.test", "ep_1", "due")
    assert (told["video_translate_id"], told["sequence"]) == (None, 0)
    await rig.quiet()
    [post] = rig.sender.posts
    assert (post.url, post.event["event_type"], post.event["event_data"]) == (
        HOOK,
        "endpoint.test",
        {"endpoint_id": "ep_1"},
    )
    assert post.event["event_id"] == told["event_id"] == post.headers["webhook-id"]
    assert verifies(secret, post)
    [event] = (await http.get(EVENTS)).json()["data"]
    assert event == post.event
    assert (await http.get(f"{DELIVERIES}/{told['delivery_id']}")).json()["data"]["state"] == "delivered"


async def test_a_test_of_a_disabled_endpoint_is_held(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    await patched(http, status="disabled")
    await http.post(f"{PATH}/test")
    await rig.advance(60)
    assert rig.sender.posts == []
    await patched(http, status="enabled")
    await rig.quiet()
    assert len(rig.sender.posts) == 1


async def test_a_deleted_endpoint_takes_nothing_any_more(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    await http.delete(PATH)
    since = {"since": "2027-01-15T08:00:00Z"}
    for answer in (
        await http.patch(PATH, json={"status": "enabled"}),
        await http.post(f"{PATH}/rotate-secret"),
        await http.post(f"{PATH}/test"),
        await http.post(f"{PATH}/recover", json=since),
        await http.post(f"{PATH}/replay"),
    ):
        refused(answer, 404, "webhook_not_found", "endpoint_id", "ep_1")
    assert (await http.get(EVENTS)).json()["data"] == []


async def test_the_workspaces_secret_stays_the_same(http: httpx.AsyncClient) -> None:
    first, second = [conforms(await http.get("/v3/webhooks/secret"), Answer[WorkspaceSecret])["data"] for _ in range(2)]
    assert first == second
    assert first["secret"].startswith("whsec_")
    assert len(base64.b64decode(first["secret"].removeprefix("whsec_"), validate=True)) >= 24
