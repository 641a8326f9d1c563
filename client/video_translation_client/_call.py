"""One call of a client: what is sent, how, and what becomes of the answer; with it, the files that must go first.

Which calls there are is in `_calls` and in the namespaces; sending is left to the clients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from video_translation_client._exchange import Answer
from video_translation_client._operations import Asset, Operation, interpret, local_files, upload_asset, with_assets
from video_translation_client._options import Options

T = TypeVar("T")
SaidT = TypeVar("SaidT")
MadeT = TypeVar("MadeT")
_AS_IT_IS: Final = Options()


@dataclass(frozen=True, slots=True)
class Call(Generic[SaidT, MadeT]):
    """One call.

    Attributes:
        operation: what is sent. A path in its body stands for a file that is uploaded first.
        finish: makes the caller's result of the answer, and tells the client's other parts.
        options: what the caller said about this call.
        before: done before it is sent; it may block.
    """

    operation: Operation[SaidT]
    finish: Callable[[SaidT], MadeT]
    options: Options = _AS_IT_IS
    before: Callable[[], object] | None = None

    @property
    def files(self) -> list[Path]:
        """The files that must be uploaded before it can be sent."""
        return list(dict.fromkeys(local_files(self.operation.body)))

    def read(self, answer: Answer) -> MadeT:
        """Make the result of an answer.

        Raises:
            APIError: the service answered with an error.
            UnexpectedResponseError: the answer is not of the API's shape.
        """
        return self.finish(interpret(self.operation, answer.status, answer.headers, answer.content))

    def uploads(self) -> list[Call[Asset, Asset]]:
        """Return the calls that upload them.

        Raises:
            OSError: a file is not there.
            ValueError: a file is empty, or too large.
        """
        key = self.options.idempotency_key
        return [
            # The caller's key names the whole: a program that starts over makes no second asset either.
            Call(upload_asset(file), itself, Options(idempotency_key=None if key is None else f"{key}:file{place}"))
            for place, file in enumerate(self.files)
        ]

    def over(self, assets: Sequence[Asset]) -> Call[SaidT, MadeT]:
        """Return this call with what its uploads made in the places of the files."""
        body = with_assets(self.operation.body, dict(zip(self.files, assets, strict=True)))
        return dataclasses.replace(self, operation=dataclasses.replace(self.operation, body=body))


class Run(Protocol):
    """Sends a call, after what must go first, and returns its result."""

    def __call__(self, call: Call[Any, T], /) -> T:
        """Raise an error of the tree where there is none."""


class AsyncRun(Protocol):
    """The same, awaited."""

    async def __call__(self, call: Call[Any, T], /) -> T:
        """Raise an error of the tree where there is none."""


def itself(said: T) -> T:
    """The result of an answer that needs nothing made of it."""
    return said
