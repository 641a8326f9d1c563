"""The program under test, wired to the server of each test."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examples.consumer_app.catalogue import Catalogue
from video_translation_client import VideoTranslationClient


@pytest.fixture
def catalogue(translation_client: VideoTranslationClient) -> Catalogue:
    """A catalogue that is told of its translations."""
    return Catalogue(translation_client)


class Receiver(ThreadingHTTPServer):
    """A partner's webhook: answers as it is told to, then 204."""

    answers: list[int]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests read the server's deliveries."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A partner's webhook that is up."""
    with Receiver(("127.0.0.1", 0), _Handler) as server:
        server.answers = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
