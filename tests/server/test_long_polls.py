"""Long polls over a real socket: a stop answers who waits, and does not wait for them."""

import socket
from pathlib import Path

import httpx

from tests.server.process import started


def test_a_stop_answers_who_waits(tmp_path: Path) -> None:
    with started("--translation-time", "3600", folder=tmp_path) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as waiting:
            waiting.sendall(b"GET /status?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # What is answered later was read later.
            httpx.get(f"{server.url}/readyz", trust_env=False).raise_for_status()
            assert server.end() < 5, "not the 60 s that were asked for"
            answer = waiting.makefile("rb").read()
        assert server.process.returncode == 0
        assert "Traceback" not in server.log()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"status":"pending"' in answer
