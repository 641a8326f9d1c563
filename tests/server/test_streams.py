"""Event streams over real sockets: a stop ends them, a stalled reader is dropped, one that leaves is noticed."""

import socket
import time
from pathlib import Path

import httpx

from tests.server.listening import STREAM
from tests.server.process import Server, started
from tests.server.rig import EVENTS, JOBS, VIDEO
from video_translation_server.wire.languages import LANGUAGES

FLAGS = ("--start-job", "false", "--translation-time", "3600", "--stop-timeout", "60")
PROMPT = 45.0
"""Seconds, far below the time that a stop would give to requests which do not end by themselves."""


def opened(server: Server, query: str = "", *, buffer: int | None = None) -> socket.socket:
    """A stream's socket, its head and first message read."""
    stream = socket.socket()
    if buffer is not None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    stream.settimeout(10)
    stream.connect(("127.0.0.1", server.port))
    stream.sendall(f"GET {STREAM}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    received = b""
    while b"id: cur_" not in received:
        received += stream.recv(1)
    assert received.startswith(b"HTTP/1.1 200 ")
    return stream


def translate(server: Server, times: int = 1) -> None:
    body = {"video": VIDEO, "output_languages": LANGUAGES[:100], "title": "x" * 1000}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        for _ in range(times):
            http.post(JOBS, json=body).raise_for_status()


def test_a_stop_ends_the_streams_at_once(tmp_path: Path) -> None:
    with started(*FLAGS, folder=tmp_path) as server, opened(server) as first, opened(server) as second:
        translate(server)
        streams = [first.makefile("rb"), second.makefile("rb")]
        for stream in streams:
            for _ in range(100):
                assert (
                    next(line for line in stream if line.startswith(b"event: ")) == b"event: video_translate.pending\n"
                )
        assert server.end() < PROMPT
        assert server.process.returncode == 0
        for stream in streams:
            assert stream.read().endswith(b"0\r\n\r\n"), "ended as HTTP says, not torn off"
        log = server.log()
        assert "Traceback" not in log
        assert " - ERROR - " not in log


def test_a_stalled_reader_is_dropped_and_the_server_goes_on(tmp_path: Path) -> None:
    flags = (*FLAGS, "--stream-stall", "0.2")
    with started(*flags, folder=tmp_path) as server, opened(server, "?after=cur_0", buffer=4096) as stalled:
        translate(server, times=60)  # more than the socket buffers of both sides take
        deadline = time.monotonic() + PROMPT
        while "stream cut" not in "".join(server.errors):
            assert time.monotonic() < deadline
            httpx.get(f"{server.url}{EVENTS}", trust_env=False).raise_for_status()
        try:
            while stalled.recv(65536):
                pass
        except ConnectionResetError:
            pass
        assert server.end() < PROMPT
        log = server.log()
        assert "Traceback" not in log
        assert " - ERROR - " not in log


def test_a_reader_that_leaves_ends_its_request(tmp_path: Path) -> None:
    with started(*FLAGS, folder=tmp_path) as server:
        for _ in range(3):
            opened(server).close()
        deadline = time.monotonic() + PROMPT
        while "".join(server.errors).count(f"path={STREAM}") < 3:
            assert time.monotonic() < deadline
            httpx.get(f"{server.url}/healthz", trust_env=False).raise_for_status()
        assert server.end() < PROMPT
        assert " - ERROR - " not in server.log()
