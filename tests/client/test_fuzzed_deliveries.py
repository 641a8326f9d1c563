"""Whatever comes in, to `unwrap`, to `verify` or to a receiver: our error or a valid event, and always a reply."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.fake_server import sign
from video_translation_client import Event, JobSnapshot, Receiver, Reply, Webhooks, WebhookVerificationError
from video_translation_client._metrics import Meter

pytestmark = pytest.mark.fuzz

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SEED = "whsk_" + base64.b64encode(bytes(range(32))).decode()
NOW = 1_763_683_200
REASONS = {
    *("missing_headers", "malformed_headers", "timestamp_out_of_tolerance"),
    *("no_matching_signature", "no_usable_secret", "malformed_body"),
}
NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature", "heygen-signature", "heygen-event-id"]

any_text = st.text(st.characters(exclude_categories=()), max_size=80)  # surrogates too
keys = st.binary(max_size=70).map(lambda key: base64.b64encode(key).decode())
any_secret = st.one_of(
    st.sampled_from([SECRET, SEED, "whsec_", "whsk_", "whpk_", ""]),
    st.tuples(st.sampled_from(["whsec_", "whsk_", "whpk_", ""]), keys | any_text).map("".join),
)
odd = st.one_of(st.none(), st.integers(), st.floats(), st.binary(max_size=20), st.lists(st.none(), max_size=2))
signatures = st.lists(
    st.tuples(st.sampled_from(["v1,", "v1a,", "v2,", "v1", ",", ""]), keys | any_text), max_size=4
).map(lambda entries: " ".join(version + text for version, text in entries))
values = st.one_of(any_text, signatures, st.integers().map(str), st.sampled_from([str(NOW), "00" * 32, "9" * 5000]))
names = st.sampled_from([*NAMES, *(name.title() for name in NAMES)]) | any_text
any_headers = st.dictionaries(names | odd.filter(lambda it: not isinstance(it, list)), values | odd, max_size=6) | odd
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**320),
    st.floats(),
    any_text,
    st.datetimes(timezones=st.none() | st.timezones()).map(lambda when: when.isoformat()),
    st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "video_translate.success", "completed"]),
)
any_json = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3), max_leaves=8
)
fields = ["event_id", "event_type", "created_at", "event_data", "status", "result", "sequence", "progress", "id", "url"]
pairs = st.lists(st.tuples(st.sampled_from(fields), any_json), max_size=8)


def written(entries: list[tuple[str, Any]]) -> str:
    """An object as a text, in which a key may come twice."""
    return "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in entries) + "}"


near_event = st.tuples(pairs, pairs).map(
    lambda two: (
        written([("event_type", "video_translate.running"), *two[0]])[:-1] + ',"event_data":' + written(two[1]) + "}"
    )
)
deep = st.integers(1, 20_000).map(lambda depth: '{"event_type":"x","event_data":' + "[" * depth + "]" * depth + "}")
any_body = st.one_of(
    st.binary(), any_json.map(json.dumps).map(str.encode), near_event.map(str.encode), deep.map(str.encode)
)


def outcome(webhooks: Webhooks, body: Any, headers: Any, secret: Any = None) -> Event | None:
    try:
        event = webhooks.unwrap(body, headers, secret)
    except WebhookVerificationError as error:
        refusal = error
    else:
        assert_valid(event)
        return event
    assert refusal.reason in REASONS
    assert str(refusal)
    return None


def assert_valid(event: Event) -> None:
    assert isinstance(event.job, JobSnapshot)
    assert isinstance(event.id, str)
    assert event.id
    assert isinstance(event.type, str)


@given(body=any_body | odd | any_text, headers=any_headers, secret=any_secret | st.lists(any_secret | odd, max_size=3))
@example(body=b"{}", headers={"heygen-signature": "é" * 64}, secret=SECRET)
@example(body=b"{}", headers={"webhook-signature": "v1a," + "A" * 86, "webhook-id": "\ud800"}, secret=SEED)
def test_a_stranger_gets_nothing_but_our_error(body: Any, headers: Any, secret: Any) -> None:
    with contextlib.suppress(TypeError, ValueError):  # a malformed secret is refused before anything comes
        assert outcome(Webhooks(secret, now=lambda: NOW), body, headers) is None
    assert outcome(Webhooks(now=lambda: NOW), body, headers, secret) is None


@given(body=any_body, family=st.sampled_from(["standard", "heygen", "v1a"]))
def test_a_signed_body_is_a_valid_event_or_our_error(body: bytes, family: str) -> None:
    webhooks = Webhooks(SEED if family == "v1a" else SECRET, now=lambda: NOW)
    headers = webhooks.sign(body, event_id="evt_1")
    if family == "heygen":
        headers = {"Heygen-Signature": headers["heygen-signature"]}
    assert webhooks.verify(body, headers).family in ("standard", "heygen")
    outcome(webhooks, body, headers)


@given(body=any_body, change=st.dictionaries(st.sampled_from(NAMES), values | odd, min_size=1, max_size=3))
def test_a_genuine_delivery_that_was_tampered_with_is_refused_or_unharmed(body: bytes, change: dict[str, Any]) -> None:
    headers: dict[str, Any] = sign(body, SECRET, "evt_1", NOW) | change
    outcome(Webhooks(SECRET, now=lambda: NOW), body, headers)


@given(secret=any_secret | st.lists(any_secret | odd, max_size=3) | st.none(), event_id=any_text, body=st.binary())
def test_signing_gives_headers_that_verify_or_a_value_error(secret: Any, event_id: str, body: bytes) -> None:
    try:
        webhooks = Webhooks(secret, now=lambda: NOW)
        headers = webhooks.sign(body, event_id=event_id)
    except (TypeError, ValueError):
        return
    if event_id:
        assert webhooks.verify(body, headers).event_id == event_id


@given(method=any_text | st.sampled_from(["POST", "GET", "OPTIONS"]) | odd, headers=any_headers, body=any_body | odd)
def test_a_receiver_always_replies(method: Any, headers: Any, body: Any) -> None:
    receiver = Receiver(fail_if_called, Meter(), now=lambda: NOW)
    receiver.trust([SECRET])
    reply = receiver.handle(method, headers, body)
    assert isinstance(reply, Reply)
    assert reply.status in (200, 204, 400, 401, 405, 413, 431)


@given(body=any_body)
def test_a_receiver_takes_what_is_signed_once_it_is_an_event(body: bytes) -> None:
    taken: list[Event] = []
    receiver = Receiver(taken.append, Meter(), now=lambda: NOW)
    receiver.trust([SECRET])
    status = receiver.handle("POST", sign(body, SECRET, "evt_1", NOW), body).status
    assert (status, len(taken)) in ((204, 1), (400, 0))


def fail_if_called(event: Event) -> None:
    raise AssertionError(event)
