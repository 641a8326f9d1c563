from __future__ import annotations

import json
from typing import Any

import pytest

from video_translation_client import (
    APIError,
    AuthenticationError,
    ConflictError,
    GoneError,
    InsufficientCreditError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from video_translation_client import _operations as operations


def answer(operation: operations.Operation[Any], payload: Any, status: int = 200) -> Any:
    return operations.interpret(operation, status, {}, json.dumps(payload).encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (413, PayloadTooLargeError),
        (415, InvalidRequestError),
        (418, APIError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_an_error_is_of_its_statuss_class_and_says_what_the_service_said(status: int, kind: type[APIError]) -> None:
    body = json.dumps({"error": {"code": "odd", "message": "Not like this", "param": "video"}}).encode()
    headers = {"x-request-id": "req_7", "retry-after": "12"}
    with pytest.raises(kind) as caught:
        operations.interpret(operations.get_job("vt_1"), status, headers, body)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.param) == (status, "odd", "video")
    assert (error.request_id, error.retry_after) == ("req_7", 12.0)
    for part in ("GET /v3/video-translations/vt_1", "Not like this", "req_7", "video"):
        assert part in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": {}}', b"[" * 100_000])
def test_an_error_in_a_foreign_shape_is_an_error_all_the_same(body: bytes) -> None:
    with pytest.raises(ServerError):
        operations.interpret(operations.get_status(), 502, {"retry-after": "tomorrow"}, body)


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        (operations.get_job("a"), {}),
        (operations.get_job("a"), {"data": []}),
        (operations.get_status(), []),
        (operations.create_translation("u", ["French"], {}), {"data": {"video_translation_ids": "vt_1"}}),
        (operations.create_translation("u", ["French"], {}), {"data": {"video_translation_ids": [1]}}),
        (operations.create_endpoint("u", ttl_seconds=None), {"data": {}}),
        (operations.list_endpoints(), {"data": {}}),
        (operations.list_endpoints(), {"data": [3]}),
        (operations.list_events(), {"data": None}),
        (operations.get_statuses(["a"]), {"data": [{"video_id": "a"}]}),
        (operations.list_languages(), {"data": {"languages": [1]}}),
        (operations.rotate_secret("ep"), {"data": {"secret": None}}),
        (operations.get_delivery("dlv_1"), {"data": {}}),
        (operations.get_delivery("dlv_1"), {"data": {"delivery_id": "dlv_1", "attempt_log": [1]}}),
        (operations.recover("ep", 0), {"data": {"endpoint_id": "ep"}}),
    ],
)
def test_an_answer_of_another_shape_is_named(operation: operations.Operation[Any], payload: Any) -> None:
    with pytest.raises(UnexpectedResponseError, match="shape"):
        answer(operation, payload)


def test_a_redirect_or_a_page_is_no_answer() -> None:
    with pytest.raises(UnexpectedResponseError, match="base URL"):
        operations.interpret(operations.get_status(), 302, {}, b"")
    with pytest.raises(UnexpectedResponseError, match="html"):
        operations.interpret(operations.get_status(), 200, {}, b"<html>")


def test_ids_are_quoted_in_paths() -> None:
    assert operations.get_job("../a b").path == "/v3/video-translations/..%2Fa%20b"
    assert operations.renew_endpoint("a/b").path == "/v3/webhooks/endpoints/a%2Fb/renew"


def test_a_translation_is_asked_for_in_the_services_own_words() -> None:
    operation = operations.create_translation("https://v", ("French",), {"title": "T"})
    assert operation.body == {
        "video": {"type": "url", "url": "https://v"},
        "output_languages": ["French"],
        "title": "T",
    }
    asset = {"type": "asset_id", "asset_id": "a"}
    body = operations.create_translation(asset, ["French"], {}).body
    assert body is not None
    assert body["video"] == asset
    assert answer(operation, {"data": {"video_translation_ids": ["a", "b"]}}) == ("a", "b")


def test_an_endpoint_is_created_for_every_type_and_marked() -> None:
    assert operations.create_endpoint("http://h", ttl_seconds=60).body == {
        "url": "http://h",
        "events": None,
        "description": operations.MARKER,
        "ttl_seconds": 60,
    }
    assert operations.create_endpoint("http://h", ttl_seconds=60, plain=True).body == {
        "url": "http://h",
        "events": None,
    }
    created = {"endpoint_id": "ep", "url": "u", "secret": "whsec_x", "cursor": "cur_1", "ttl_seconds": 60.0}
    endpoint = answer(operations.create_endpoint("u", ttl_seconds=60), {"data": created}, 201)
    assert (endpoint.secret, endpoint.cursor, endpoint.ttl_seconds) == ("whsec_x", "cur_1", 60.0)
    assert "whsec_x" not in repr(endpoint)


@pytest.mark.parametrize(
    ("fields", "orphan"),
    [
        ({"description": operations.MARKER}, True),
        ({}, True),
        ({"description": None}, False),
        ({"description": "somebody else's"}, False),
        ({"url": "http://other", "description": operations.MARKER}, False),
    ],
)
def test_an_orphan_is_ours_or_of_a_service_without_descriptions(fields: dict[str, Any], orphan: bool) -> None:
    page = answer(operations.list_endpoints(), {"data": [{"endpoint_id": "ep", "url": "http://h", **fields}]})
    assert page.items[0].is_orphan_of("http://h") is orphan


def test_a_page_of_the_log_skips_what_nobody_can_read(caplog: pytest.LogCaptureFixture) -> None:
    items = [{"event_id": "evt_1", "event_type": "x"}, {"odd": 1}]
    page = answer(operations.list_events("cur_0", job_id="a"), {"data": items, "has_more": True})
    assert ([event.id for event in page.events], page.has_more, page.cursor) == (["evt_1"], True, "evt_1")
    assert "skipped" in caplog.text
    assert answer(operations.list_events(), {"data": [], "cursor": "cur_9"}).cursor == "cur_9"


def test_bulk_statuses_are_in_our_words_without_jobs_that_nobody_knows() -> None:
    words = {"a": "queued", "b": "processing", "c": "completed", "d": "failed", "e": "not_found", "f": "dreaming"}
    items: list[dict[str, Any]] = [
        {"video_id": job_id, "status": word, "error": None} for job_id, word in words.items()
    ]
    items[3] |= {"error": {"code": "x", "message": "No speech"}}
    operation = operations.get_statuses(list(words))
    page = answer(operation, {"data": items, "has_more": True, "next_token": "t"})
    assert operation.query == {"video_translation_ids": "a,b,c,d,e,f"}
    assert {job.id: (job.status, job.result) for job in page.items} == {
        "a": ("pending", "pending"),
        "b": ("running", "pending"),
        "c": ("completed", "completed"),
        "d": ("failed", "error"),
        "f": ("dreaming", "pending"),
    }
    assert page.items[3].failure_message == "No speech"
    assert page.next_token == "t"
    assert operations.get_statuses(["a"], "t").query["token"] == "t"


def test_a_list_of_jobs_is_filtered_even_where_the_service_does_not() -> None:
    items = [{"id": "a", "status": "failed"}, {"id": "b", "status": "running"}]
    operation = operations.list_jobs("t", status="running")
    assert operation.query == {"limit": 100, "token": "t", "status": "running"}
    assert [job.id for job in answer(operation, {"data": items, "has_more": False, "next_token": "x"}).items] == ["b"]
    assert answer(operations.list_jobs(), {"data": items, "has_more": False, "next_token": "x"}).next_token is None


def test_what_makes_something_carries_a_key_and_the_rest_may_be_repeated() -> None:
    keyed: list[operations.Operation[Any]] = [
        operations.create_translation("u", ["French"], {}),
        operations.cancel_job("a"),
        operations.add_endpoint("u", events=["x"], description="mine"),
        operations.rotate_secret("ep", overlap_seconds=60),
        operations.resend("dlv_1"),
        operations.test_endpoint("ep"),
        operations.recover("ep", 0),
        operations.replay("ep", 1.5),
    ]
    assert all(operation.keyed and operation.method == "POST" for operation in keyed)
    assert keyed[2].body == {"url": "u", "events": ["x"], "description": "mine"}
    assert keyed[3].body == {"overlap_seconds": 60}
    assert keyed[7].body == {"since": "1970-01-01T00:00:01.500000+00:00"}
    read: list[operations.Operation[Any]] = [
        operations.get_endpoint("ep"),
        operations.update_endpoint("ep", status="enabled"),
        operations.list_deliveries(state="dead"),
        operations.get_recovery("rec_1"),
        operations.workspace_secret(),
        operations.list_event_types(),
    ]
    assert all(operation.repeatable and not operation.keyed for operation in read)


def test_a_delivery_is_read_with_its_attempts() -> None:
    attempt = {
        "number": 1,
        "started_at": "2026-11-21T00:00:00Z",
        "duration_ms": 1.5,
        "outcome": "status",
        "status": 500,
    }
    raw = {"delivery_id": "dlv_1", "state": "due", "attempts": 1, "attempt_log": [attempt], "video_translate_id": "a"}
    delivery = answer(operations.get_delivery("dlv_1"), {"data": raw})
    assert (delivery.id, delivery.state, delivery.job_id, delivery.attempts) == ("dlv_1", "due", "a", 1)
    assert (delivery.attempt_log[0].status, delivery.attempt_log[0].outcome) == (500, "status")
    (listed,) = answer(operations.list_deliveries(), {"data": [raw], "has_more": False}).items
    assert listed.id == "dlv_1"


def test_the_remaining_answers_are_read() -> None:
    assert answer(operations.list_languages(), {"data": {"languages": ["French"]}}) == ("French",)
    assert answer(operations.rotate_secret("ep"), {"data": {"secret": "whsec_n"}}) == "whsec_n"
    types = {"data": [{"event_type": "x", "description": "d"}, 3]}
    assert answer(operations.list_event_types(), types) == {"x": "d"}
    recovery = {"recovery_id": "rec_1", "endpoint_id": "ep", "kind": "replay", "status": "running", "deliveries": 3}
    assert answer(operations.get_recovery("rec_1"), {"data": recovery}).deliveries == 3
    raw = {"endpoint_id": "ep", "url": "u", "events": ["x"], "status": "enabled", "ordering": "none"}
    endpoint = answer(operations.get_endpoint("ep"), {"data": raw})
    assert (endpoint.events, endpoint.status, endpoint.extra) == (("x",), "enabled", {"ordering": "none"})
