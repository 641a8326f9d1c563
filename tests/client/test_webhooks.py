from __future__ import annotations

import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer, sign
from tests.client.recorder import Recorder
from video_translation_client import Verified, Webhooks, WebhookVerificationError

VECTORS = json.loads((Path(__file__).parents[2] / "contract" / "signatures.json").read_text("utf-8"))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes, made up").decode()
SEED = "whsk_" + base64.b64encode(bytes(range(32))).decode()
NOW = 1_763_683_200
BODY = b'{"event_id": "evt_1", "event_type": "video_translate.success", "event_data": {"video_translate_id": "vt_1"}}'


def at_noon(secret: Any = SECRET, **options: Any) -> Webhooks:
    return Webhooks(secret, now=lambda: NOW, **options)


def reason(webhooks: Webhooks, body: Any, headers: Any, secret: Any = None) -> str:
    with pytest.raises(WebhookVerificationError) as caught:
        webhooks.unwrap(body, headers, secret)
    return caught.value.reason


def test_a_genuine_delivery_becomes_its_event_without_any_client() -> None:
    event = at_noon().unwrap(BODY, sign(BODY, SECRET, "evt_1", NOW))
    assert (event.id, event.job.id, event.job.status) == ("evt_1", "vt_1", "completed")
    assert at_noon().unwrap(memoryview(BODY), sign(BODY, SECRET, "evt_1", NOW)).id == "evt_1"  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", [SECRET, SEED, [SECRET, SEED], [OTHER, SECRET]])
def test_what_it_signs_it_verifies(secret: Any) -> None:
    webhooks = at_noon(secret)
    headers = webhooks.sign(BODY, event_id="evt_1")
    verified = webhooks.verify(BODY, headers)
    assert isinstance(verified, Verified)
    assert (verified.family, verified.event_id) == ("standard", "evt_1")
    versions = [entry.partition(",")[0] for entry in headers["webhook-signature"].split()]
    assert len(versions) == (1 if isinstance(secret, str) else 2)
    assert ("v1a" in versions) == (SEED in secret)
    assert ("heygen-signature" in headers) == (secret != SEED)


def test_the_real_services_family_alone_will_do_and_is_its_own_secrets_text() -> None:
    headers = at_noon([SECRET, OTHER]).sign(BODY, event_id="evt_1", timestamp=1)
    heygen = {"Heygen-Signature": headers["heygen-signature"]}
    assert at_noon(SECRET).verify(BODY, heygen).family == "heygen"
    assert reason(at_noon(OTHER), BODY, heygen) == "no_matching_signature"


@pytest.mark.parametrize("vector", VECTORS["standard_webhooks"], ids=lambda vector: vector["name"])
def test_the_contracts_vectors_are_verified(vector: dict[str, str]) -> None:
    headers = {"webhook-id": vector["id"], "webhook-timestamp": vector["timestamp"]}
    headers["webhook-signature"] = vector["signature"]
    webhooks = Webhooks(vector.get("public_key", vector["secret"]), now=lambda: float(vector["timestamp"]))
    assert webhooks.verify(vector["body"].encode(), headers).event_id == vector["id"]


def test_a_secret_given_to_the_call_stands_instead_of_the_constructors() -> None:
    headers = sign(BODY, OTHER, "evt_1", NOW)
    assert reason(at_noon(), BODY, headers) == "no_matching_signature"
    assert at_noon().unwrap(BODY, headers, [OTHER]).id == "evt_1"
    assert reason(at_noon(OTHER), BODY, headers, SECRET) == "no_matching_signature"


def test_the_tolerance_is_the_callers() -> None:
    headers = sign(BODY, SECRET, "evt_1", NOW - 400)
    assert reason(at_noon(), BODY, headers) == "timestamp_out_of_tolerance"
    assert at_noon(tolerance=500).unwrap(BODY, headers).id == "evt_1"


@pytest.mark.parametrize(
    ("body", "headers", "secret", "expected"),
    [
        (BODY.decode(), sign(BODY, SECRET, "evt_1", NOW), SECRET, "malformed_body"),
        (None, {}, SECRET, "malformed_body"),
        (BODY, [("webhook-id", "x")], SECRET, "malformed_headers"),
        (BODY, {b"webhook-signature": b"v1,x"}, SECRET, "missing_headers"),
        (BODY, {"webhook-signature": None, 3: "x"}, SECRET, "missing_headers"),
        (BODY, {}, None, "no_usable_secret"),
        (b"[" * 100_000, sign(b"[" * 100_000, SECRET, "evt_1", NOW), SECRET, "malformed_body"),
        (b"1" * 5000, sign(b"1" * 5000, SECRET, "evt_1", NOW), SECRET, "malformed_body"),
    ],
)
def test_a_callers_slip_is_our_error_too_and_says_what_to_pass(
    body: Any, headers: Any, secret: Any, expected: str
) -> None:
    assert reason(at_noon(secret), body, headers) == expected


MALFORMED = [
    "",
    SECRET + "\n",
    SECRET[:20] + " " + SECRET[20:],
    "whsec_",
    "whsec_nonsense!",
    "whsk_AAAA",
    "whpk_AAAA",
    "é",
]


@pytest.mark.parametrize("secret", MALFORMED)
def test_a_malformed_secret_is_refused_where_it_is_given_and_not_shown(make_client: MakeClient, secret: str) -> None:
    for given in (lambda: Webhooks([SECRET, secret]), lambda: make_client(webhook_secret=secret)):
        with pytest.raises(ValueError, match="secret is malformed") as caught:
            given()
        assert secret in ("", "whsec_", "é") or secret.strip() not in str(caught.value)
    with pytest.raises(TypeError, match="secret must be text, not int"):
        Webhooks([3])  # type: ignore[list-item]
    with pytest.raises(WebhookVerificationError, match="malformed") as refused:
        at_noon().verify(BODY, sign(BODY, SECRET, "evt_1", NOW), secret)
    assert refused.value.reason == "no_usable_secret"


def test_a_secret_that_only_the_real_services_family_can_use_says_so_where_the_other_decides() -> None:
    odd = "whsec_url-safe_text"
    headers = sign(BODY, SECRET, "evt_1", NOW)
    digest = hmac.new(odd.encode(), BODY, "sha256").hexdigest()
    assert at_noon(odd).verify(BODY, {"heygen-signature": digest}).family == "heygen"
    assert reason(at_noon(odd), BODY, headers) == "no_usable_secret"
    assert reason(at_noon([odd, OTHER]), BODY, headers) == "no_matching_signature"
    assert at_noon([odd, SECRET]).verify(BODY, headers).family == "standard"


@pytest.mark.parametrize("secret", [None, "url-safe_text", [SECRET, "url-safe_text"]])
def test_signing_without_a_secret_that_can_is_refused(secret: Any) -> None:
    with pytest.raises(ValueError, match="secret"):
        at_noon(secret).sign(BODY, event_id="evt_1")


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(at_noon())


def test_the_clients_own_namespace_knows_its_secret_and_its_registrations(
    make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client(webhook_secret=OTHER)
    now = int(time.time())
    assert client.webhooks.unwrap(BODY, sign(BODY, OTHER, "evt_1", now)).id == "evt_1"
    with client.register_webhook(recorder) as registration:
        headers = sign(BODY, registration.secret or "", "evt_1", now)
        assert client.webhooks.unwrap(BODY, headers).id == "evt_1"
    assert reason(client.webhooks, BODY, headers) == "no_matching_signature"


def test_a_receiver_takes_what_the_clients_own_secret_signed_before_during_and_after_a_registration(
    make_client: MakeClient, server: FakeServer, recorder: Recorder
) -> None:
    client = make_client(webhook_secret=OTHER)
    client.on_event(recorder)
    server.new_job()

    def deliver(secret: str, event_id: str) -> int:
        event = server.log[0] | {"event_id": event_id}
        body = json.dumps(event).encode()
        headers = sign(body, secret, event_id, int(time.time()))
        return client.webhook_receiver.handle("POST", headers, body).status

    assert deliver(OTHER, "evt_1") == 204
    with client.register_webhook() as registration:
        assert deliver(OTHER, "evt_1") == 204
        assert deliver(registration.secret or "", "evt_1") == 204
    assert deliver(OTHER, "evt_1") == 204
    assert deliver(SECRET, "evt_1") == 401
    recorder.wait_for(1)
