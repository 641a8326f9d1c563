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
    assert page.endpoints[0].is_orphan_of("http://h") is orphan


def test_a_page_of_the_log_skips_what_nobody_can_read(caplog: pytest.LogCaptureFixture) -> None:
    items = [{"event_id": "evt_1", "event_type": "x"}, {"odd": 1}]
    page = answer(operations.list_events("cur_0", job_id="a"), {"data": items, "has_more": True})
    assert ([event.id for event in page.events], page.has_more, page.cursor) == (["evt_1"], True, "evt_1")
    assert "skipped" in caplog.text
    assert answer(operations.list_events(), {"data": [], "cursor": "cur_9"}).cursor == "cur_9"
