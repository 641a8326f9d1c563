"""What every answer of the API must be: its model without a field more, and the real service's shape."""

import json
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from video_translation_server.wire.responses import ErrorAnswer

OPERATIONS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "contract" / "heygen_v3.json").read_text())[
    "operations"
]

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def conforms(answer: httpx.Response, model: type[BaseModel], operation: str | None = None) -> Any:
    """The body of a 200, checked against our model and against the facts of the real service's operation."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    model.model_validate_json(answer.content, strict=True, extra="forbid")
    body = answer.json()
    if operation is not None:
        for name, facts in OPERATIONS[operation]["response"].items():
            if name != "error":
                assert name in body
                fits(body[name], facts, name)
    return body


def fits(value: Any, facts: dict[str, Any], where: str) -> None:
    """The value has the type, the fields and the enum that the facts tell."""
    types = [facts["type"]] if isinstance(facts["type"], str) else facts["type"]
    assert isinstance(value, sum((TYPES[name] for name in types), ())), f"{where} is {value!r}, not {types}"
    assert "boolean" in types or not isinstance(value, bool), f"{where} is {value!r}"
    if "enum" in facts:
        assert value in facts["enum"], f"{where} is {value!r}"
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            continue
        for name, inner in facts.get("fields", {}).items():
            assert name in item or not inner.get("required"), f"{where}.{name} is missing"
            if name in item:
                fits(item[name], inner, f"{where}.{name}")


def refused(answer: httpx.Response, status: int, code: str, param: str | None = None, message: str = "") -> None:
    """An error in the wire's shape: this status, code and field; the message contains the words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    problem = ErrorAnswer.model_validate_json(answer.content, strict=True, extra="forbid").error
    assert problem.code == code
    assert problem.param == param, answer.text
    assert message in problem.message
    assert len(answer.content) < 10_000, "an error must not echo what it was sent without bound"
