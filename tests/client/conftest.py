"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.fake_server import FakeServer
from tests.client.recorder import Recorder
from video_translation_client import PollPolicy, VideoTranslationClient

FAST = PollPolicy(first=0.02, factor=1.0, cap=0.02, jitter=0.0)
NEVER = PollPolicy(first=3600.0, factor=1.0, cap=3600.0, jitter=0.0)

MakeClient = Callable[..., VideoTranslationClient]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "VIDEO_TRANSLATION_BASE_URL",
        "VIDEO_TRANSLATION_API_KEY",
        "HEYGEN_API_BASE",
        "HEYGEN_API_KEY",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer().start()
    yield fake
    fake.stop()


@pytest.fixture
def plain_server() -> Iterator[FakeServer]:
    """A service that knows only the real one's fields and paths."""
    fake = FakeServer(extensions=False).start()
    yield fake
    fake.stop()


@pytest.fixture
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Make clients that never ask by themselves unless a test says how often."""
    made: list[VideoTranslationClient] = []

    def make(base_url: str | None = None, **options: Any) -> VideoTranslationClient:
        where = base_url if base_url is not None else request.getfixturevalue("server").url
        client = VideoTranslationClient(where, **({"poll": NEVER, "safety_net": NEVER} | options))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(timeout=1.0)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
