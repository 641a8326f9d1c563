"""Writes the tables of docs/fidelity.md: every path, field and event type, and whether it is the real service's.

They follow from what contract/ holds: the facts of the real service, what we add, the description of the API. The prose
around them is written by hand.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "contract"
PAGE = ROOT / "docs" / "fidelity.md"
OUT_OF_SCOPE = "/proofreads"
REFERENCE = "$ref"


def read(name: str) -> Any:
    return json.loads((CONTRACT / name).read_bytes())


FACTS: dict[str, Any] = read("heygen_v3.json")["operations"]
OURS: dict[str, Any] = read("additions.json")
API: dict[str, Any] = read("openapi.json")
TYPES: list[dict[str, str]] = read("examples/answer.event_types.json")["data"]


def operations() -> dict[str, dict[str, Any]]:
    """What the server offers, by method and path."""
    return {f"{m.upper()} {path}": each for path, methods in API["paths"].items() for m, each in methods.items()}


def schema(found: dict[str, Any]) -> dict[str, Any]:
    """The object that a schema describes, through references, lists and alternatives."""
    while "properties" not in found:
        if REFERENCE in found:
            found = API["components"]["schemas"][found[REFERENCE].rpartition("/")[2]]
        elif "anyOf" in found:
            found = found["anyOf"][0]
        elif found.get("type") == "array":
            found = found["items"]
        else:
            return {}
    return found


def described_fields(found: dict[str, Any], where: str = "") -> Iterator[str]:
    """The fields that a schema describes, all the way down, by their paths."""
    for name, inner in schema(found).get("properties", {}).items():
        yield f"{where}{name}"
        yield from described_fields(inner, f"{where}{name}.")


def known_fields(facts: dict[str, Any], where: str = "") -> Iterator[str]:
    """The fields that the facts list, all the way down, by their paths."""
    for name, inner in facts.items():
        yield f"{where}{name}"
        yield from known_fields(inner.get("fields", {}), f"{where}{name}.")


def answer_of(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation["responses"]["200"].get("content", {}).get("application/json", {})
    found: dict[str, Any] = content.get("schema", {})
    return found


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    bodies: list[dict[str, Any]] = list(operation.get("requestBody", {}).get("content", {}).values())
    found: dict[str, Any] = bodies[0]["schema"] if bodies else {}
    return found


def kind_of(name: str) -> str:
    if name in FACTS:
        return "faithful"
    return "chosen" if name in OURS["chosen"] else "ours"


def listed(names: Iterator[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "-"


def path_rows() -> Iterator[tuple[str, ...]]:
    yield "operation", "", "what it does"
    for name, operation in sorted(operations().items(), key=lambda each: (each[0].split()[1], each[0])):
        yield f"`{name}`", kind_of(name), operation["description"].splitlines()[0]
    for name in FACTS:
        if OUT_OF_SCOPE in name:
            yield f"`{name}`", "not there", "Proofreads are out of scope: 404."


def divided(sent: set[str], known: set[str], *, is_known: bool) -> tuple[str, str]:
    """The fields that the facts list, and the others; where the facts list none, what we chose."""
    if not is_known:
        return "-", listed(sent)
    known = known | {name for name in sent if ".".join(name.split(".")[-2:]) in OURS["documented"]}
    return listed(sent & known), listed(sent - known)


def field_rows() -> Iterator[tuple[str, ...]]:
    yield "operation", "part", "faithful", "chosen or ours"
    for name, operation in sorted(operations().items(), key=lambda each: (each[0].split()[1], each[0])):
        if kind_of(name) == "ours":
            continue
        facts = FACTS.get(name, {})
        queries = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        parts = {
            "query": (queries, set(facts.get("query", ())), name in FACTS),
            "request": (
                set(described_fields(body_of(operation))),
                set(known_fields(facts.get("request", {}))),
                "request" in facts,
            ),
            "answer": (
                set(described_fields(answer_of(operation))),
                set(known_fields(facts.get("response", {}))),
                "response" in facts,
            ),
        }
        for part, (sent, known, is_known) in parts.items():
            if sent:
                yield f"`{name}`", part, *divided(sent, known, is_known=is_known)


def type_rows() -> Iterator[tuple[str, ...]]:
    real = set(FACTS["POST /v3/webhooks/endpoints"]["request"]["events"]["items_enum"])
    yield "event type", "", "what it tells"
    for each in sorted(TYPES, key=lambda found: (found["event_type"] not in real, found["event_type"])):
        kind = "faithful" if each["event_type"] in real else "ours"
        yield f"`{each['event_type']}`", kind, each["description"]


TABLES = {"paths": path_rows, "fields": field_rows, "types": type_rows}


def table(rows: Iterator[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def written(page: str) -> str:
    """The page with its tables as they follow from contract/."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- {name}: made by `make contract` -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{table(rows())}\n{end}{after}"
    return page


if __name__ == "__main__":
    now = PAGE.read_text("utf-8")
    if "--check" in sys.argv:
        sys.exit(now != written(now))
    PAGE.write_text(written(now), "utf-8")
