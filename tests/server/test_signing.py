"""Signatures: the known answers of contract/signatures.json, and the reference library as the oracle."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from video_translation_server.signing import new_private_key, new_secret, public_key, signature_headers

VECTORS = json.loads((Path(__file__).parents[2] / "contract" / "signatures.json").read_text(encoding="utf-8"))
SYMMETRIC = [vector for vector in VECTORS["standard_webhooks"] if vector["signature"].startswith("v1,")]
ASYMMETRIC = [vector for vector in VECTORS["standard_webhooks"] if vector["signature"].startswith("v1a,")]


def sign(vector: dict[str, Any]) -> dict[str, str]:
    return signature_headers(
        [vector["secret"]],
        event_id=vector.get("id", "evt_1"),
        timestamp=int(vector.get("timestamp", 0)),
        body=vector["body"].encode(),
    )


@pytest.mark.parametrize("vector", SYMMETRIC, ids=lambda vector: str(vector["name"]))
def test_the_standard_vectors(vector: dict[str, Any]) -> None:
    headers = sign(vector)
    assert headers["webhook-signature"] == vector["signature"]
    assert headers["webhook-id"] == vector["id"]
    assert headers["webhook-timestamp"] == vector["timestamp"]


@pytest.mark.parametrize("vector", VECTORS["heygen"], ids=lambda vector: str(vector["name"]))
def test_the_real_services_vectors(vector: dict[str, Any]) -> None:
    assert sign(vector)["Heygen-Signature"] == vector["signature"]


def test_there_are_vectors_to_test() -> None:
    assert len(SYMMETRIC) >= 3
    assert len(ASYMMETRIC) >= 1
    assert len(VECTORS["heygen"]) >= 2


def now() -> int:
    return int(datetime.now(UTC).timestamp())


@given(body=st.text().map(lambda text: json.dumps({"text": text})), event_id=st.from_regex(r"\Aevt_[a-z0-9]{1,20}\Z"))
def test_the_reference_library_accepts_what_we_sign(body: str, event_id: str) -> None:
    secret = new_secret()
    headers = signature_headers([secret], event_id=event_id, timestamp=now(), body=body.encode())
    assert Webhook(secret).verify(body, headers) == json.loads(body)


def test_the_reference_library_refuses_what_was_changed() -> None:
    secret = new_secret()
    good = signature_headers([secret], event_id="evt_1", timestamp=now(), body=b"{}")
    for headers, body in (
        (good, "{ }"),
        (good | {"webhook-id": "evt_2"}, "{}"),
        (good | {"webhook-timestamp": str(now() - 1)}, "{}"),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify("{}", good)


def test_every_secret_of_a_rotation_is_accepted() -> None:
    newest, older, oldest = new_secret(), new_secret(), new_secret()
    headers = signature_headers([newest, older, oldest], event_id="evt_1", timestamp=now(), body=b"{}")
    for secret in (newest, older, oldest):
        assert Webhook(secret).verify("{}", headers) == {}
    assert len(headers["webhook-signature"].split(" ")) == 3


def test_the_newest_secret_comes_first_and_signs_the_real_services_header() -> None:
    newest, older = new_secret(), new_secret()
    both = signature_headers([newest, older], event_id="evt_1", timestamp=1, body=b"{}")
    alone = signature_headers([newest], event_id="evt_1", timestamp=1, body=b"{}")
    assert both["webhook-signature"].split(" ")[0] == alone["webhook-signature"]
    assert both["Heygen-Signature"] == alone["Heygen-Signature"]


def test_the_headers_are_these_and_no_others() -> None:
    headers = signature_headers([new_secret()], event_id="evt_1", timestamp=1_800_000_000, body=b"{}")
    assert headers["Heygen-Timestamp"] == headers["webhook-timestamp"] == "1800000000"
    assert headers["Heygen-Event-Id"] == headers["webhook-id"] == "evt_1"
    assert set(headers) == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "Heygen-Signature",
        "Heygen-Timestamp",
        "Heygen-Event-Id",
    }
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_another_attempt_has_another_signature_over_the_same_body() -> None:
    secret = new_secret()
    first = signature_headers([secret], event_id="evt_1", timestamp=1, body=b"{}")
    later = signature_headers([secret], event_id="evt_1", timestamp=2, body=b"{}")
    assert first["webhook-signature"] != later["webhook-signature"]


def test_a_body_of_any_bytes_can_be_signed() -> None:
    headers = signature_headers([new_secret()], event_id="evt_1", timestamp=1, body=bytes(range(256)))
    assert headers["webhook-signature"].startswith("v1,")


def test_secrets_are_32_random_bytes() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        prefix, _, encoded = secret.partition("_")
        assert prefix == "whsec"
        assert len(base64.b64decode(encoded, validate=True)) == 32


# Key pairs


def seed_alone(private_key: str) -> str:
    """The same key without the public half that some tools write behind the seed."""
    return "whsk_" + base64.b64encode(base64.b64decode(private_key.removeprefix("whsk_"))[:32]).decode()


FORMS = [pytest.param(str, id="seed and public key"), pytest.param(seed_alone, id="seed")]


@pytest.mark.parametrize("vector", ASYMMETRIC, ids=lambda vector: str(vector["name"]))
@pytest.mark.parametrize("form", FORMS)
def test_the_vectors_of_key_pairs(vector: dict[str, Any], form: Any) -> None:
    private_key = form(vector["secret"])
    assert public_key(private_key) == vector["public_key"]
    headers = signature_headers(
        [new_secret()],
        event_id=vector["id"],
        timestamp=int(vector["timestamp"]),
        body=vector["body"].encode(),
        private_key=private_key,
    )
    symmetric, asymmetric = headers["webhook-signature"].split(" ")
    assert asymmetric == vector["signature"]
    assert symmetric.startswith("v1,")


def test_every_secret_and_the_key_pair_sign_beside_each_other() -> None:
    newest, older, private_key = new_secret(), new_secret(), new_private_key()
    headers = signature_headers([newest, older], event_id="evt_1", timestamp=now(), body=b"{}", private_key=private_key)
    entries = headers["webhook-signature"].split(" ")
    assert [entry.split(",")[0] for entry in entries] == ["v1", "v1", "v1a"]
    for secret in (newest, older):
        assert Webhook(secret).verify("{}", headers) == {}, "who knows v1 only passes over v1a"
    signed = f"evt_1.{headers['webhook-timestamp']}.".encode() + b"{}"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(private_key).removeprefix("whpk_")))
    signature = base64.b64decode(entries[-1].removeprefix("v1a,"))
    key.verify(signature, signed)
    with pytest.raises(InvalidSignature):
        key.verify(signature, signed + b" ")


def test_a_key_pair_leaves_the_other_headers_as_they_are() -> None:
    secret = new_secret()
    plain = signature_headers([secret], event_id="evt_1", timestamp=1, body=b"{}")
    both = signature_headers([secret], event_id="evt_1", timestamp=1, body=b"{}", private_key=new_private_key())
    assert both["webhook-signature"].startswith(plain["webhook-signature"] + " v1a,")
    assert both | {"webhook-signature": ""} == plain | {"webhook-signature": ""}


def test_private_keys_are_32_random_bytes_and_their_public_half_does_not_show_them() -> None:
    made = {new_private_key() for _ in range(20)}
    assert len(made) == len({public_key(key) for key in made}) == 20
    for key in made:
        assert key.startswith("whsk_")
        assert len(base64.b64decode(key.removeprefix("whsk_"), validate=True)) == 32
        assert public_key(key).startswith("whpk_")
        assert len(base64.b64decode(public_key(key).removeprefix("whpk_"), validate=True)) == 32
