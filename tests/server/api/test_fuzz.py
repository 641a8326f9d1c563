"""Random JSON, random queries: whatever comes, the answer is the wire's and never a 5xx."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.promises import refused
from tests.server.rig import ENDPOINTS, EVENTS, HOOK, JOBS, VIDEO, serving
from video_translation_server.wire.requests import EndpointPatch, EndpointRequest, TranslationRequest
from video_translation_server.wire.responses import ErrorAnswer


class Ask(Protocol):
    """Sends one request and checks what comes of it."""

    def __call__(self, method: str, path: str, **request: Any) -> None: ...


pytestmark = pytest.mark.fuzz
LONG = settings.get_current_profile_name() == "fuzz"
FUZZ = settings(
    max_examples=settings().max_examples if LONG else 120,
    deadline=None,
    database=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=30) | st.sampled_from(
    ["English", "url", "https://example.com", "http://", "\x00", "\ud800", "batch.finished", HOOK]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))
anything = values | st.dictionaries(
    st.sampled_from([*TranslationRequest.model_fields, *EndpointRequest.model_fields]) | texts, values, max_size=6
)
jobs = st.fixed_dictionaries({"video": st.just(VIDEO), "output_languages": st.just(["English"])})
almost_job = st.tuples(
    jobs, st.dictionaries(st.sampled_from(list(TranslationRequest.model_fields)), values, max_size=2)
).map(lambda pair: pair[0] | pair[1])
almost_endpoint = st.dictionaries(st.sampled_from(list(EndpointRequest.model_fields)), values, max_size=2).map(
    lambda change: {"url": HOOK} | change
)

change = st.dictionaries(st.sampled_from(list(EndpointPatch.model_fields)) | texts, values, max_size=3)
rotation = st.dictionaries(st.just("overlap_seconds") | texts, values, max_size=2)
since = st.dictionaries(
    st.just("since") | texts, values | st.datetimes(timezones=st.timezones()).map(lambda when: when.isoformat())
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """One server for all examples of the module: what it keeps is counted before and after a refusal."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        stack = AsyncExitStack()
        rig = runner.run(stack.enter_async_context(serving(Path(folder))))

        async def exchange(method: str, path: str, request: dict[str, Any]) -> None:
            before = await rig.store.last_position()
            answer = await rig.http.request(method, path, **request)
            assert answer.headers["x-request-id"]
            endpoints = (await rig.http.get(ENDPOINTS)).json()["data"]
            if answer.status_code == 200:
                for endpoint in endpoints:
                    await rig.http.delete(f"{ENDPOINTS}/{endpoint['endpoint_id']}")
                return
            param = ErrorAnswer.model_validate_json(answer.content, strict=True, extra="forbid").error.param
            if answer.status_code != 404 or path != "/status":
                assert param is not None
                refused(answer, 400, "invalid_parameter", param)
            assert endpoints == []
            assert await rig.store.last_position() == before

        yield lambda method, path, **request: runner.run(exchange(method, path, request))
        runner.run(stack.aclose())


def post(ask: Ask, path: str, body: Any) -> None:
    ask("POST", path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


@FUZZ
@given(body=anything | almost_job)
def test_random_json_as_a_translation(ask: Ask, body: Any) -> None:
    post(ask, JOBS, body)


@FUZZ
@given(body=anything | almost_endpoint)
def test_random_json_as_an_endpoint(ask: Ask, body: Any) -> None:
    post(ask, ENDPOINTS, body)


@pytest.fixture(scope="module")
def change_of_one() -> Iterator[Ask]:
    """One endpoint for all examples: whatever is sent to it, it is changed as a whole or not at all."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        stack = AsyncExitStack()
        rig = runner.run(stack.enter_async_context(serving(Path(folder))))
        endpoint = f"{ENDPOINTS}/{runner.run(rig.register())['endpoint_id']}"

        async def exchange(method: str, path: str, request: dict[str, Any]) -> None:
            before = await rig.store.endpoint("ws_default", "ep_1")
            answer = await rig.http.request(method, endpoint + path, **request)
            if answer.status_code == 200:
                return
            param = ErrorAnswer.model_validate_json(answer.content, strict=True, extra="forbid").error.param
            assert param is not None
            refused(answer, 400, "invalid_parameter", param)
            assert await rig.store.endpoint("ws_default", "ep_1") == before

        yield lambda method, path, **request: runner.run(exchange(method, path, request))
        runner.run(stack.aclose())


@FUZZ
@given(
    call=st.tuples(st.just(("PATCH", "")), change | anything)
    | st.tuples(st.just(("POST", "/rotate-secret")), rotation)
    | st.tuples(st.sampled_from([("POST", "/recover"), ("POST", "/replay")]), since)
)
def test_random_json_for_an_endpoint(change_of_one: Ask, call: tuple[tuple[str, str], Any]) -> None:
    (method, verb), body = call
    change_of_one(method, verb, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


@FUZZ
@given(path=st.sampled_from([JOBS, ENDPOINTS]), content=st.binary(max_size=40))
def test_random_bytes_as_a_body(ask: Ask, path: str, content: bytes) -> None:
    ask("POST", path, content=content or b" ", headers={"Content-Type": "application/json"})


@FUZZ
@given(
    path=st.sampled_from(
        [JOBS, ENDPOINTS, EVENTS, "/status", f"{JOBS}/languages", f"{JOBS}/statuses", "/v3/webhooks/event-types"]
    ),
    query=st.lists(
        st.tuples(
            st.sampled_from(["limit", "token", "after", "event_type", "event-type", "entity-id", "status", "x-y"]),
            st.text(max_size=12),
        ),
        max_size=3,
    ),
)
def test_random_queries(ask: Ask, path: str, query: list[tuple[str, str]]) -> None:
    ask("GET", path, params=[(name, value.encode("utf-8", "replace").decode()) for name, value in query])
