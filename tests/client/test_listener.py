from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading

import httpx
import pytest
import uvicorn
import uvloop

from tests.client.fake_server import FakeServer
from tests.waiting import PATIENCE
from video_translation_client import Event, VideoTranslationError, _connection
from video_translation_client._listener import Listener, check_address
from video_translation_client._metrics import Meter
from video_translation_client._receiver import DEFAULT_PATH, Receiver


def make(host: str = "localhost", port: int = 0, public_url: str | None = None) -> Listener:
    def ignore(_: Event) -> None:
        pass

    return Listener(Receiver(ignore, Meter()), host=host, port=port, public_url=public_url)


def receiving() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "video-translation-receiver"]


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
    assert not receiving()


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
    listeners = [make() for _ in range(50)]
    for one in listeners:
        one.start()
    assert len({one.url for one in listeners}) == 50
    with httpx.Client() as web:
        assert [web.get(one.url).status_code for one in listeners] == [200] * 50
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        list(pool.map(Listener.stop, listeners))
    assert not receiving()


def test_it_stops_cleanly_with_a_request_in_flight(listener: Listener) -> None:
    listener.start()
    port = int(listener.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert half.recv(100).startswith(b"HTTP/1.1 100")  # the receiver is reading the body now
        listener.stop()
        assert not receiving()


def raw(listener: Listener) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", int(listener.url.split(":")[2].split("/")[0])))
    sock.settimeout(10)
    return sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """An answer's head and body may come one after the other."""
    read = b""
    while not read.endswith(end):
        piece = sock.recv(65536)
        assert piece, read
        read += piece
    return read


def read_to_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: a", b"POST / HTTP/1.1\r\nHost: x\r\n"],
    ids=["silent", "request line", "header", "headers"],
)
def test_a_sender_that_drips_its_headers_is_cut_off(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(_connection, "READING_DEADLINE", 0.1)
    listener.start()
    with raw(listener) as sock:
        sock.sendall(beginning)
        assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")
    listener.stop()


@pytest.mark.parametrize("kind", ["content-length: 100", "transfer-encoding: chunked"])
def test_a_sender_that_drips_its_body_is_cut_off_also_on_a_connection_that_was_kept(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(_connection, "READING_DEADLINE", 1.0)
    listener.start()
    with raw(listener) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_until(sock, b'{"status":"ok"}').startswith(b"HTTP/1.1 200 ")
        sock.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{kind}\r\n\r\n".encode() + b"1\r\n")
        assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")
    listener.stop()


def test_an_idle_connection_that_was_used_is_not_answered_out_of_turn(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "READING_DEADLINE", 1.0)
    listener.start()
    with raw(listener) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_until(sock, b'{"status":"ok"}').startswith(b"HTTP/1.1 200 ")
        sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            sock.recv(1000)
    listener.stop()


def test_headers_without_end_are_refused_while_they_come(listener: Listener) -> None:
    listener.start()
    with raw(listener) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(OSError):
            for _ in range(1000):
                sock.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert read_to_end(sock).startswith(b"HTTP/1.1 431 ")
    assert httpx.get(listener.url, headers={"x": "y" * 40_000}).status_code == 431
    listener.stop()


def test_a_body_in_chunks_is_read_and_bounded(listener: Listener) -> None:
    listener.start()
    assert httpx.post(listener.url, content=iter([b"{", b"}"])).status_code == 503
    assert httpx.post(listener.url, content=iter([b"x" * 65536] * 17)).status_code == 413
    listener.stop()


def test_many_silent_connections_do_not_keep_deliveries_out(listener: Listener) -> None:
    listener.start()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(raw(listener)).sendall(b"POST / HTTP/1.1\r\n")
        assert httpx.get(listener.url).status_code == 200
        listener.stop()
        assert not receiving()


def test_it_works_beside_a_loop_of_uvloop(listener: Listener) -> None:
    async def use() -> int:
        await asyncio.to_thread(listener.start)
        async with httpx.AsyncClient() as web:
            status = (await web.get(listener.url)).status_code
        await asyncio.to_thread(listener.stop)
        return status

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(use()) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_end_of_a_forked_child_leaves_the_parents_registration_alone(server: FakeServer) -> None:
    """In a process of its own, without the threads of this one. A client is not for use after a fork."""
    script = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
from video_translation_client import VideoTranslationClient
client = VideoTranslationClient({server.url!r})
client.register_webhook()
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert server.count("delete_endpoint") == 1  # the parent's, at its own end
    assert server.endpoints == {}


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
