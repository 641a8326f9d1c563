"""Lists that are longer than a page: one description, walked through by a blocking and by an async iterator.

A page is asked for when its first item is wanted, so that nothing is read that nobody looks at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from video_translation_client._operations import Operation
from video_translation_client._options import Options

PageT = TypeVar("PageT")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Listing(Generic[PageT, ItemT]):
    """A list in pages.

    Attributes:
        first: reads the first page.
        items: a page's items.
        after: reads the page after this one; None where it is the last.
        options: what the caller said about these requests.
    """

    first: Operation[PageT]
    items: Callable[[PageT], Sequence[ItemT]]
    after: Callable[[PageT], Operation[PageT] | None]
    options: Options

    def follow(self, operation: Operation[PageT], page: PageT) -> Operation[PageT] | None:
        """Return what reads the next page; None at the end, and where a service would give the same page again."""
        following = self.after(page)
        return None if following is None or following.query == operation.query else following


def walk(listing: Listing[PageT, ItemT], send: Callable[[Operation[PageT], Options], PageT]) -> Iterator[ItemT]:
    """Give every item; what a request raises comes out of `next()`."""
    operation: Operation[PageT] | None = listing.first
    while operation is not None:
        page = send(operation, listing.options)
        yield from listing.items(page)
        operation = listing.follow(operation, page)


async def walk_async(
    listing: Listing[PageT, ItemT], send: Callable[[Operation[PageT], Options], Awaitable[PageT]]
) -> AsyncIterator[ItemT]:
    """Give every item; what a request raises comes out of `anext()`."""
    operation: Operation[PageT] | None = listing.first
    while operation is not None:
        page = await send(operation, listing.options)
        for item in listing.items(page):
            yield item
        operation = listing.follow(operation, page)
