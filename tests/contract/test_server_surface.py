"""Every answer of the real service's surface against the facts: nothing missing, nothing unknown that is not ours."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.promises import OPERATIONS, fits
from tests.server.rig import ENDPOINTS, EVENTS, JOBS, VIDEO, Rig, serving

CONTRACT = Path(__file__).parents[2] / "contract"
OURS: dict[str, Any] = json.loads((CONTRACT / "additions.json").read_bytes())
IN_SCOPE = [name for name in OPERATIONS if "/proofreads" not in name and "response" in OPERATIONS[name]]
BATCH = f"{JOBS}/batches"


def unknown(value: Any, facts: dict[str, Any], where: str = "") -> Iterator[str]:
    """The paths of fields that the facts do not have, where they list fields at all."""
    known = facts.get("fields")
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or known is None:
            continue
        for name, inner in item.items():
            path = f"{where}.{name}".removeprefix(".")
            if name not in known:
                yield path
            else:
                yield from unknown(inner, known[name], path)


async def answers(rig: Rig) -> AsyncIterator[tuple[str, httpx.Response]]:
    """One answer or more per operation in scope, with jobs in every status."""
    http = rig.http
    scripts: list[dict[str, Any]] = [{"outcome": "completed"}, {"outcome": "failed"}, {"duration_seconds": 1000}]
    bodies = [
        {"video": VIDEO, "output_languages": ["English"], "simulation": {"duration_seconds": 10} | script}
        for script in scripts
    ]
    yield "POST /v3/webhooks/endpoints", await http.post(ENDPOINTS, json={"url": "https://receiver.example/hook"})
    ids = []
    for body in bodies:
        created = await http.post(JOBS, json=body)
        yield "POST /v3/video-translations", created
        ids += created.json()["data"]["video_translation_ids"]
    batch = (await http.post(BATCH, json={"video_translations": bodies, "title": "week 47"})).json()["data"]
    for seconds in (0, 1, 9):
        await rig.advance(seconds)
        for job_id in ids:
            yield "GET /v3/video-translations/{video_translation_id}", await http.get(f"{JOBS}/{job_id}")
        yield "GET /v3/video-translations/batches/{batch_id}", await http.get(f"{BATCH}/{batch['batch_id']}")
        params = {"video_translation_ids": ",".join([*ids, "vt_none"]), "batch_ids": batch["batch_id"]}
        yield "GET /v3/video-translations/statuses", await http.get(f"{JOBS}/statuses", params=params)
    yield "GET /v3/video-translations", await http.get(JOBS)
    yield "GET /v3/video-translations/languages", await http.get(f"{JOBS}/languages")
    title = {"title": "another"}
    yield "PATCH /v3/video-translations/{video_translation_id}", await http.patch(f"{JOBS}/{ids[0]}", json=title)
    yield "DELETE /v3/video-translations/{video_translation_id}", await http.delete(f"{JOBS}/{ids[0]}")
    yield "GET /v3/webhooks/event-types", await http.get("/v3/webhooks/event-types")
    yield "GET /v3/webhooks/events", await http.get(EVENTS)
    yield "GET /v3/webhooks/endpoints", await http.get(ENDPOINTS)
    endpoint = f"{ENDPOINTS}/ep_1"
    yield "PATCH /v3/webhooks/endpoints/{endpoint_id}", await http.patch(endpoint, json={"events": None})
    yield "POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret", await http.post(f"{endpoint}/rotate-secret")
    yield "DELETE /v3/webhooks/endpoints/{endpoint_id}", await http.delete(endpoint)


async def test_every_answer_has_what_the_facts_say_and_nothing_else_that_is_not_ours(tmp_path: Path) -> None:
    sent: dict[str, set[str]] = {}
    async with serving(tmp_path) as rig:
        async for operation, answer in answers(rig):
            assert answer.status_code == 200, f"{operation}: {answer.text}"
            facts, body = OPERATIONS[operation]["response"], answer.json()
            for name, fact in facts.items():
                if name != "error":
                    fits(body[name], fact, f"{operation} {name}")
            found = sent.setdefault(operation, set())
            found.update(unknown(body, {"fields": facts}))
    assert set(sent) == set(IN_SCOPE)
    assert {name: sorted(paths) for name, paths in sent.items() if paths} == OURS["fields"]


def test_every_path_is_the_real_services_or_marked_as_ours_or_chosen() -> None:
    described = json.loads((CONTRACT / "openapi.json").read_bytes())["paths"]
    offered = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    real = {name for name in OPERATIONS if "/proofreads" not in name}
    assert real <= offered
    marked = {*OURS["chosen"], *OURS["operations"]}
    simulator = {name for name in offered if " /_sim/" in name}
    assert offered - real - simulator == marked


@pytest.mark.parametrize("operation", OURS["fields"])
def test_a_field_of_ours_never_takes_a_real_ones_name(operation: str) -> None:
    facts: dict[str, Any] = {"fields": OPERATIONS[operation]["response"]}
    for path in OURS["fields"][operation]:
        *parents, name = path.split(".")
        inside = facts
        for parent in parents:
            inside = inside["fields"][parent]
        assert name not in inside["fields"]
