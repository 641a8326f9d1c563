"""Finds out whether the service can reach our receiver: asks it for a test delivery, and sees whether it comes.

What follows from the verdict is the modes' business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from video_translation_client._asking import is_passing
from video_translation_client._errors import VideoTranslationError
from video_translation_client._models import Event
from video_translation_client._operations import Delivery, get_delivery, test_endpoint
from video_translation_client._transport import Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

TEST_EVENT: Final = "endpoint.test"
_KEY: Final = "test delivery"
_TIMEOUT: Final = 5.0

OnVerdict = Callable[[bool, str], None]


class Probe:
    """One test at a time; it works on the upkeep thread.

    Args:
        on_verdict: called with whether deliveries come, and why that is known; it must not block.
        looks: seconds after which to ask what became of the delivery, one after the other; after the last one
            a delivery that was not even tried counts as one that does not come.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        upkeep: Upkeep,
        on_verdict: OnVerdict,
        looks: tuple[float, ...] = (1.0, 1.0, 2.0, 4.0, 8.0),
    ) -> None:
        self._transport = transport
        self._upkeep = upkeep
        self._on_verdict = on_verdict
        self._looks = looks
        self._lock = threading.Lock()
        self._endpoint_id: str | None = None
        self._event_ids: set[str] = set()
        self._pending = False
        self._asking = False  # the service may have made a test delivery whose event we cannot name yet

    def begin(self, endpoint_id: str, *, delay: float = 0.0) -> None:
        """Test an endpoint in `delay` seconds; a test before it is forgotten."""
        with self._lock:
            self._endpoint_id, self._pending = endpoint_id, True
            self._upkeep.schedule(_KEY, delay, self._ask)

    def cancel(self) -> None:
        """Forget the test that is under way."""
        with self._lock:
            self._pending = False
        self._upkeep.cancel(_KEY)

    def takes(self, event: Event) -> bool:
        """Whether this delivery is our test and nobody else's to see; with that it has arrived.

        It may come, and come again, before the answer that says which event it is.
        """
        if event.type != TEST_EVENT:
            return False
        with self._lock:
            ours = self._pending or self._asking or event.id in self._event_ids
            if ours:
                self._event_ids.add(event.id)
        if ours:
            self._decide(True, "the test delivery arrived", again=True)
        return ours

    def _ask(self) -> float | None:
        with self._lock:
            endpoint_id, self._asking = self._endpoint_id, self._pending
            if endpoint_id is None or not self._asking:
                return None
        try:
            delivery = self._order(endpoint_id)
        except VideoTranslationError as error:
            if is_passing(error):
                return self._looks[-1]
            if endpoint_id == self._endpoint_id:
                self._decide(True, "the service makes no test deliveries")
            return None
        looks = iter(self._looks)
        with self._lock:
            if self._pending and endpoint_id == self._endpoint_id:
                self._upkeep.schedule(_KEY, next(looks), lambda: self._look(delivery.id, looks))
        return None

    def _order(self, endpoint_id: str) -> Delivery:
        """Have the service make a test delivery; from here on it may come at any time."""
        try:
            delivery = self._transport.send(test_endpoint(endpoint_id), timeout=_TIMEOUT)
            with self._lock:
                self._event_ids.add(delivery.event_id)
        finally:
            self._asking = False
        return delivery

    def _look(self, delivery_id: str, looks: object) -> float | None:
        with self._lock:
            if not self._pending:
                return None
        try:
            reason = _what_kept(self._transport.send(get_delivery(delivery_id), timeout=_TIMEOUT))
        except VideoTranslationError as error:
            logger.warning("what became of the test delivery is not known: %s", error)
            reason = None
        pause: float | None = next(looks, None)  # type: ignore[call-overload]
        if reason is None and pause is not None:
            return pause
        self._decide(False, reason or f"the service has not tried to deliver for {sum(self._looks):g} s")
        return None

    def _decide(self, reachable: bool, reason: str, *, again: bool = False) -> None:
        with self._lock:
            if not (self._pending or again):
                return
            self._pending = False
        self._upkeep.cancel(_KEY)
        self._on_verdict(reachable, reason)


def _what_kept(delivery: Delivery) -> str | None:
    """Say what kept a delivery from coming; None while it may still come."""
    if delivery.state == "delivered":
        return "something else answers at the receiver's URL"
    if not delivery.attempt_log:
        return None
    last = delivery.attempt_log[-1]
    told = f"it was answered with {last.status}" if last.status is not None else last.outcome
    return f"{told} ({last.detail})" if last.detail else told
