"""What the contract holds, the client takes: example bodies, signature vectors, a body from the future."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from video_translation_client import APIError, BatchSnapshot, Event, WebhookVerificationError
from video_translation_client import _operations as operations
from video_translation_client._metrics import Meter
from video_translation_client._models import read_event
from video_translation_client._receiver import Receiver
from video_translation_client._signature import Keyring, sign

CONTRACT = Path(__file__).resolve().parents[2] / "contract"
SIGNATURES = json.loads((CONTRACT / "signatures.json").read_text("utf-8"))
EVENTS = sorted((CONTRACT / "examples").glob("event.video_translate.*.json"))
SECRET = SIGNATURES["standard_webhooks"][0]["secret"]


def name(item: Any) -> str:
    return item.name if isinstance(item, Path) else str(item["name"])


def answer(file: str) -> bytes:
    return (CONTRACT / "examples" / file).read_bytes()


def test_there_are_examples_of_every_transition() -> None:
    kinds = {path.name.split(".")[2] for path in EVENTS}
    assert kinds >= {"pending", "running", "success", "fail"}


@pytest.mark.parametrize("path", EVENTS, ids=name)
def test_the_receiver_takes_every_event_that_the_server_emits(path: Path) -> None:
    body = path.read_bytes()
    taken: list[Event] = []
    receiver = Receiver(taken.append, Meter(), now=lambda: 1_763_683_200)
    receiver.trust([SECRET])
    raw = json.loads(body)
    headers = sign(body, secret=SECRET, event_id=raw["event_id"], timestamp=1_763_683_200)
    assert receiver.handle("POST", headers, body).status == 204
    (event,) = taken
    data = raw["event_data"]
    assert (event.id, event.type, event.raw) == (raw["event_id"], raw["event_type"], raw)
    assert event.type == path.name.removeprefix("event.").removesuffix(".json")
    assert (event.job.id, event.job.status) == (data["video_translate_id"], data["status"])
    assert (event.job.result, event.job.sequence) == (data["result"], data["sequence"])
    assert event.job.terminal == (data["status"] in ("completed", "failed"))
    assert event.created_at is not None
    assert event.job.video_url == data.get("url")
    assert event.job.failure_message == data.get("message")


def test_the_end_of_a_batch_is_taken_and_is_no_transition_of_a_job() -> None:
    raw = json.loads(answer("event.batch.finished.json"))
    event = read_event(raw)
    assert (event.id, event.type, event.raw) == (raw["event_id"], "batch.finished", raw)
    assert (event.transition, event.job.id) == (None, "")
    batch = BatchSnapshot.from_event(event)
    assert batch is not None
    assert (batch.id, batch.status, batch.total) == (raw["event_data"]["batch_id"], "completed", 3)
    assert batch.counts == {"pending": 0, "running": 0, "completed": 2, "failed": 1}
    assert batch.extra == {}


@pytest.mark.parametrize("file", ["answer.batch.created.json", "answer.batch.json"])
def test_a_batch_is_read(file: str) -> None:
    raw = json.loads(answer(file))["data"]
    batch = operations.interpret(operations.get_batch(raw["batch_id"]), 200, {}, answer(file))
    assert (batch.id, batch.total, batch.next_token, batch.extra) == (raw["batch_id"], 3, None, {})
    assert [item.job_id for item in batch.items] == [item["video_id"] for item in raw["items"]]
    assert sum(batch.counts.values()) == 3


def test_a_user_is_read() -> None:
    user = operations.interpret(operations.get_user(), 200, {}, answer("answer.user.json"))
    assert (user.username, user.billing_type, user.extra) == ("ws_default", "wallet", {})
    assert user.wallet == {"currency": "usd", "remaining_balance": 1000.0, "auto_reload": None}


def test_a_body_from_the_future_is_taken() -> None:
    raw = json.loads((CONTRACT / "from_the_future.json").read_text("utf-8"))
    event = read_event(raw)
    assert (event.id, event.type, event.job.id) == (raw["event_id"], raw["event_type"], "vt_from_the_future")
    assert (event.job.status, event.job.sequence, event.job.progress) == ("dreaming", 41, 33.5)
    assert not event.job.terminal
    assert event.job.extra == {"lip_sync": {"score": 0.98, "faces": [1, 2]}}
    assert event.raw["spec"] == 7


@pytest.mark.parametrize("vector", SIGNATURES["standard_webhooks"], ids=name)
def test_the_standard_vectors_are_made_and_verified(vector: dict[str, str]) -> None:
    body, timestamp = vector["body"].encode(), int(vector["timestamp"])
    headers = {
        "webhook-id": vector["id"],
        "webhook-timestamp": vector["timestamp"],
        "webhook-signature": vector["signature"],
    }
    made = sign(body, secret=vector["secret"], event_id=vector["id"], timestamp=timestamp)
    assert made["webhook-signature"] == vector["signature"]
    for secret in (vector["secret"], vector.get("public_key", vector["secret"])):
        assert Keyring([secret]).verify(body, headers, now=timestamp).event_id == vector["id"]
    with pytest.raises(WebhookVerificationError):
        Keyring([vector["secret"]]).verify(body + b"x", headers, now=timestamp)


@pytest.mark.parametrize("vector", SIGNATURES["heygen"], ids=name)
def test_the_real_services_vectors_are_made_and_verified(vector: dict[str, str]) -> None:
    body = vector["body"].encode()
    assert sign(body, secret=vector["secret"], event_id="e", timestamp=0)["heygen-signature"] == vector["signature"]
    headers = {"Heygen-Signature": vector["signature"]}
    assert Keyring([vector["secret"]]).verify(body, headers, now=0).family == "heygen"


@pytest.mark.parametrize(
    ("file", "operation"),
    [
        ("answer.endpoint.created.json", operations.create_endpoint("u", ttl_seconds=3600)),
        ("answer.endpoints.json", operations.list_endpoints()),
        ("answer.events.json", operations.list_events("cur_0")),
        ("answer.status.pending.json", operations.get_status()),
        ("answer.status.completed.json", operations.get_status()),
        ("answer.status.error.json", operations.get_status()),
        ("answer.translation.completed.json", operations.get_job("a")),
        ("answer.translation.failed.json", operations.get_job("a")),
        ("answer.translations.created.json", operations.create_translation("u", ["French"], {})),
        ("answer.translations.json", operations.list_jobs()),
        ("answer.statuses.json", operations.get_statuses(["a"])),
        ("answer.languages.json", operations.list_languages()),
        ("answer.event_types.json", operations.list_event_types()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_answer_that_the_client_asks_for_is_read(file: str, operation: operations.Operation[Any]) -> None:
    content = answer(file)
    result = operations.interpret(operation, 200, {}, content)
    raw = json.loads(content)
    if operation.name == "create_endpoint":
        assert (result.secret, result.cursor) == (raw["data"]["secret"], raw["data"]["cursor"])
        assert (result.ttl_seconds, result.has_description) == (raw["data"]["ttl_seconds"], True)
    elif operation.name == "list_events":
        assert [event.id for event in result.events] == [item["event_id"] for item in raw["data"]]
        assert (result.cursor, result.has_more) == (raw["cursor"], raw["has_more"])
    elif operation.name in ("get_status", "get_job"):
        job = raw.get("data", raw)
        assert (result.id, result.status, result.sequence) == (job["id"], job["status"], job["sequence"])
        assert result.failure_message == job["failure_message"]
        assert result.video_url == job["video_url"]
    elif operation.name == "list_jobs":
        assert [job.id for job in result.items] == [item["id"] for item in raw["data"]]
    elif operation.name == "get_statuses":
        known = [item["video_id"] for item in raw["data"] if item["status"] != "not_found"]
        assert [job.id for job in result.items] == known
        assert {job.status for job in result.items} <= {"pending", "running", "completed", "failed"}
    elif operation.name == "languages":
        assert list(result) == raw["data"]["languages"]
    elif operation.name == "list_event_types":
        assert list(result) == [item["event_type"] for item in raw["data"]]


def test_an_error_answer_is_read() -> None:
    with pytest.raises(APIError) as caught:
        operations.interpret(operations.get_job("a"), 400, {}, answer("answer.error.json"))
    raw = json.loads(answer("answer.error.json"))["error"]
    assert (caught.value.code, caught.value.param) == (raw["code"], raw.get("param"))


def test_the_standard_library_of_the_standard_agrees() -> None:
    webhooks = pytest.importorskip("standardwebhooks.webhooks")
    now = dt.datetime.now(tz=dt.UTC)
    body = '{"a": "基調講演"}'
    oracle = webhooks.Webhook(SECRET)
    headers = sign(body.encode(), secret=SECRET, event_id="evt_1", timestamp=int(now.timestamp()))
    assert oracle.verify(body, headers) == {"a": "基調講演"}
    theirs = oracle.sign("evt_1", now, body)
    signed = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": theirs}
    assert Keyring([SECRET]).verify(body.encode(), signed, now=now.timestamp()).family == "standard"
