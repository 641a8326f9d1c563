from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_translation_client import WebhookVerificationError
from video_translation_client._signature import Keyring, Verified, sign

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes, made up").decode()
SEED = "whsk_" + base64.b64encode(bytes(range(32))).decode()
NOW = 1_763_683_200
BODY = b'{"event_id":"evt_1"}'


def signed(secret: str = SECRET, *, at: int = NOW, body: bytes = BODY) -> dict[str, str]:
    return sign(body, secret=secret, event_id="evt_1", timestamp=at)


def reason(keyring: Keyring, headers: dict[str, str], body: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(WebhookVerificationError) as caught:
        keyring.verify(body, headers, now=now)
    return caught.value.reason


def test_what_was_signed_is_verified_and_names_its_family_and_id() -> None:
    assert Keyring([SECRET]).verify(BODY, signed(), now=NOW) == Verified("standard", "evt_1")


def test_header_names_may_be_of_any_case() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert Keyring([SECRET]).verify(BODY, headers, now=NOW).family == "standard"


def test_any_of_several_secrets_and_any_of_several_entries_will_do() -> None:
    headers = signed(OTHER)
    headers["webhook-signature"] = "v1,AAAA v2,what " + headers["webhook-signature"]
    assert Keyring([SECRET, OTHER]).verify(BODY, headers, now=NOW).event_id == "evt_1"


def test_the_real_services_family_decides_alone_only_where_the_standard_one_is_absent() -> None:
    heygen = {name: value for name, value in signed().items() if name.startswith("heygen")}
    assert Keyring([SECRET]).verify(BODY, heygen, now=NOW + 9999) == Verified("heygen", None)
    upper = {"heygen-signature": heygen["heygen-signature"].upper()}
    assert Keyring([SECRET]).verify(BODY, upper, now=NOW).family == "heygen"
    both = signed() | {"webhook-signature": "v1,AAAA"}
    assert reason(Keyring([SECRET]), both) == "no_matching_signature"


@pytest.mark.parametrize("shift", [-300, 300])
def test_a_time_within_the_tolerance_passes(shift: int) -> None:
    assert Keyring([SECRET]).verify(BODY, signed(at=NOW + shift), now=NOW).event_id == "evt_1"


@pytest.mark.parametrize("shift", [-301, 301])
def test_a_time_outside_the_tolerance_is_refused(shift: int) -> None:
    assert reason(Keyring([SECRET]), signed(at=NOW + shift)) == "timestamp_out_of_tolerance"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "missing_headers"),
        ({"webhook-signature": "v1,AAAA"}, "missing_headers"),
        ({"webhook-signature": "v1,AAAA", "webhook-id": "a"}, "missing_headers"),
        (signed() | {"webhook-timestamp": "yesterday"}, "malformed_headers"),
        (signed() | {"webhook-timestamp": "9" * 400}, "malformed_headers"),
        (signed() | {"webhook-timestamp": "١٢٣"}, "malformed_headers"),
        (signed() | {"webhook-id": "evt_2"}, "no_matching_signature"),
        (signed() | {"webhook-signature": ""}, "no_matching_signature"),
        (signed() | {"webhook-signature": "v1,ünïcode"}, "no_matching_signature"),
        ({"heygen-signature": "not hex"}, "malformed_headers"),
        ({"heygen-signature": "00"}, "no_matching_signature"),
    ],
)
def test_what_is_wrong_is_named(headers: dict[str, str], expected: str) -> None:
    assert reason(Keyring([SECRET]), headers) == expected


def test_a_changed_body_is_refused() -> None:
    assert reason(Keyring([SECRET]), signed(), BODY + b" ") == "no_matching_signature"


def test_without_any_secret_nothing_passes() -> None:
    assert reason(Keyring([]), signed()) == "no_usable_secret"
    assert not Keyring([])


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whpk_AAAA", "whsk_AAAA", "whsk_%", "", "\ud800"])
def test_a_secret_that_is_none_matches_nothing(secret: str) -> None:
    headers = signed()
    headers["webhook-signature"] += " " + signed(SEED)["webhook-signature"]
    assert reason(Keyring([secret]), headers) == "no_usable_secret"


@pytest.mark.parametrize("secret", ["whsec_", "whsk_AAAA", "whsec_!"])
def test_signing_with_a_secret_that_is_none_says_so(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        sign(BODY, secret=secret, event_id="evt_1", timestamp=NOW)


def test_ed25519_is_verified_by_the_seed_and_by_the_public_key() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only here

    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    headers = signed(SEED)
    for secret in (SEED, "whpk_" + base64.b64encode(public).decode()):
        assert Keyring([SECRET, secret]).verify(BODY, headers, now=NOW).family == "standard"
    assert reason(Keyring([SEED]), headers, BODY + b"x") == "no_matching_signature"


def test_a_keyring_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(Keyring([SECRET]))


NAMES = st.sampled_from(
    ["webhook-id", "webhook-timestamp", "webhook-signature", "heygen-signature", "Webhook-Signature", "x"]
)
VALUES = st.one_of(
    st.text(st.characters()), st.sampled_from([str(NOW), "v1,AAAA", "v1a,AAAA v1,", "v1a," + "A" * 88, "00" * 32])
)
SECRETS = st.one_of(
    st.sampled_from([SECRET, SEED, "whpk_" + "A" * 43 + "="]),
    st.text(st.characters(), max_size=60).map(lambda text: "whpk_" + text),
    st.text(st.characters(), max_size=60),
)


@pytest.mark.fuzz
@given(body=st.binary(), headers=st.dictionaries(NAMES, VALUES), secrets=st.lists(SECRETS, max_size=3))
def test_whatever_comes_in_only_our_error_comes_out(body: bytes, headers: dict[str, str], secrets: list[str]) -> None:
    with pytest.raises(WebhookVerificationError) as caught:
        Keyring(secrets).verify(body, headers, now=NOW)
    assert caught.value.reason
