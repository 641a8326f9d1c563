"""Fixtures for tests of whatever talks to the service: `translation_server`, and one for a whole session.

pytest loads this module wherever the distribution is installed; the server itself is loaded by the first test that
asks for it.
"""

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from video_translation_server.testing import TranslationServer


@pytest.fixture(scope="session")
def translation_server_settings() -> dict[str, Any]:
    """Settings of the server under test, by name, as of `serve`; override it to change some."""
    return {}


@pytest.fixture
def translation_server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    translation_server_settings: dict[str, Any],
) -> Iterator["TranslationServer"]:
    """A server of this test's own, in this process; its clock stands still, and its seed is made of the test's name."""
    with _server(tmp_path_factory, translation_server_settings, request.node.nodeid) as server:
        yield server


@pytest.fixture(scope="session")
def translation_server_session(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    translation_server_settings: dict[str, Any],
) -> Iterator["TranslationServer"]:
    """One server for all tests of this process (under xdist: one per worker); `reset()` between tests is theirs."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    with _server(tmp_path_factory, translation_server_settings, worker) as server:
        yield server


def _server(folders: pytest.TempPathFactory, settings: dict[str, Any], name: str) -> "TranslationServer":
    """A server whose ids no other test gets (what remembers ids from test to test would take them for old news)."""
    from video_translation_server.testing import TranslationServer  # noqa: PLC0415  (loaded by who needs it)

    seed = zlib.crc32(name.encode())
    return TranslationServer(folders.mktemp("translation-server"), **{"seed": seed} | settings)
