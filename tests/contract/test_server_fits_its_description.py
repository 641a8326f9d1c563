"""What the OpenAPI description promises, the server does: schemathesis makes the requests and judges the answers.

Each operation is asked with what its description allows and with what it forbids, of ids that nobody has and of ids
that exist. No answer is a 5xx, of another shape or status than described; what is forbidden is refused; what is allowed
is taken, unless for a reason that no schema can give.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

from tests.server.rig import ENDPOINTS, HOOK, JOBS, VIDEO, FakeSender, SteppedClock
from video_translation_server import parts
from video_translation_server.testing import TranslationServer

pytestmark = pytest.mark.fuzz

CONTRACT = Path(__file__).parents[2] / "contract"
SCHEMA = schemathesis.openapi.from_dict(json.loads((CONTRACT / "openapi.json").read_bytes()))
WORK = {"video": VIDEO, "output_languages": ["English"]}
ENDLESS = {"GET /v3/events/stream"}  # tests/server/api/test_stream.py reads streams
OPERATIONS = {
    found.label: found for found in (each.ok() for each in SCHEMA.get_all_operations() if isinstance(each, Ok))
}

LONG = settings.get_current_profile_name() == "fuzz"
FEW = settings(
    max_examples=60 if LONG else 5,
    deadline=None,
    database=None,
    derandomize=not LONG,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

BEYOND_A_SCHEMA = {
    "after": "names a place in the log",
    "body": "says which of the fields go together",
    "entity_id": "and video_translate_id name the same job",
    "end_time": "is later than start_time",
    "events": "is not null in a change",
    "headers": "are not those of the connection",
    "last-event-id": "names a place in the log",
    "output_languages": "are named once each",
    "since": "is not in the future",
    "seconds": "do not lead beyond the year 9000",
    "simulation": "says which of its fields go together",
    "status": "is not null in a change",
    "token": "is one that the list has given out",
    "url": "can be called",
    "video_translation_ids": "or batch_ids is given, as ids with commas between them",
    "asset_id": "is one that was uploaded",
    "callback_events": "go with callback_url",
    "callback_url": "can be called",
    "batch_ids": "are ids with commas between them",
    "translation_time": "is a time, or a range that ends later than it begins",
    "polls": "go with the progression manual",
}
"""The `param` of a refusal that a request may meet although its description allows it, and what it would have to be."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TranslationServer]:
    """A server on a thread; nothing leaves it, whatever URL an endpoint is given."""
    sender = FakeSender(SteppedClock())
    folder = tmp_path_factory.mktemp("described")
    with mock.patch.object(parts, "Http1Sender", return_value=sender), TranslationServer(folder) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: TranslationServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


CREATIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "batch_id": (f"{JOBS}/batches", {"video_translations": [WORK]}, "batch_id"),
    "delivery_id": (ENDPOINTS + "/{endpoint_id}/test", {}, "delivery_id"),
    "endpoint_id": (ENDPOINTS, {"url": HOOK}, "endpoint_id"),
    "key_id": ("/v3/admin/workspaces/{workspace_id}/keys", {}, "key_id"),
    "recovery_id": (ENDPOINTS + "/{endpoint_id}/replay", {}, "recovery_id"),
    "video_translation_id": (JOBS, WORK, "video_translation_ids"),
    "workspace_id": ("/v3/admin/workspaces", {"name": "one"}, "workspace_id"),
}
"""By the names that paths have for ids: what makes a new one, and where its answer has the id."""


def create(name: str, http: httpx.Client) -> str:
    path, body, field = CREATIONS[name]
    needed = {other: create(other, http) for other in re.findall(r"{(\w+)}", path)}
    made = http.post(path.format(**needed), json=body).raise_for_status().json()["data"][field]
    return made if isinstance(made, str) else str(made[0])


def judge(case: Case[Any], answer: Response) -> None:
    """Every check of schemathesis, but for a request that was refused for a reason beyond its description."""
    try:
        param = answer.json()["error"]["param"] if answer.status_code == 400 else ""
    except KeyError:
        param = ""
    beyond = any(name in BEYOND_A_SCHEMA for name in param.replace("[", ".").split("."))
    excluded: list[Any] = [CHECKS.get_one("positive_data_acceptance")] if beyond else []
    if "prefer" in case.headers:
        excluded.append(CHECKS.get_one("negative_data_rejection"))  # what is no preference is passed over (RFC 7240)
    case.validate_response(answer, excluded_checks=excluded)


def written_plainly(value: Any) -> Any:
    """`1.0` as `1`: to JSON Schema both are integers, and nobody writes one with a point."""
    if isinstance(value, dict):
        return {name: written_plainly(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [written_plainly(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def takes_anything(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """True where nothing that can be sent is forbidden: no query, no body."""
    return not operation.query and not operation.body


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - ENDLESS))
def test_an_operation_answers_as_it_is_described(
    name: str, server: TranslationServer, http: httpx.Client, session: requests.Session
) -> None:
    operation = OPERATIONS[name]
    allowed = operation.as_strategy(GenerationMode.POSITIVE)
    forbidden = st.nothing() if takes_anything(operation) else operation.as_strategy(GenerationMode.NEGATIVE)

    @FEW
    @given(case=allowed | forbidden, exists=st.booleans())
    def holds(case: Case[Any], *, exists: bool) -> None:
        for parameter in case.path_parameters.keys() & CREATIONS if exists else ():
            case.path_parameters[parameter] = create(parameter, http)
        if isinstance(case.body, dict) and case.media_type == "application/json":
            case.body = written_plainly(case.body)
        if isinstance(case.query.get("wait"), float | int):
            case.query["wait"] = min(case.query["wait"], 0.01)
        answer = case.call(base_url=server.url, session=session, timeout=30)
        server.faults.clear()
        judge(case, answer)

    holds()
