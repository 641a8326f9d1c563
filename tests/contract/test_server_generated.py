"""The generated half of contract/ is what the code of today would write, and it says what the server does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, TypeAdapter

from tests.forked import completed
from tests.server.promises import OPERATIONS, fits
from tests.waiting import PATIENCE
from video_translation_server.wire.batches import BatchRequest
from video_translation_server.wire.events import EVENT_TYPES
from video_translation_server.wire.requests import EndpointPatch, EndpointRequest, TitleRequest, TranslationRequest
from video_translation_server.wire.responses import (
    Answer,
    BatchAnswer,
    BulkStatus,
    Created,
    EndpointAnswer,
    ErrorAnswer,
    EventBody,
    EventPage,
    Languages,
    NewEndpoint,
    Page,
    Status,
    Translation,
    User,
)

CONTRACT = Path(__file__).parents[2] / "contract"
GENERATE = [sys.executable, "-m", "video_translation_server.contract"]
GET_ONE = "GET /v3/video-translations/{video_translation_id}"

EXAMPLES: dict[str, tuple[type[BaseModel], str | None]] = {
    "answer.batch": (Answer[BatchAnswer], "GET /v3/video-translations/batches/{batch_id}"),
    "answer.batch.created": (Answer[BatchAnswer], None),
    "answer.endpoint.created": (Answer[NewEndpoint], "POST /v3/webhooks/endpoints"),
    "answer.endpoints": (Page[EndpointAnswer], "GET /v3/webhooks/endpoints"),
    "answer.error": (ErrorAnswer, None),
    "answer.event_types": (Page[dict[str, str]], "GET /v3/webhooks/event-types"),
    "answer.events": (EventPage, "GET /v3/webhooks/events"),
    "answer.languages": (Answer[Languages], "GET /v3/video-translations/languages"),
    "answer.status.completed": (Status, None),
    "answer.status.error": (Status, None),
    "answer.status.pending": (Status, None),
    "answer.statuses": (Page[BulkStatus], "GET /v3/video-translations/statuses"),
    "answer.translation.completed": (Answer[Translation], GET_ONE),
    "answer.translation.failed": (Answer[Translation], GET_ONE),
    "answer.translations.created": (Answer[Created], "POST /v3/video-translations"),
    "answer.translations": (Page[Translation], "GET /v3/video-translations"),
    "answer.user": (Answer[User], None),
    "event.batch.finished": (EventBody, None),
    "event.video_translate.fail": (EventBody, None),
    "event.video_translate.pending": (EventBody, None),
    "event.video_translate.running": (EventBody, None),
    "event.video_translate.success": (EventBody, None),
}


def read(name: str) -> Any:
    return json.loads((CONTRACT / name).read_bytes())


def test_every_generated_file_is_fresh() -> None:
    command = [*GENERATE, "--check", str(CONTRACT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 0, f"{result.stderr}\nfix with: make contract"


def test_what_is_generated_is_the_same_bytes_every_time_and_a_stale_file_is_named(tmp_path: Path) -> None:
    assert completed([*GENERATE, str(tmp_path)]).returncode == 0
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert written == {name: (CONTRACT / name).read_bytes() for name in written}
    assert {Path(name).stem for name in written if name.startswith("examples")} == set(EXAMPLES)
    (tmp_path / "examples" / "answer.error.json").write_text("{}")
    (tmp_path / "openapi.json").unlink()
    result = completed([*GENERATE, "--check", str(tmp_path)])
    assert result.returncode == 1
    assert "answer.error.json" in result.stderr
    assert "openapi.json" in result.stderr
    assert "event.schema.json" not in result.stderr


def test_there_is_no_example_that_nothing_makes() -> None:
    assert {path.stem for path in (CONTRACT / "examples").iterdir()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_its_models_fields_and_the_real_services(name: str) -> None:
    model, operation = EXAMPLES[name]
    content = (CONTRACT / "examples" / f"{name}.json").read_bytes()
    TypeAdapter(model).validate_json(content, strict=True, extra="forbid")
    if operation is not None:
        facts = OPERATIONS[operation]["response"]
        for field, fact in facts.items():
            fits(json.loads(content)[field], fact, field)


def test_the_openapi_is_valid_and_names_errors_that_occur() -> None:
    described = read("openapi.json")
    validate(described)
    # The framework's own shape of a refusal never leaves the server.
    assert "HTTPValidationError" not in json.dumps(described)


@pytest.mark.parametrize(
    ("operation", "model"),
    [
        ("POST /v3/video-translations", TranslationRequest),
        ("POST /v3/video-translations/batches", BatchRequest),
        ("PATCH /v3/video-translations/{video_translation_id}", TitleRequest),
        ("POST /v3/webhooks/endpoints", EndpointRequest),
        ("PATCH /v3/webhooks/endpoints/{endpoint_id}", EndpointPatch),
    ],
)
def test_a_request_takes_every_field_of_the_real_service(operation: str, model: type[BaseModel]) -> None:
    facts = OPERATIONS[operation]["request"]
    assert set(facts) <= set(model.model_fields)
    for name, fact in facts.items():
        field = model.model_fields[name]
        assert field.is_required() == fact.get("required", False), name
        if "default" in fact:
            assert field.default == fact["default"], name
        schema = TypeAdapter(model).json_schema()["properties"][name]
        if "enum" in fact:
            assert json.dumps(fact["enum"]) in json.dumps(schema), name


def test_the_list_takes_the_real_services_query() -> None:
    described = read("openapi.json")["paths"]
    for operation, facts in OPERATIONS.items():
        method, path = operation.split()
        if path not in described or method.lower() not in described[path]:
            continue
        parameters = {item["name"]: item for item in described[path][method.lower()].get("parameters", [])}
        for name, fact in facts.get("query", {}).items():
            assert name in parameters, operation
            if "default" in fact:
                assert parameters[name]["schema"]["default"] == fact["default"], operation


def test_every_real_event_type_is_known() -> None:
    assert set(OPERATIONS["POST /v3/webhooks/endpoints"]["request"]["events"]["items_enum"]) <= set(EVENT_TYPES)
