from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.fake_server import sign
from video_translation_client import Event, JobSnapshot
from video_translation_client._dispatcher import Dispatcher
from video_translation_client._inbox import Inbox
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._landing import Wish
from video_translation_client._metrics import Meter
from video_translation_client._receiver import MAX_BODY, Receiver
from video_translation_client.integrations.asgi import ReceiverApp

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NOW = 1_763_683_200
EVENT = {"event_id": "evt_1", "event_type": "video_translate.success", "event_data": {"video_translate_id": "vt_1"}}
BODY = json.dumps(EVENT).encode()


class Desk:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.meter = Meter()
        self.receiver = Receiver(self.events.append, self.meter, now=lambda: NOW)
        self.receiver.trust([SECRET])

    def post(self, body: bytes = BODY, headers: dict[str, str] | None = None) -> int:
        headers = sign(body, SECRET, "evt_1", NOW) if headers is None else headers
        return self.receiver.handle("POST", headers, body).status


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_genuine_delivery_is_accepted(desk: Desk) -> None:
    assert desk.post() == 204
    assert [event.id for event in desk.events] == ["evt_1"]
    assert desk.meter.snapshot().pushes_received == 1


def test_a_bad_signature_is_refused_and_named(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    reply = desk.receiver.handle("POST", sign(b"other", SECRET, "evt_1", NOW), BODY)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (401, "no_matching_signature")
    assert desk.events == []
    assert desk.meter.snapshot().pushes_refused == 1
    assert SECRET not in caplog.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"{}", b"\xff", b"[" * 100_000, b'{"event_type": 1}'])
def test_a_signed_body_that_is_no_event_is_refused(desk: Desk, body: bytes) -> None:
    assert desk.post(body) == 400


def test_a_body_over_a_mebibyte_is_refused_before_anything_else(desk: Desk) -> None:
    assert desk.post(b"x" * (MAX_BODY + 1), {}) == 413
    assert desk.post(b"x" * MAX_BODY, {}) == 401


def test_before_any_secret_is_known_the_service_is_asked_to_come_again(desk: Desk) -> None:
    desk.receiver.trust([])
    reply = desk.receiver.handle("POST", sign(BODY, SECRET, "evt_1", NOW), BODY)
    assert reply.status == 503
    assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 204), ("HEAD", 200), ("GET", 200), ("PUT", 405), ("DELETE", 405)]
)
def test_other_methods_are_answered(desk: Desk, method: str, status: int) -> None:
    reply = desk.receiver.handle(method, {}, b"")
    assert reply.status == status
    assert not (method in ("HEAD", "OPTIONS") and reply.body)
    if status == 405:
        assert "POST" in reply.headers["allow"]


def test_an_event_that_cannot_be_taken_in_is_to_be_delivered_again(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: Event) -> None:
        raise RuntimeError("disk full")

    receiver = Receiver(refuse, Meter(), now=lambda: NOW)
    receiver.trust([SECRET])
    assert receiver.handle("POST", sign(BODY, SECRET, "evt_1", NOW), BODY).status == 500
    assert "disk full" in caplog.text


def test_the_id_inside_the_signed_body_is_what_counts(desk: Desk) -> None:
    nameless = json.dumps({"event_type": "x"}).encode()
    assert desk.post(headers=sign(BODY, SECRET, "another", NOW)) == 204
    assert desk.post(nameless, sign(nameless, SECRET, "evt_9", NOW)) == 204
    heygen = {"heygen-signature": sign(nameless, SECRET, "x", NOW)["heygen-signature"], "heygen-event-id": "forged"}
    assert desk.post(nameless, heygen) == 204
    assert [event.id for event in desk.events[:2]] == ["evt_1", "evt_9"]
    assert desk.events[2].id.startswith("body_")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("event_id", "event_type", "created_at", "event_data", "status", "sequence", "video_translate_id")
EVENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)).map(
    lambda fields: {"event_type": "video_translate.running", "event_data": fields} | fields
)


@pytest.mark.fuzz
@given(body=st.one_of(st.binary(), JSON.map(json.dumps).map(str.encode), EVENTS.map(json.dumps).map(str.encode)))
def test_whatever_a_signed_body_holds_there_is_an_answer(body: bytes) -> None:
    dispatcher = Dispatcher(Meter())
    registry = JobRegistry(NoPort())
    receiver = Receiver(Intake(registry, Inbox(dispatcher.publish), Meter()).push, Meter(), now=lambda: NOW)
    receiver.trust([SECRET])
    assert receiver.handle("POST", sign(body, SECRET, "evt_1", NOW), body).status in (204, 400)


class NoPort:
    def read_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        raise NotImplementedError

    def cancel_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)

    def events_come(self) -> bool:
        return True

    def wake(self, job_id: str) -> None:
        """Nobody asks for jobs here."""

    def seek_events(self) -> None:
        raise NotImplementedError

    def seek_beginning(self, job_id: str) -> None:
        raise NotImplementedError(job_id)

    def defer(self, work: Callable[[], object]) -> None:
        raise NotImplementedError(work)


# --- the ASGI adapter ---------------------------------------------------------------------------------


@pytest.fixture
async def web(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(ReceiverApp(desk.receiver))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client


async def test_a_delivery_over_asgi(web: httpx.AsyncClient, desk: Desk) -> None:
    answer = await web.post("/any/path", content=BODY, headers=sign(BODY, SECRET, "evt_1", NOW))
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(desk.events) == 1


async def test_a_delivery_that_overtakes_its_secret_waits_for_it(web: httpx.AsyncClient, desk: Desk) -> None:
    desk.receiver.trust([])
    desk.receiver.expecting = True
    early = asyncio.create_task(web.post("/", content=BODY, headers=sign(BODY, SECRET, "evt_1", NOW)))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not early.done()
    desk.receiver.trust([SECRET])
    assert (await early).status_code == 204


async def test_a_body_that_lies_about_its_length_is_cut_off(web: httpx.AsyncClient) -> None:
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"x" * 65536

    answer = await web.post("/", content=endless())
    assert answer.status_code == 413
    assert pulled < 20
    declared = await web.post("/", content=b"x" * (MAX_BODY + 1))
    assert declared.status_code == 413


async def test_a_length_that_is_no_number_is_not_trusted_and_harms_nobody(desk: Desk) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY}

    for length in (b"\xb2", b"\xb9" * 40, b"-1", b"0x10"):
        headers = [(b"content-length", length)]
        headers += [(name.encode(), value.encode()) for name, value in sign(BODY, SECRET, "evt_1", NOW).items()]
        await ReceiverApp(desk.receiver)({"type": "http", "method": "POST", "headers": headers}, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [204] * 4


async def test_other_kinds_of_connection_are_declined_and_lifespan_is_answered(desk: Desk) -> None:
    app = ReceiverApp(desk.receiver)
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    incoming = iter(["lifespan.startup", "lifespan.shutdown", "http.disconnect"])

    async def receive() -> dict[str, Any]:
        return {"type": next(incoming)}

    await app({"type": "lifespan"}, receive, send)
    await app({"type": "http", "method": "POST", "headers": []}, receive, send)
    await app({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


def test_refusals_are_logged_as_warnings(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "video_translation_client"):
        desk.post(headers={})
    assert "refused with 401" in caplog.text
