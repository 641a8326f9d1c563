"""Registering for pushes: start the receiver, replace orphans, create the endpoint, look once, catch up.

It keeps at most one endpoint per client alive and takes it down again; reading the log and polling is left to
the reconciler.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from video_translation_client._dispatcher import Dispatcher, EventCallback
from video_translation_client._errors import (
    ClientClosedError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnexpectedResponseError,
    VideoTranslationError,
)
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._listener import Listener
from video_translation_client._models import JobSnapshot
from video_translation_client._operations import (
    Endpoint,
    create_endpoint,
    delete_endpoint,
    get_status,
    list_endpoints,
    renew_endpoint,
)
from video_translation_client._receiver import Receiver
from video_translation_client._reconcile import Reconciler
from video_translation_client._registration import Registration, Standing
from video_translation_client._transport import Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

SHORTEST_TTL: Final = 10
LONGEST_TTL: Final = 2_592_000
_RENEWAL: Final = "renewal"
_EXTENSIONS: Final = ("description", "ttl_seconds")
# On leaving, an unreachable server may cost the caller this much and no more; the time to live does the rest.
_FAREWELL_TIMEOUT: Final = 3.0
_RENEWAL_TIMEOUT: Final = 5.0
_MOST_PAGES: Final = 1000


class OnRegistered(Protocol):
    """Whoever is told of a new registration."""

    def __call__(self, standing: Standing, *, embedded: bool) -> None:
        """Take note; `embedded` means that the receiver runs in a service of the user's own."""


class Registrar:
    """Keeps at most one registration per client.

    Args:
        make_listener: makes the receiver thread; used unless the user names a URL.
        ttl_seconds: after how long without renewal the service forgets the endpoint; None means never.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        receiver: Receiver,
        make_listener: Callable[[], Listener],
        registry: JobRegistry,
        intake: Intake,
        reconciler: Reconciler,
        dispatcher: Dispatcher,
        upkeep: Upkeep,
        ttl_seconds: int | None,
    ) -> None:
        if ttl_seconds is not None and not SHORTEST_TTL <= ttl_seconds <= LONGEST_TTL:
            raise ValueError(f"ttl_seconds must be {SHORTEST_TTL} to {LONGEST_TTL}, or None for an endpoint for good")
        self._transport = transport
        self._receiver = receiver
        self._make_listener = make_listener
        self._registry = registry
        self._intake = intake
        self._reconciler = reconciler
        self._dispatcher = dispatcher
        self._upkeep = upkeep
        self._ttl = ttl_seconds
        self._lock = threading.RLock()
        self._current: Registration | None = None
        self._standing: Standing | None = None
        self._listener: Listener | None = None
        self._callbacks: list[EventCallback] = []
        self._closed = False
        self.on_registered: OnRegistered = _ignore
        """Called once a registration stands."""
        self.on_unregistered: Callable[[], None] = reconciler.uncover
        """Called when it has ended, and when it failed half-way."""

    def register(self, callback: EventCallback | None, url: str | None) -> Registration:
        """Register, or join the registration that is there; what was begun is undone on any failure."""
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed: make a new one")
            if self._current is not None and self._standing is not None:
                return self._join(self._current, callback, url)
            with contextlib.ExitStack() as undo:
                where = url or self._listen(undo)
                self._call_back(callback, undo)
                standing = Standing(where, self._registry.mark())
                self._replace_orphans(where)
                self._receiver.expecting = True
                undo.callback(setattr, self._receiver, "expecting", False)
                self._adopt(standing, self._create(where, undo))
                undo.callback(self.on_unregistered)
                undo.callback(self._receiver.trust, ())
                standing.status = self._look_once()
                self._reconciler.catch_up()
                if standing.status is not None and standing.endpoint.cursor is not None:
                    self._intake.begin_after(standing.status)
                undo.pop_all()
            registration = Registration(standing, self._registry, functools.partial(self._unregister, standing))
            self._current, self._standing = registration, standing
            self._reconciler.begin()
            if standing.endpoint.ttl_seconds:
                self._upkeep.schedule(_RENEWAL, standing.endpoint.ttl_seconds / 3, self._renew)
            logger.info("registered %s as endpoint %s", where, standing.endpoint.endpoint_id)
            self.on_registered(standing, embedded=url is not None)
            return registration

    def close(self) -> None:
        """End the registration, if there is one, and refuse new ones."""
        with self._lock:
            self._closed = True
            if self._standing is not None:
                self._unregister(self._standing)

    def _unregister(self, standing: Standing) -> None:
        """End a registration. Never raises on a server that cannot be reached: the time to live does it."""
        with self._lock:
            if self._standing is not standing:
                return
            self._current = self._standing = None
            standing.closed = True
            self._upkeep.cancel(_RENEWAL)
            self._delete_quietly(standing.endpoint.endpoint_id)
            self._stop_listening()
            self._receiver.trust(())
            for callback in self._callbacks:
                self._dispatcher.remove(callback)
            self._callbacks.clear()
            self.on_unregistered()
            logger.info("unregistered endpoint %s", standing.endpoint.endpoint_id)

    def _join(self, current: Registration, callback: EventCallback | None, url: str | None) -> Registration:
        if url is not None and url != current.url:
            raise ValueError(
                f"this client is registered at {current.url}: close that registration first, "
                f"or use a second client for {url}"
            )
        self._call_back(callback, None)
        return current

    def _listen(self, undo: contextlib.ExitStack) -> str:
        listener = self._make_listener()
        listener.start()
        self._listener = listener
        undo.callback(self._stop_listening)
        return listener.url

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def _call_back(self, callback: EventCallback | None, undo: contextlib.ExitStack | None) -> None:
        if callback is None or callback in self._callbacks:
            return
        self._dispatcher.add(callback)
        self._callbacks.append(callback)
        if undo is not None:
            undo.callback(self._callbacks.clear)
            undo.callback(self._dispatcher.remove, callback)

    def _replace_orphans(self, url: str) -> None:
        """Delete what an earlier run on this URL, killed before it could, left behind."""
        token: str | None = None
        orphans: list[Endpoint] = []
        for _ in range(_MOST_PAGES):
            page = self._transport.send(list_endpoints(token))
            orphans += [endpoint for endpoint in page.items if endpoint.is_orphan_of(url)]
            if page.next_token in (None, token):
                break
            token = page.next_token
        for orphan in orphans:
            with contextlib.suppress(NotFoundError):
                self._transport.send(delete_endpoint(orphan.endpoint_id))
            logger.info("replaced endpoint %s, left behind on %s by an earlier run", orphan.endpoint_id, url)

    def _create(self, url: str, undo: contextlib.ExitStack) -> Endpoint:
        try:
            endpoint = self._transport.send(create_endpoint(url, ttl_seconds=self._ttl))
        except InvalidRequestError as error:
            if error.param not in _EXTENSIONS and not any(name in str(error) for name in _EXTENSIONS):
                raise
            logger.info("the service knows no %s; registering with its own fields only", " and ".join(_EXTENSIONS))
            endpoint = self._transport.send(create_endpoint(url, ttl_seconds=None, plain=True))
        undo.callback(self._delete_quietly, endpoint.endpoint_id)
        if endpoint.secret is None:
            raise UnexpectedResponseError("the service created an endpoint but gave no secret to verify with")
        return endpoint

    def _adopt(self, standing: Standing, endpoint: Endpoint) -> None:
        """Make an endpoint the registration's own. Deliveries may come as soon as its secret is trusted."""
        standing.endpoint = endpoint
        self._reconciler.cover(endpoint.cursor)
        # The secret before this one stays good for deliveries that are under way.
        self._receiver.trust((endpoint.secret or "", *self._receiver.secrets[:1]))
        self._receiver.expecting = False

    def _look_once(self) -> JobSnapshot | None:
        try:
            snapshot = self._transport.send(get_status())
        except NotFoundError:
            return None
        self._intake.glance(snapshot)
        return snapshot

    def _renew(self) -> float | None:
        """Start the endpoint's time anew (on the upkeep thread); register anew where it is lost."""
        with self._lock:
            standing = self._standing
            if standing is None or not standing.endpoint.ttl_seconds:
                return None
            endpoint, ttl = standing.endpoint, standing.endpoint.ttl_seconds
            try:
                self._renew_or_replace(standing)
            except ConflictError as error:
                logger.info("endpoint %s needs no renewal: %s", endpoint.endpoint_id, error)
                return None
            except VideoTranslationError as error:
                delay = min(ttl / 12, 30.0)
                logger.warning(
                    "endpoint %s was not renewed (%s); next try in %.0f s", endpoint.endpoint_id, error, delay
                )
                return delay
            return ttl / 3

    def _renew_or_replace(self, standing: Standing) -> None:
        endpoint = standing.endpoint
        try:
            self._transport.send(renew_endpoint(endpoint.endpoint_id), timeout=_RENEWAL_TIMEOUT)
        except NotFoundError:
            # It ran out, or somebody deleted it: make another, and read what went past meanwhile in the log.
            logger.warning("endpoint %s is gone; registering %s anew", endpoint.endpoint_id, standing.url)
            with contextlib.ExitStack() as undo:
                self._adopt(standing, self._create(standing.url, undo))
                undo.pop_all()
            self._reconciler.catch_up()

    def _delete_quietly(self, endpoint_id: str) -> None:
        try:
            self._transport.send(delete_endpoint(endpoint_id), timeout=_FAREWELL_TIMEOUT)
        except NotFoundError:
            pass
        except VideoTranslationError as error:
            logger.warning(
                "endpoint %s could not be deleted (%s); the service forgets it once it is not renewed",
                endpoint_id,
                error,
            )


def _ignore(standing: Standing, *, embedded: bool) -> None:
    """Nobody wants to know yet."""
