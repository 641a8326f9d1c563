"""Fixtures for tests of whatever talks to the service: `translation_server`, and one for a whole session.

pytest loads this module wherever the distribution is installed; the server itself is loaded by the first test that
asks for it.
"""

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
    tmp_path_factory: pytest.TempPathFactory, translation_server_settings: dict[str, Any]
) -> Iterator["TranslationServer"]:
    """A server of this test's own, in this process; its clock stands still."""
    from video_translation_server.testing import TranslationServer  # noqa: PLC0415  (loaded by who needs it)

    with TranslationServer(tmp_path_factory.mktemp("translation-server"), **translation_server_settings) as server:
        yield server


@pytest.fixture(scope="session")
def translation_server_session(
    tmp_path_factory: pytest.TempPathFactory, translation_server_settings: dict[str, Any]
) -> Iterator["TranslationServer"]:
    """One server for all tests of this process (under xdist: one per worker); `reset()` between tests is theirs."""
    from video_translation_server.testing import TranslationServer  # noqa: PLC0415  (loaded by who needs it)

    with TranslationServer(tmp_path_factory.mktemp("translation-server"), **translation_server_settings) as server:
        yield server
