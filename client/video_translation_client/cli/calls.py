"""Send the API's calls for a command: one, or page after page.

The calls themselves are in `_operations`; this is the commands' only door to the client's inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from video_translation_client.cli.session import Session

if TYPE_CHECKING:
    from video_translation_client import VideoTranslationClient
    from video_translation_client._operations import Operation, Page

T = TypeVar("T")


def send(client: VideoTranslationClient, operation: Operation[T]) -> T:
    """Send one call as the client would.

    Raises:
        VideoTranslationError: it was refused, or nobody answered.
    """
    return client._engine.transport.send(operation)  # noqa: SLF001 - a command per call, not all are public methods


def ask(session: Session, operation: Operation[T]) -> T:
    """Send one call with a client of its own.

    Raises:
        VideoTranslationError: it was refused, or nobody answered.
    """
    with session.client() as client:
        return send(client, operation)


def ask_all(session: Session, page: Callable[[str | None], Operation[Page[T]]]) -> Iterator[T]:
    """Yield the items of a list; a further page is read when its first item is wanted.

    Raises:
        VideoTranslationError: it was refused, or nobody answered.
    """
    token: str | None = None
    with session.client() as client:
        while True:
            found = send(client, page(token))
            yield from found.items
            token = found.next_token
            if token is None:
                return
