"""`client.webhooks` against a real server, blocking and awaited: endpoints and deliveries from end to end."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examples.local_server import LocalServer
from tests.forked import ForkedServer
from tests.waiting import PATIENCE
from video_translation_client import (
    AsyncVideoTranslationClient,
    Event,
    NotFoundError,
    VideoTranslationClient,
    Webhooks,
)
from video_translation_client._endpoints import AsyncClientWebhooks, AsyncDeliveries, ClientWebhooks, Deliveries


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    store = tmp_path_factory.mktemp("management") / "jobs.db"
    with ForkedServer(store, "--start-job", "false") as running:
        yield running


class Sink:
    """A receiver of the user's own, with nothing of ours but `Webhooks`."""

    def __init__(self) -> None:
        self.secret = ""
        self.events: list[Event] = []
        self.changed = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with sink.changed:
                    sink.events.append(Webhooks(sink.secret).unwrap(body, dict(self.headers)))
                    sink.changed.notify_all()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests read the events."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/"

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= count, PATIENCE)

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(PATIENCE)


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.stop()


def test_endpoints_and_deliveries_are_managed(server: LocalServer, sink: Sink) -> None:
    with VideoTranslationClient(server.url) as client:
        webhooks = client.webhooks
        made = webhooks.create(sink.url, events=["video_translate.success"], description="mine")
        assert made.secret is not None
        sink.secret = made.secret
        assert [endpoint.endpoint_id for endpoint in webhooks.list()] == [made.endpoint_id]
        assert webhooks.get(made.endpoint_id).description == "mine"
        assert webhooks.update(made.endpoint_id, description="yours").description == "yours"
        sink.secret = webhooks.rotate_secret(made.endpoint_id)
        assert sink.secret != made.secret
        test = webhooks.test(made.endpoint_id)
        sink.wait_for(1)
        assert sink.events[0].id == test.event_id
        assert [one.id for one in webhooks.deliveries.list(endpoint_id=made.endpoint_id)] == [test.id]
        webhooks.deliveries.resend(test.id)
        sink.wait_for(2)
        assert sink.events[1].id == test.event_id
        assert webhooks.deliveries.get(test.id).event_type == test.event_type
        recovery = webhooks.recover(made.endpoint_id, since=0.0)
        assert webhooks.get_recovery(recovery.id).kind == "recover"
        assert webhooks.replay(made.endpoint_id).kind == "replay"
        webhooks.delete(made.endpoint_id)
        with pytest.raises(NotFoundError):
            webhooks.get(made.endpoint_id)


async def test_the_async_twin_manages_them_too(server: LocalServer, sink: Sink) -> None:
    async with AsyncVideoTranslationClient(server.url) as client:
        webhooks = client.webhooks
        made = await webhooks.create(sink.url)
        sink.secret = await webhooks.rotate_secret(made.endpoint_id)
        assert [endpoint.endpoint_id async for endpoint in webhooks.list()] == [made.endpoint_id]
        assert (await webhooks.update(made.endpoint_id, description="x")).description == "x"
        test = await webhooks.test(made.endpoint_id)
        await asyncio.to_thread(sink.wait_for, 1)
        assert [one.id async for one in webhooks.deliveries.list(endpoint_id=made.endpoint_id)] == [test.id]
        await webhooks.deliveries.resend(test.id)
        assert (await webhooks.deliveries.get(test.id)).id == test.id
        recovery = await webhooks.recover(made.endpoint_id, since=0.0)
        assert (await webhooks.get_recovery(recovery.id)).kind == "recover"
        assert (await webhooks.replay(made.endpoint_id)).kind == "replay"
        assert (await webhooks.get(made.endpoint_id)).url == sink.url
        await webhooks.delete(made.endpoint_id)


@pytest.mark.parametrize(
    ("blocking", "awaited"), [(ClientWebhooks, AsyncClientWebhooks), (Deliveries, AsyncDeliveries)]
)
def test_the_twins_have_the_same_calls(blocking: type, awaited: type) -> None:
    def calls(of: type) -> dict[str, list[str]]:
        functions = inspect.getmembers(of, inspect.isfunction)
        return {name: list(inspect.signature(one).parameters) for name, one in functions if not name.startswith("_")}

    assert calls(blocking) == calls(awaited)
