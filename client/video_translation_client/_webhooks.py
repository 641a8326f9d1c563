"""Deliveries in the user's own hands: `Webhooks(secret).unwrap(body, headers)` gives a genuine event or our error.

It checks and reads one request, without a client and without I/O; dropping repeats is left to the inbox, or to
whoever calls this.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from video_translation_client._errors import WebhookVerificationError
from video_translation_client._models import Event, read_event
from video_translation_client._signature import DEFAULT_TOLERANCE, Keyring, Verified, check_secret, sign

Secrets = str | Sequence[str]


class Webhooks:
    """Verifies, reads and (for tests) signs deliveries.

    Args:
        secret: `whsec_...`, `whsk_...` or `whpk_...`, one or several; a delivery signed with any of them is genuine.
        tolerance: seconds by which a signed time may differ from this host's clock, in both directions.
        now: the wall clock, unix seconds.

    Raises:
        ValueError: a secret is malformed.
        TypeError: a secret is no text.
    """

    def __init__(
        self,
        secret: Secrets | None = None,
        *,
        tolerance: float = DEFAULT_TOLERANCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secrets = _listed(secret)
        self._tolerance = tolerance
        self._now = now

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self._known())} secrets>"

    def unwrap(self, body: bytes, headers: Mapping[str, str], secret: Secrets | None = None) -> Event:
        """Return the event of a genuine delivery. The same event may come again: its `id` is the same then.

        Args:
            body: the raw bytes of the request, exactly as they came.
            headers: names in any case.
            secret: instead of those given to the constructor.

        Raises:
            WebhookVerificationError: for whatever is wrong; `.reason` says what.
        """
        return read_signed(body, self.verify(body, headers, secret).event_id)

    def verify(self, body: bytes, headers: Mapping[str, str], secret: Secrets | None = None) -> Verified:
        """Check a delivery without reading it; the arguments and errors are those of `unwrap`.

        Returns:
            Which family of signatures decided, and the id that it covers.
        """
        try:
            secrets = self._known() if secret is None else _listed(secret)
        except (TypeError, ValueError) as error:
            raise WebhookVerificationError(str(error), reason="no_usable_secret") from error
        return Keyring(secrets, tolerance=self._tolerance).verify(body, headers, now=self._now())

    def sign(
        self,
        body: bytes,
        *,
        event_id: str,
        timestamp: int | None = None,
        secret: Secrets | None = None,
    ) -> dict[str, str]:
        """Make the headers that a delivery of `body` carries, for tests of your own receiver.

        Args:
            body: the exact bytes that will be sent.
            event_id: goes into `webhook-id`.
            timestamp: unix seconds; None is now.
            secret: `whsec_...` gives both families, `whsk_...` gives `v1a`; of several all sign.

        Raises:
            ValueError: there is no secret, or one cannot sign.
            TypeError: a secret is no text.
        """
        secrets = self._known() if secret is None else _listed(secret)
        if not secrets:
            raise ValueError("no secret to sign with: pass secret=")
        at = int(self._now()) if timestamp is None else timestamp
        made = [sign(body, secret=one, event_id=event_id, timestamp=at) for one in secrets]
        headers: dict[str, str] = {}
        for one in reversed(made):
            headers |= one
        return headers | {"webhook-signature": " ".join(one["webhook-signature"] for one in made)}

    def _known(self) -> tuple[str, ...]:
        return self._secrets


def read_signed(body: bytes, signed_id: str | None) -> Event:
    """Read the event in a body whose signature was verified.

    Args:
        body: the raw bytes.
        signed_id: the id that the signature covers, where it covers one.

    Raises:
        WebhookVerificationError: the body is no event.
    """
    # The id inside the signed body is what counts. Without one, only a signed header or the body itself
    # may stand in: an id from an unsigned header would let a replay pass as something new.
    raw = bytes(body)
    try:
        return read_event(json.loads(raw), fallback_id=signed_id or "body_" + hashlib.sha256(raw).hexdigest())
    except (ValueError, RecursionError) as error:
        raise WebhookVerificationError(
            f"the body is signed, but it is no event: {error}", reason="malformed_body"
        ) from error


def _listed(secret: Any) -> tuple[str, ...]:
    if secret is None:
        return ()
    found = (secret,) if isinstance(secret, str) else tuple(secret)
    for one in found:
        check_secret("secret", one)
    return found
