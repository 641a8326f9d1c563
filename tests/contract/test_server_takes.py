"""Whatever the real service's operations take, ours take: each field and query name, each value that the facts list."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.promises import OPERATIONS
from tests.server.rig import serving

DESCRIBED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "contract" / "openapi.json").read_bytes())
IN_SCOPE = {name: facts for name, facts in OPERATIONS.items() if "/proofreads" not in name}
WORDS = {"oneOf": {"object"}, "int": {"integer"}}
"""What the facts call a type, where JSON Schema has another word."""


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its reference followed; of `anyOf`, the one that is not null."""
    while True:
        if "$ref" in schema:
            schema = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            [inner] = [each for each in schema["anyOf"] if each.get("type") != "null"]
            schema = {name: value for name, value in schema.items() if name != "anyOf"} | inner
        else:
            return schema


def is_nullable(schema: dict[str, Any]) -> bool:
    return any(each.get("type") == "null" for each in schema.get("anyOf", ()))


def takes(schema: dict[str, Any], facts: dict[str, Any], where: str) -> None:
    """The schema takes everything that the facts list."""
    types = {facts["type"]} if isinstance(facts["type"], str) else set(facts["type"])
    found = resolved(schema)
    for kind in types - {"null"}:
        assert found["type"] in WORDS.get(kind, {kind}), f"{where} takes {found['type']}, not {kind}"
    assert is_nullable(schema) or "null" not in types, f"{where} does not take null"
    assert set(found.get("enum", ())) >= set(facts.get("enum", ())), f"{where} takes {found.get('enum')} only"
    if "default" in facts:
        assert schema.get("default") == facts["default"], f"{where} has another default"
    if "items_enum" in facts:
        assert set(found["items"]["enum"]) >= set(facts["items_enum"]), f"{where} does not take every value"
    inner = resolved(found["items"]) if found["type"] == "array" else found
    if "fields" in facts:
        takes_fields(inner, facts["fields"], where)


def takes_fields(schema: dict[str, Any], facts: dict[str, Any], where: str) -> None:
    required = {name for name, fact in facts.items() if fact.get("required")}
    assert set(schema.get("required", ())) == required, f"{where} requires {schema.get('required')}"
    for name, fact in facts.items():
        assert name in schema["properties"], f"{where} does not know {name}"
        takes(schema["properties"][name], fact, f"{where}.{name}")


def operation(name: str) -> dict[str, Any]:
    method, path = name.split()
    found: dict[str, Any] = DESCRIBED["paths"][path][method.lower()]
    return found


@pytest.mark.parametrize("name", [name for name, facts in IN_SCOPE.items() if "request" in facts])
def test_every_field_of_the_real_request_is_taken_as_the_facts_say(name: str) -> None:
    schema = operation(name)["requestBody"]["content"]["application/json"]["schema"]
    takes_fields(resolved(schema), IN_SCOPE[name]["request"], name)


@pytest.mark.parametrize("name", [name for name, facts in IN_SCOPE.items() if "query" in facts])
def test_every_query_name_of_the_real_operation_is_taken_as_the_facts_say(name: str) -> None:
    ours = {each["name"]: each["schema"] for each in operation(name)["parameters"] if each["in"] == "query"}
    for query, facts in IN_SCOPE[name]["query"].items():
        takes(ours[query], facts, f"{name}?{query}")


STREAM = "/v3/events/stream"  # endless: tests/server/api/test_stream.py asks it
QUERIES = [
    (path, each["name"])
    for path, methods in DESCRIBED["paths"].items()
    for each in methods.get("get", {}).get("parameters", ())
    if each["in"] == "query" and "_" in each["name"] and path != STREAM
]
VALUES = {
    "after_sequence": "none",
    "batch_ids": "btch_none",
    "created_after": "1800000001",
    "endpoint_id": "ep_none",
    "event_id": "evt_1",
    "event_type": "video_translate.pending",
}
"""What to ask for by the names in queries; the others are of a job's id."""


@pytest.mark.parametrize(("path", "name"), QUERIES)
async def test_a_query_name_may_be_written_with_hyphens(path: str, name: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        await rig.register()
        for _ in range(2):
            await rig.translate()
            await rig.advance(1)

        async def ask(query: dict[str, str]) -> tuple[int, bytes]:
            answer = await rig.http.get(path.format(video_translation_id="vt_1"), params=query)
            return answer.status_code, answer.content

        value = VALUES.get(name, "vt_1")
        with_underscores = await ask({name: value})
        assert await ask({name.replace("_", "-"): value}) == with_underscores
        assert await ask({}) != with_underscores, "the name made no difference"
