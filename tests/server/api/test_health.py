"""`/healthz`, `/readyz`, the documentation, and what every answer has: an id and the wire's shape."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from tests.server.promises import conforms, refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, JOBS, Rig, serving
from tests.waiting import eventually
from video_translation_server import loops
from video_translation_server.errors import StoreError
from video_translation_server.wire.responses import Health


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_running_server_is_well(http: httpx.AsyncClient, path: str) -> None:
    assert conforms(await http.get(path), Health)["status"] == "ok"


async def test_it_is_not_ready_while_a_loop_is_down(
    rig: Rig, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "RESTART_PAUSE", 3600)

    async def broken(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is gone")

    await rig.quiet()
    monkeypatch.setattr(rig.store, "due_jobs", broken)
    rig.clock.advance(5)
    await eventually(lambda: rig.lines("loop waits for the store"))
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["x-request-id"]
    Health.model_validate_json(answer.content, extra="forbid")
    assert answer.json()["status"] == "unavailable"
    assert (await http.get("/healthz")).status_code == 200


async def test_without_its_store_it_is_alive_but_not_ready(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.quiet()
    await rig.store.close()
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/healthz")).status_code == 200
    for path in ("/status", JOBS, ENDPOINTS, EVENTS):
        answer = await http.get(path)
        refused(answer, 503, "internal_error", message="try again")
        assert answer.headers["retry-after"] == "1"
    refused(await http.post(ENDPOINTS, json={"url": "https://example.com"}), 503, "internal_error")


async def test_the_documentation_loads_and_is_true(http: httpx.AsyncClient) -> None:
    assert "swagger" in (await http.get("/docs")).text.lower()
    described = (await http.get("/openapi.json")).json()
    validate(described)
    assert set(described["paths"]) == {
        JOBS,
        "/v3/admin/keys/{key_id}",
        "/v3/admin/jobs",
        "/v3/admin/jobs/{video_translation_id}",
        "/v3/admin/status",
        "/v3/admin/workspaces",
        "/v3/admin/workspaces/{workspace_id}",
        "/v3/admin/workspaces/{workspace_id}/keys",
        "/files/{video_translation_id}/{name}",
        "/v3/events/stream",
        "/v3/users/me",
        "/v3/assets",
        f"{JOBS}/languages",
        f"{JOBS}/statuses",
        f"{JOBS}/batches",
        f"{JOBS}/batches/{{batch_id}}",
        JOBS + "/{video_translation_id}/cancel",
        JOBS + "/{video_translation_id}",
        "/status",
        ENDPOINTS,
        ENDPOINTS + "/{endpoint_id}",
        *(ENDPOINTS + "/{endpoint_id}/" + verb for verb in ("renew", "rotate-secret", "test", "recover", "replay")),
        "/v3/webhooks/recoveries/{recovery_id}",
        "/v3/webhooks/secret",
        DELIVERIES,
        DELIVERIES + "/{delivery_id}",
        DELIVERIES + "/{delivery_id}/resend",
        "/v3/webhooks/event-types",
        EVENTS,
        "/healthz",
        "/readyz",
    }


ASKED = [
    ("GET", "/healthz"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
    ("PUT", "/status"),
    ("GET", f"{JOBS}/vt_none"),
    ("GET", f"{JOBS}?limit=0"),
    ("POST", JOBS),
]


async def test_every_answer_has_an_id_of_its_own(http: httpx.AsyncClient) -> None:
    answers = [await http.request(method, path) for method, path in ASKED * 2]
    for answer in answers:
        assert len(answer.headers.get_list("x-request-id")) == 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_a_request_is_one_line_of_the_log(rig: Rig, http: httpx.AsyncClient) -> None:
    answer = await http.get("/nowhere?api_key=sesame", headers={"X-Api-Key": "sesame"})
    [line] = rig.lines("request")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nowhere", 404)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["ms"] >= 0
    assert "sesame" not in str(rig.logs)


async def test_a_crash_is_an_answer_too(rig: Rig, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise ZeroDivisionError("a secret thought")

    monkeypatch.setattr(rig.store, "newest_job", crash)
    answer = await http.get("/status")
    refused(answer, 500, "internal_error", message=answer.headers["x-request-id"])
    assert "secret thought" not in answer.text
    assert rig.lines("request crashed")[0]["request_id"] == answer.headers["x-request-id"]


async def test_many_callers_at_once_get_their_own_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        answers = await asyncio.gather(*(rig.translate("English", "German") for _ in range(40)))
        ids = [job_id for pair in answers for job_id in pair]
        assert len(set(ids)) == 80
        assert len({(await rig.job(job_id))["id"] for job_id in ids}) == 80
