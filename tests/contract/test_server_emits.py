"""What a running server sends fits contract/: the schema, the examples' shape, the signature vectors."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.server.promises import conforms
from tests.server.rig import JOBS, VIDEO, Post, answered, serving
from video_translation_server.signing import signature_headers
from video_translation_server.wire.responses import EventPage

CONTRACT = Path(__file__).parents[2] / "contract"
SCHEMA = json.loads((CONTRACT / "event.schema.json").read_bytes())
VECTORS = json.loads((CONTRACT / "signatures.json").read_bytes())
START = 1_800_000_000.0
TITLE = 'a "title" with \\ everything: 映画 \U0001f3ac \x00 \u2028'


async def posts(folder: Path) -> list[Post]:
    """Every transition of a job that completes and of one that fails, and the end of a batch, as it was sent."""
    async with serving(folder) as rig:
        await rig.register()
        script = {"duration_seconds": 10}
        await rig.translate("Spanish (Spain)", title=TITLE, callback_id="order-17", simulation=script)
        await rig.translate("English", simulation=script | {"outcome": "failed", "error_message": TITLE})
        for seconds in (0, 1, 9):
            await rig.advance(seconds)
        one = {"video": VIDEO, "output_languages": ["English"], "simulation": script}
        await rig.http.post(f"{JOBS}/batches", json={"title": TITLE, "video_translations": [one]})
        for seconds in (0, 1, 9):
            await rig.advance(seconds)
        return rig.sender.posts


def shape(value: Any) -> Any:
    """The names of an object's fields, all the way down, in their order."""
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else None


async def test_every_body_fits_the_schema(tmp_path: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    sent = await posts(tmp_path)
    assert len(sent) == 10
    for post in sent:
        Draft202012Validator(SCHEMA).validate(post.event)
        assert post.event["event_data"]["title"] in (TITLE, None)


async def test_every_notice_fits_the_schema_and_the_log_documents_it(tmp_path: Path) -> None:
    async with serving(tmp_path, retry_delays="100") as rig:
        await rig.register("https://watcher.example/hook")
        await rig.register()
        answers = {0: 500, 100: 500, 200: 204, 300: 410}
        rig.sender.answer = lambda post: answered(204 if "watcher" in post.url else answers[int(post.at - START)])
        for _ in range(3):
            await rig.translate(simulation={"duration_seconds": 100_000})
            await rig.quiet()
            await rig.advance(100)
        await rig.translate(simulation={"duration_seconds": 100_000})
        await rig.quiet()
        await rig.http.post("/v3/webhooks/endpoints/ep_1/test")
        await rig.quiet()
        notices = [post.event for post in rig.sender.posts if "video_translate." not in post.event["event_type"]]
        expected = {"delivery.exhausted", "endpoint.recovered", "endpoint.disabled", "endpoint.test"}
        assert {notice["event_type"] for notice in notices} == expected
        for notice in notices:
            Draft202012Validator(SCHEMA).validate(notice)
        conforms(await rig.http.get("/v3/webhooks/events", params={"limit": 100}), EventPage)


async def test_every_body_has_the_shape_of_its_example(tmp_path: Path) -> None:
    kinds = set()
    for post in await posts(tmp_path):
        kind = post.event["event_type"]
        example = json.loads((CONTRACT / "examples" / f"event.{kind}.json").read_bytes())
        assert json.dumps(shape(post.event)) == json.dumps(shape(example)), "the same fields in the same order"
        kinds.add(kind)
    assert kinds == {path.stem.removeprefix("event.") for path in (CONTRACT / "examples").glob("event.*.json")}


def test_the_schema_refuses_what_is_not_an_event() -> None:
    example = json.loads((CONTRACT / "examples" / "event.video_translate.success.json").read_bytes())
    validator = Draft202012Validator(SCHEMA)
    assert validator.is_valid(example)
    for name in ("event_id", "event_type", "created_at", "event_data"):
        assert not validator.is_valid({key: value for key, value in example.items() if key != name})
    for name, value in (("status", "cancelled"), ("result", "failed"), ("sequence", 0), ("progress", 101)):
        assert not validator.is_valid(example | {"event_data": example["event_data"] | {name: value}})


HMAC_VECTORS = [vector for vector in VECTORS["standard_webhooks"] if vector["secret"].startswith("whsec_")]


@pytest.mark.parametrize("vector", HMAC_VECTORS, ids=lambda vector: vector["name"])
def test_standard_webhooks_vectors(vector: dict[str, str]) -> None:
    headers = signature_headers(
        [vector["secret"]],
        event_id=vector["id"],
        timestamp=int(vector["timestamp"]),
        body=vector["body"].encode(),
    )
    assert headers["webhook-signature"] == vector["signature"]
    assert headers["webhook-id"] == vector["id"]
    assert headers["webhook-timestamp"] == vector["timestamp"]


@pytest.mark.parametrize("vector", VECTORS["heygen"], ids=lambda vector: vector["name"])
def test_heygen_vectors(vector: dict[str, str]) -> None:
    headers = signature_headers([vector["secret"]], event_id="evt_1", timestamp=7, body=vector["body"].encode())
    assert headers["Heygen-Signature"] == vector["signature"]
    assert (headers["Heygen-Event-Id"], headers["Heygen-Timestamp"]) == ("evt_1", "7")
