"""Fixture `translation_client`: a client of the server under test (`translation_server`, of the server distribution).

pytest loads this module wherever the distribution is installed; the client itself is loaded by the first test that
asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from video_translation_client import VideoTranslationClient


@pytest.fixture(scope="session")
def translation_client_options() -> dict[str, Any]:
    """Keyword arguments of the client under test; override it to change some."""
    return {}


@pytest.fixture
def translation_client(
    translation_server: Any, translation_client_options: dict[str, Any]
) -> Iterator[VideoTranslationClient]:
    """A client of this test's server, closed at the test's end."""
    from video_translation_client import VideoTranslationClient  # noqa: PLC0415 - loaded by who needs it

    with VideoTranslationClient(**{"base_url": translation_server.url} | translation_client_options) as client:
        yield client
