"""The receiving end of a webhook without any I/O: method, headers and raw body in, a reply out.

It verifies, parses and hands over; which event is new is the inbox's business, and the sockets belong to
the adapters in `integrations` and to the listener.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from video_translation_client._errors import WebhookVerificationError
from video_translation_client._metrics import Meter
from video_translation_client._models import Event
from video_translation_client._signature import DEFAULT_TOLERANCE, Keyring
from video_translation_client._webhooks import read_signed

logger = logging.getLogger("video_translation_client")

DEFAULT_PATH: Final = "/webhooks/video-translation"
MAX_BODY: Final = 1024 * 1024
MAX_HEADERS: Final = 32 * 1024
"""Bytes of all names and values together: far more than a delivery has."""
STORING_DEADLINE: Final = 8.0
"""Seconds that an answer waits for a durable inbox: less than the service waits for the answer."""
SECRET_DEADLINE: Final = 2.0
"""Seconds that a delivery waits for its secret: far more than the service's answer takes to come."""
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")
_ALLOWED: Final = ", ".join(METHODS)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as a value."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def end_to_end(self) -> dict[str, str]:
        """The headers without `connection`, which under WSGI is the server's business and forbidden to a view."""
        return {name: value for name, value in self.headers.items() if name != "connection"}


class Receiver:
    """Turns deliveries into events.

    Args:
        accept: called with each genuine event; it must not block. It may return a future: then the answer waits
            for it. What either raises is answered with 500 or 503, so that the service delivers again.
        meter: counts receipts.
        tolerance: seconds by which a signed time may differ from this host's clock.
        secrets: good for as long as the receiver is, beside those of a registration.
        now: the wall clock, unix seconds.
    """

    def __init__(
        self,
        accept: Callable[[Event], Future[None] | None],
        meter: Meter,
        *,
        tolerance: float = DEFAULT_TOLERANCE,
        secrets: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._accept = accept
        self._meter = meter
        self.tolerance = tolerance
        self._standing = tuple(secrets)
        self._now = now
        self._changed = threading.Condition()
        self._expecting = False
        self._secrets: tuple[str, ...] = ()
        self._keyring = Keyring(self._standing, tolerance=tolerance)
        self.is_test: Callable[[Event], bool] = lambda _: False
        """Whether a genuine event only tests the way here, so that it is neither counted nor handed on."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of the registration, newest first."""
        return self._secrets

    def trust(self, secrets: Sequence[str]) -> None:
        """Verify with these secrets from now on; without any secret a delivery is asked to come back later."""
        with self._changed:
            self._secrets = tuple(secrets)
            self._keyring = Keyring((*self._secrets, *self._standing), tolerance=self.tolerance)
            self._changed.notify_all()

    @property
    def expecting(self) -> bool:
        """Whether a registration is under way: the secret for what comes now is about to be known."""
        return self._expecting

    @expecting.setter
    def expecting(self, value: bool) -> None:
        with self._changed:
            self._expecting = value
            self._changed.notify_all()

    @property
    def should_wait(self) -> bool:
        """Whether a delivery had better wait a moment than be sent away, to come again seconds later."""
        return self._expecting and not self._secrets

    def handle(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one request; never raises.

        It may block: while a registration is under way, for 2 s at most, and with a durable inbox until the event
        is stored, for 8 s at most. Callbacks run elsewhere, after the answer.

        Args:
            method: HTTP method.
            headers: names in any case.
            body: the raw bytes, exactly as they came.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self.should_wait, SECRET_DEADLINE)
        reply = self.take(method, headers, body)
        if isinstance(reply, Reply):
            return reply
        try:
            return reply.result(STORING_DEADLINE)
        except TimeoutError:
            return self.not_stored()

    def take(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply | Future[Reply]:
        """Answer one request like `handle`, never blocking: an answer that waits for the inbox comes as a future."""
        if _size(headers) > MAX_HEADERS:
            return self.head_too_large()
        if method == "POST":
            return self._post(headers, body)
        if method == "OPTIONS":
            return Reply(204, {"allow": _ALLOWED})
        if method in ("GET", "HEAD"):
            return Reply(200, {"content-type": "text/plain"}, b"" if method == "HEAD" else b"ready for webhooks\n")
        return _refusal(405, "method_not_allowed", "deliveries are POSTed", {"allow": _ALLOWED})

    def head_too_large(self) -> Reply:
        """Answer a request whose headers passed `MAX_HEADERS`."""
        self._meter.count("pushes_refused")
        what = f"the headers of a delivery have at most {MAX_HEADERS} bytes"
        return _refusal(431, "headers_too_large", what, {"connection": "close"})

    def too_large(self) -> Reply:
        """Answer a request whose body passed `MAX_BODY` before it was read to its end."""
        self._meter.count("pushes_refused")
        return _refusal(413, "payload_too_large", f"a delivery has at most {MAX_BODY} bytes", {"connection": "close"})

    def not_stored(self) -> Reply:
        """Answer a delivery whose event could not be stored (in time)."""
        self._meter.count("pushes_refused")
        return _refusal(503, "not_stored", "the event could not be stored: deliver again later", {"retry-after": "1"})

    def _post(self, headers: Mapping[str, str], body: bytes) -> Reply | Future[Reply]:
        if _length(body) > MAX_BODY:
            return self.too_large()
        keyring = self._keyring
        if not keyring:
            # An early delivery of an endpoint whose secret is still on its way to us, or a late one.
            self._meter.count("pushes_refused")
            return _refusal(503, "not_registered", "no secret is known yet: deliver again later", {"retry-after": "1"})
        try:
            verified = keyring.verify(body, headers, now=self._now())
        except WebhookVerificationError as error:
            return self._refuse(401, error)
        try:
            event = read_signed(body, verified.event_id)
        except WebhookVerificationError as error:
            return self._refuse(400, error)
        return Reply(204) if self.is_test(event) else self._hand_on(event)

    def _hand_on(self, event: Event) -> Reply | Future[Reply]:
        self._meter.count("pushes_received")
        try:
            stored = self._accept(event)
        except Exception:
            logger.exception("event %s could not be taken in; the service is asked to deliver it again", event.id)
            return _refusal(500, "internal_error", "the event could not be taken in")
        return Reply(204) if stored is None else self._once_stored(stored)

    def _once_stored(self, stored: Future[None]) -> Future[Reply]:
        reply: Future[Reply] = Future()
        reply.set_running_or_notify_cancel()  # a sender that goes away does not undo it
        stored.add_done_callback(
            lambda future: reply.set_result(Reply(204) if future.exception() is None else self.not_stored())
        )
        return reply

    def _refuse(self, status: int, error: WebhookVerificationError) -> Reply:
        self._meter.count("pushes_refused")
        logger.warning("a delivery was refused with %d: %s", status, error)
        return _refusal(status, error.reason, str(error))


def _length(body: Any) -> int:
    return len(body) if isinstance(body, bytes | bytearray) else 0


def _size(headers: Mapping[str, str]) -> int:
    try:
        return sum(map(len, headers)) + sum(map(len, headers.values()))
    except (AttributeError, TypeError):
        return 0  # no headers at all, or some that are no text: what is wrong with them is said by the verification


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Reply(status, {"content-type": "application/json", **(headers or {})}, body)
