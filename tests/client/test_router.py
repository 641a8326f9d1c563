"""The receiver inside a FastAPI service that the user runs, under a real uvicorn."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer, deliver
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import VideoTranslationClient

PATH = "/webhooks/video-translation"


@pytest.fixture
def client(make_client: MakeClient) -> VideoTranslationClient:
    return make_client()


@pytest.fixture
def service(client: VideoTranslationClient) -> Iterator[str]:
    """A user's own service with the router in it, under a prefix of its own."""
    app = FastAPI()
    app.include_router(client.webhook_router(), prefix="/api")

    @app.get("/mine")
    def mine() -> str:
        return "still here"

    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(PATIENCE)


def test_the_router_takes_the_deliveries_of_the_registered_url(
    service: str, client: VideoTranslationClient, server: FakeServer, recorder: Recorder
) -> None:
    registration = client.register_webhook(recorder, url=f"{service}/api{PATH}")
    assert registration.url == f"{service}/api{PATH}"
    assert not [thread for thread in threading.enumerate() if thread.name == "video-translation-receiver"]
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    assert server.push(*server.log) == [204, 204]
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(2)
    assert recorder.threads == {"video-translation-callbacks"}
    assert httpx.get(f"{service}/mine").json() == "still here"


def test_a_delivery_before_the_registration_is_asked_to_come_again(service: str) -> None:
    with httpx.Client() as sender:
        event = {"event_id": "evt_1", "event_type": "x", "event_data": {}}
        assert deliver(sender, f"{service}/api{PATH}", "whsec_AAAA", event) == 503


def test_other_requests_are_answered_as_by_the_thread_receiver(service: str, client: VideoTranslationClient) -> None:
    url = f"{service}/api{PATH}"
    client.register_webhook(url=url)
    assert httpx.get(url).text == "ready for webhooks\n"
    assert httpx.head(url).status_code == 200
    assert httpx.options(url).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert httpx.put(url).status_code == 405
    assert httpx.post(url, content=b"{}").status_code == 401
    assert httpx.post(url, content=b"x" * (1024 * 1024 + 1)).status_code == 413
    assert httpx.get(f"{service}/openapi.json").json()["paths"].keys() == {f"/api{PATH}", "/mine"}
