from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from video_translation_client import Event, VideoTranslationError
from video_translation_client._listener import Listener, check_address
from video_translation_client._metrics import Meter
from video_translation_client._receiver import DEFAULT_PATH, Receiver


def make(host: str = "localhost", port: int = 0, public_url: str | None = None) -> Listener:
    def ignore(_: Event) -> None:
        pass

    return Listener(Receiver(ignore, Meter()), host=host, port=port, public_url=public_url)


@pytest.fixture
def listener() -> Listener:
    return make()


def test_it_is_up_when_start_returns_and_gone_when_stop_returns(listener: Listener) -> None:
    listener.start()
    try:
        root = listener.url.removesuffix(DEFAULT_PATH)
        assert root.startswith("http://127.0.0.1:")
        assert httpx.get(root + "/healthz").json() == {"status": "ok"}
        assert httpx.get(listener.url).status_code == 200
        assert httpx.post(listener.url, content=b"{}").status_code == 503
        assert httpx.put(listener.url).status_code == 405
    finally:
        listener.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(root + "/healthz")
    assert not [thread for thread in threading.enumerate() if thread.name == "video-translation-receiver"]


def test_it_is_up_in_fifty_milliseconds() -> None:
    best = 1.0
    for _ in range(5):
        listener = make()
        began = time.perf_counter()
        listener.start()
        best = min(best, time.perf_counter() - began)
        listener.stop()
    assert best < 0.05


def test_a_busy_port_is_an_os_error_at_once_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port} .*webhook_port"):
            make(port=port).start()


def test_the_port_is_free_again_after_stop() -> None:
    first = make()
    first.start()
    port = int(first.url.split(":")[2].split("/")[0])
    httpx.get(first.url)
    first.stop()
    again = make(port=port)
    again.start()
    assert again.url == first.url
    again.stop()


def test_many_run_side_by_side() -> None:
    listeners = [make() for _ in range(5)]
    for one in listeners:
        one.start()
    assert len({one.url for one in listeners}) == 5
    assert [httpx.get(one.url).status_code for one in listeners] == [200] * 5
    for one in listeners:
        one.stop()


def test_it_stops_cleanly_with_a_request_in_flight(listener: Listener) -> None:
    listener.start()
    port = int(listener.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert half.recv(100).startswith(b"HTTP/1.1 100")  # the receiver is reading the body now
        began = time.perf_counter()
        listener.stop()
        assert time.perf_counter() - began < 1.5


async def test_it_works_inside_a_running_event_loop(listener: Listener) -> None:
    listener.start()
    async with httpx.AsyncClient() as web:
        answers = await asyncio.gather(*(web.get(listener.url) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    await asyncio.to_thread(listener.stop)


@pytest.mark.parametrize(
    ("public", "url"),
    [
        ("https://hooks.example", "https://hooks.example" + DEFAULT_PATH),
        ("https://hooks.example/", "https://hooks.example" + DEFAULT_PATH),
        ("https://hooks.example/mine", "https://hooks.example/mine"),
    ],
)
def test_a_public_url_is_what_the_service_is_told(public: str, url: str) -> None:
    assert make("0.0.0.0", 0, public).url == url


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_every_interface_is_no_address_to_advertise(host: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        check_address(host, 0, None)


@pytest.mark.parametrize(("port", "public"), [(-1, None), (65536, None), (0, "hooks.example")])
def test_arguments_that_make_no_sense_are_refused(port: int, public: str | None) -> None:
    with pytest.raises(ValueError, match=r"webhook_port|public_url"):
        check_address("localhost", port, public)


def test_an_ipv6_address_is_bracketed() -> None:
    assert make("::1", 3120).url == f"http://[::1]:3120{DEFAULT_PATH}"


def test_a_server_that_does_not_come_up_is_loud(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no event loop today")

    monkeypatch.setattr(uvicorn.Server, "run", fail)
    with pytest.raises(VideoTranslationError, match="did not start") as caught:
        listener.start()
    assert "no event loop today" in str(caught.value.__cause__)
    listener.stop()
    assert "did not stop" not in caplog.text


def test_stopping_what_never_started_is_fine(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "video_translation_client"):
        listener.stop()
    assert caplog.text == ""
    assert json.dumps(listener.url)
