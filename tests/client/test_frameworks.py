"""The receiver as a view in Flask and in Django, under their own servers: every method, limit and kind of body."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol, cast

import django.core.handlers.asgi
import flask
import httpx
import pytest
import werkzeug.serving
from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from django.urls import path

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer, sign
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import VideoTranslationClient
from video_translation_client._receiver import MAX_BODY, MAX_HEADERS
from video_translation_client.integrations.django import async_webhook_view
from video_translation_client.integrations.django import webhook_view as django_view
from video_translation_client.integrations.flask import webhook_view as flask_view

PATH = "/webhooks/video-translation"
MODULE = "tests_django_urls"


class WsgiServer(Protocol):
    def serve_forever(self, poll_interval: float = ...) -> None: ...
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests read the answers."""


if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"])


@pytest.fixture
def client(make_client: MakeClient) -> VideoTranslationClient:
    return make_client()


def in_flask(client: VideoTranslationClient) -> tuple[WsgiServer, int]:
    app = flask.Flask(__name__)
    app.add_url_rule(PATH, view_func=flask_view(client.webhook_receiver))
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    server.log = lambda *_: None  # type: ignore[method-assign]
    return server, server.port


def in_django(_: VideoTranslationClient) -> tuple[WsgiServer, int]:
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(get_wsgi_application())
    return server, server.server_port


@pytest.fixture(params=[in_flask, in_django])
def url(request: pytest.FixtureRequest, client: VideoTranslationClient) -> Iterator[str]:
    make = cast("Callable[[VideoTranslationClient], tuple[WsgiServer, int]]", request.param)
    with routes(django_view(client.webhook_receiver)):
        server, port = make(client)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{port}{PATH}"
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def routes(view: Any) -> override_settings:
    module = type(sys)(MODULE)
    module.__dict__["urlpatterns"] = [path(PATH.removeprefix("/"), view)]
    sys.modules[MODULE] = module
    return override_settings(ROOT_URLCONF=MODULE)


def test_deliveries_reach_the_callback_which_runs_elsewhere_and_may_raise(
    url: str, client: VideoTranslationClient, server: FakeServer, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()

    def slow_and_broken(_: object) -> None:
        released.wait(PATIENCE)
        raise RuntimeError("mine")

    client.on_event(slow_and_broken)
    client.register_webhook(recorder, url=url)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    assert server.push(*server.log) == [204, 204]
    released.set()
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(2)
    assert recorder.threads == {"video-translation-callbacks"}
    client.close()
    assert "mine" in caplog.text


def test_every_other_request_is_answered_as_by_the_thread_receiver(url: str, client: VideoTranslationClient) -> None:
    with httpx.Client() as web:
        assert web.post(url, content=b"{}").status_code == 503
        client.register_webhook(url=url)
        ready = web.get(url)
        assert (ready.text, ready.headers["content-type"]) == ("ready for webhooks\n", "text/plain")
        assert (web.head(url).status_code, web.head(url).content) == (200, b"")
        options = web.options(url)
        assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert web.put(url).status_code == 405
        refused = web.post(url, content=b"{}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "missing_headers")
        assert web.post(url, content=b"x" * (MAX_BODY + 1)).status_code == 413
        assert web.get(url, headers={"x": "y" * (MAX_HEADERS + 1)}).status_code == 431


def test_a_chunked_body_is_read_by_flask_up_to_the_limit(client: VideoTranslationClient, server: FakeServer) -> None:
    running, port = in_flask(client)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{port}{PATH}"
    registration = client.register_webhook(url=url)
    server.new_job()
    body = json.dumps(server.log[0]).encode()
    headers = sign(body, registration.secret or "", "evt_1", int(time.time()))
    assert httpx.post(url, content=iter([body[:10], body[10:]]), headers=headers).status_code == 204
    assert httpx.post(url, content=iter([b"x" * MAX_BODY, b"xx"]), headers=headers).status_code == 413
    running.shutdown()
    running.server_close()
    thread.join(PATIENCE)


async def test_an_async_view_of_django_reads_chunks_and_does_not_block_its_loop(
    client: VideoTranslationClient, server: FakeServer
) -> None:
    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        yield body[:10]
        yield body[10:]

    with routes(async_webhook_view(client.webhook_receiver)):
        app: Any = django.core.handlers.asgi.ASGIHandler()
        registration = await asyncio.to_thread(client.register_webhook, url=f"http://here{PATH}")
        server.new_job()
        body = json.dumps(server.log[0]).encode()
        headers = sign(body, registration.secret or "", "evt_1", int(time.time()))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as web:
            assert (await web.post(PATH, content=chunks(body), headers=headers)).status_code == 204
            assert (await web.post(PATH, content=b"x" * (MAX_BODY + 1))).status_code == 413
            client.webhook_receiver.trust(())
            client.webhook_receiver.expecting = True
            early = asyncio.create_task(web.post(PATH, content=body, headers=headers))
            await asyncio.to_thread(client.webhook_receiver.trust, [registration.secret or ""])
            assert (await early).status_code == 204
            client.webhook_receiver.expecting = False


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_a_framework_that_is_not_installed_is_named_with_the_way_out(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"video_translation_client.integrations.{framework}"
    monkeypatch.delitem(sys.modules, name)
    for installed in [module for module in sys.modules if module.split(".")[0] == framework]:
        monkeypatch.setitem(sys.modules, installed, None)
    with pytest.raises(ImportError, match=rf"pip install video-translation-client\[{framework}\]"):
        importlib.import_module(name)
