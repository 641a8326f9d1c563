"""`client.webhooks`: verification, and the calls about endpoints and deliveries, for both clients.

What each call is on the wire is in `_operations`; sending is the client's; the endpoint that `register_webhook`
keeps alive is the registrar's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from video_translation_client import _operations as operations
from video_translation_client._operations import Delivery, Endpoint, Operation, Page, Recovery
from video_translation_client._options import Options
from video_translation_client._paging import Listing, walk, walk_async
from video_translation_client._signature import DEFAULT_TOLERANCE
from video_translation_client._webhooks import Secrets, Webhooks

T = TypeVar("T")


class Send(Protocol):
    """Sends an operation and returns what its answer says."""

    def __call__(self, operation: Operation[T], options: Options | None = None, /) -> T:
        """Raise an error of the tree where there is no such answer."""


class AsyncSend(Protocol):
    """The same, awaited."""

    async def __call__(self, operation: Operation[T], options: Options | None = None, /) -> T:
        """Raise an error of the tree where there is no such answer."""


class _Known(Webhooks):
    """Verifies with the secret that the client was given and with those that it is registered with."""

    def __init__(self, secret: Secrets | None, registered: Callable[[], Sequence[str]], tolerance: float) -> None:
        super().__init__(secret, tolerance=tolerance)
        self._registered = registered

    def _known(self) -> tuple[str, ...]:
        return (*self._secrets, *self._registered())


class Deliveries:
    """What was sent to the workspace's endpoints, and how that went. A service without it raises `NotFoundError`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, **filters: str) -> Iterator[Delivery]:
        """Walk through the deliveries, newest first, page by page.

        Args:
            filters: `endpoint_id`, `event_id`, `job_id`, `state`; each narrows it.
        """
        return walk(_deliveries(filters), self._send)

    def get(self, delivery_id: str) -> Delivery:
        """Read one delivery with its attempts."""
        return self._send(operations.get_delivery(delivery_id))

    def resend(self, delivery_id: str) -> Delivery:
        """Have it sent again, now."""
        return self._send(operations.resend(delivery_id))


class ClientWebhooks(_Known):
    """Verification with the client's secrets, and management of the workspace's endpoints.

    Every call that sends raises as the client's do: `NotFoundError`, other `APIError`s, `ServerUnreachableError`.
    """

    def __init__(
        self,
        send: Send,
        *,
        secret: Secrets | None = None,
        registered: Callable[[], Sequence[str]] = tuple,
        tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        super().__init__(secret, registered, tolerance)
        self._send = send
        self.deliveries = Deliveries(send)

    def event_types(self) -> dict[str, str]:
        """Read every type of event with what it tells."""
        return self._send(operations.list_event_types())

    def create(self, url: str, *, events: Sequence[str] | None = None, **fields: Any) -> Endpoint:
        """Register any URL; the answer has the `secret`, which is told only now.

        Args:
            url: where the deliveries go.
            events: the types it gets; None means all.
            fields: further fields of the request, for example `description`, `ttl_seconds`, `headers`.
        """
        return self._send(operations.add_endpoint(url, events=events, **fields))

    def list(self) -> Iterator[Endpoint]:
        """Walk through the workspace's endpoints, page by page."""
        return walk(_endpoints(), self._send)

    def get(self, endpoint_id: str) -> Endpoint:
        """Read one endpoint."""
        return self._send(operations.get_endpoint(endpoint_id))

    def update(self, endpoint_id: str, **changes: Any) -> Endpoint:
        """Change what is named (`url`, `events`, `status`, ...); `events` is replaced whole."""
        return self._send(operations.update_endpoint(endpoint_id, **changes))

    def delete(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        self._send(operations.delete_endpoint(endpoint_id))

    def rotate_secret(self, endpoint_id: str, *, overlap_seconds: float | None = None) -> str:
        """Give an endpoint a new secret and return it; the old one signs beside it for `overlap_seconds`."""
        return self._send(operations.rotate_secret(endpoint_id, overlap_seconds=overlap_seconds))

    def test(self, endpoint_id: str) -> Delivery:
        """Send an endpoint a test event; the delivery has yet to be made, `deliveries.get` tells how it went."""
        return self._send(operations.test_endpoint(endpoint_id))

    def recover(self, endpoint_id: str, since: float) -> Recovery:
        """Have all sent again since a time (unix seconds) that failed for good or was never sent."""
        return self._send(operations.recover(endpoint_id, since))

    def replay(self, endpoint_id: str, since: float | None = None) -> Recovery:
        """Have sent what the endpoint was never sent, since a time (unix seconds) or from the log's beginning."""
        return self._send(operations.replay(endpoint_id, since))

    def get_recovery(self, recovery_id: str) -> Recovery:
        """Ask how far a recovery or replay has come."""
        return self._send(operations.get_recovery(recovery_id))


class AsyncDeliveries:
    """The twin of `Deliveries`, to be awaited."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    def list(self, **filters: str) -> AsyncIterator[Delivery]:
        """Walk through the deliveries, newest first, page by page.

        Args:
            filters: `endpoint_id`, `event_id`, `job_id`, `state`; each narrows it.
        """
        return walk_async(_deliveries(filters), self._send)

    async def get(self, delivery_id: str) -> Delivery:
        """Read one delivery with its attempts."""
        return await self._send(operations.get_delivery(delivery_id))

    async def resend(self, delivery_id: str) -> Delivery:
        """Have it sent again, now."""
        return await self._send(operations.resend(delivery_id))


class AsyncClientWebhooks(_Known):
    """The twin of `ClientWebhooks`: what sends is to be awaited, verification is not."""

    def __init__(
        self,
        send: AsyncSend,
        *,
        secret: Secrets | None = None,
        registered: Callable[[], Sequence[str]] = tuple,
        tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        super().__init__(secret, registered, tolerance)
        self._send = send
        self.deliveries = AsyncDeliveries(send)

    async def event_types(self) -> dict[str, str]:
        """Read every type of event with what it tells."""
        return await self._send(operations.list_event_types())

    async def create(self, url: str, *, events: Sequence[str] | None = None, **fields: Any) -> Endpoint:
        """Register any URL; the answer has the `secret`, which is told only now.

        Args:
            url: where the deliveries go.
            events: the types it gets; None means all.
            fields: further fields of the request, for example `description`, `ttl_seconds`, `headers`.
        """
        return await self._send(operations.add_endpoint(url, events=events, **fields))

    def list(self) -> AsyncIterator[Endpoint]:
        """Walk through the workspace's endpoints, page by page."""
        return walk_async(_endpoints(), self._send)

    async def get(self, endpoint_id: str) -> Endpoint:
        """Read one endpoint."""
        return await self._send(operations.get_endpoint(endpoint_id))

    async def update(self, endpoint_id: str, **changes: Any) -> Endpoint:
        """Change what is named (`url`, `events`, `status`, ...); `events` is replaced whole."""
        return await self._send(operations.update_endpoint(endpoint_id, **changes))

    async def delete(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        await self._send(operations.delete_endpoint(endpoint_id))

    async def rotate_secret(self, endpoint_id: str, *, overlap_seconds: float | None = None) -> str:
        """Give an endpoint a new secret and return it; the old one signs beside it for `overlap_seconds`."""
        return await self._send(operations.rotate_secret(endpoint_id, overlap_seconds=overlap_seconds))

    async def test(self, endpoint_id: str) -> Delivery:
        """Send an endpoint a test event; the delivery has yet to be made, `deliveries.get` tells how it went."""
        return await self._send(operations.test_endpoint(endpoint_id))

    async def recover(self, endpoint_id: str, since: float) -> Recovery:
        """Have all sent again since a time (unix seconds) that failed for good or was never sent."""
        return await self._send(operations.recover(endpoint_id, since))

    async def replay(self, endpoint_id: str, since: float | None = None) -> Recovery:
        """Have sent what the endpoint was never sent, since a time (unix seconds) or from the log's beginning."""
        return await self._send(operations.replay(endpoint_id, since))

    async def get_recovery(self, recovery_id: str) -> Recovery:
        """Ask how far a recovery or replay has come."""
        return await self._send(operations.get_recovery(recovery_id))


def _deliveries(filters: Mapping[str, str]) -> Listing[Page[Delivery], Delivery]:
    def following(page: Page[Delivery]) -> Operation[Page[Delivery]] | None:
        return None if page.next_token is None else operations.list_deliveries(page.next_token, **filters)

    return Listing(operations.list_deliveries(**filters), lambda page: page.items, following, Options())


def _endpoints() -> Listing[Page[Endpoint], Endpoint]:
    def following(page: Page[Endpoint]) -> Operation[Page[Endpoint]] | None:
        return None if page.next_token is None else operations.list_endpoints(page.next_token)

    return Listing(operations.list_endpoints(), lambda page: page.items, following, Options())
