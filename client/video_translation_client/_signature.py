"""Sign and verify deliveries: Standard Webhooks (`v1`, `v1a`) and the real service's `Heygen-Signature`.

Where `webhook-signature` is present it alone decides, because it also covers the id and the time; parsing
the body and dropping repeats is left to the receiver and the inbox.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from video_translation_client._errors import WebhookVerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DEFAULT_TOLERANCE: Final = 300.0
_SYMMETRIC, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_ED25519_SIZE: Final = 32
_FORM: Final = "a secret is whsec_, whsk_ or whpk_ followed by base64, of 32 bytes for the last two (or 64 for whsk_)"
_LONGEST_TIMESTAMP: Final = 15
# Standard base64, and the alphabet for URLs, in which a foreign service may write a secret of `Heygen-Signature`.
_KEY_TEXT: Final = re.compile(r"[A-Za-z0-9+/_=-]+")
# More entries than any honest sender makes: a bound on the work that a stranger can cause.
_MOST_ENTRIES: Final = 32


@dataclass(frozen=True, slots=True)
class Verified:
    """Proof of origin: which family decided, and the id that it signed (None for `heygen`)."""

    family: str
    event_id: str | None


class Keyring:
    """The secrets under which a delivery may be signed; any of them will do.

    Args:
        secrets: `whsec_...` (shared), `whsk_...` (ed25519 seed, or seed and public key) or `whpk_...`.
        tolerance: seconds by which a signed timestamp may differ from now, in both directions.
    """

    def __init__(self, secrets: Sequence[str], *, tolerance: float = DEFAULT_TOLERANCE) -> None:
        self.secrets = tuple(secrets)
        self.tolerance = tolerance

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def __repr__(self) -> str:
        return f"Keyring({len(self.secrets)} secrets, tolerance={self.tolerance})"

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: float) -> Verified:
        """Check a delivery's raw bytes against its headers.

        Args:
            body: the body exactly as it came.
            headers: names in any case.
            now: unix seconds.

        Raises:
            WebhookVerificationError: for whatever is wrong; `.reason` says what.
        """
        if not self.secrets:
            raise WebhookVerificationError("no secret is known to verify with", reason="no_usable_secret")
        _check_raw(body)
        found = _readable(headers)
        if "webhook-signature" in found:
            return self._verify_standard(body, found, now)
        if "heygen-signature" in found:
            return self._verify_heygen(body, found["heygen-signature"])
        raise WebhookVerificationError(
            "the delivery has neither webhook-signature nor Heygen-Signature", reason="missing_headers"
        )

    def _verify_standard(self, body: bytes, headers: Mapping[str, str], now: float) -> Verified:
        event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not event_id or not stamp:
            raise WebhookVerificationError("webhook-id or webhook-timestamp is missing", reason="missing_headers")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _LONGEST_TIMESTAMP):
            raise WebhookVerificationError("webhook-timestamp is not unix seconds", reason="malformed_headers")
        if abs(now - int(stamp)) > self.tolerance:
            raise WebhookVerificationError(
                f"webhook-timestamp is more than {self.tolerance:g} s away from this host's clock",
                reason="timestamp_out_of_tolerance",
            )
        entries = _entries(headers["webhook-signature"])
        message = _message(event_id, stamp, body)
        if not any(_matches(secret, message, entries) for secret in self.secrets):
            raise self._mismatch()
        return Verified("standard", event_id)

    def _mismatch(self) -> WebhookVerificationError:
        malformed = sum(not _has_key(secret) for secret in self.secrets)
        if not malformed:
            return WebhookVerificationError("no entry of webhook-signature matches", reason="no_matching_signature")
        reason = "no_usable_secret" if malformed == len(self.secrets) else "no_matching_signature"
        return WebhookVerificationError(
            f"no entry of webhook-signature matches, and {malformed} of {len(self.secrets)} secrets is malformed: "
            f"{_FORM}. Copy it again from where the endpoint was created",
            reason=reason,
        )

    def _verify_heygen(self, body: bytes, given: str) -> Verified:
        try:
            digest = bytes.fromhex(given.strip())
        except ValueError:
            raise WebhookVerificationError("Heygen-Signature is not hex", reason="malformed_headers") from None
        for secret in self.secrets:
            if hmac.compare_digest(digest, _heygen_digest(secret, body)):
                return Verified("heygen", None)
        raise WebhookVerificationError("Heygen-Signature does not match", reason="no_matching_signature")


def sign(body: bytes, *, secret: str, event_id: str, timestamp: int) -> dict[str, str]:
    """Make the headers that a delivery of `body` carries, for tests of receivers.

    Args:
        body: the exact bytes that will be sent.
        secret: `whsec_...` gives both families; `whsk_...` gives `v1a`.
        event_id: goes into `webhook-id`.
        timestamp: unix seconds.

    Raises:
        ValueError: the secret cannot sign.
    """
    message = _message(event_id, str(timestamp), body)
    headers = {"webhook-id": event_id, "webhook-timestamp": str(timestamp)}
    if secret.startswith(_PRIVATE):
        private = _private_key(secret)
        if private is None:
            raise ValueError("a whsk_ secret is base64 of a 32-byte seed or of 64 bytes, seed and public key")
        return headers | {"webhook-signature": "v1a," + base64.b64encode(private.sign(message)).decode()}
    key = _shared_key(secret)
    if key is None:
        raise ValueError("a secret to sign with is whsec_ or whsk_ followed by base64")
    return headers | {
        "webhook-signature": "v1," + base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode(),
        "heygen-event-id": event_id,
        "heygen-timestamp": str(timestamp),
        "heygen-signature": _heygen_digest(secret, body).hex(),
    }


def check_secret(name: str, secret: object) -> None:
    """Refuse a secret that no delivery can be signed with, without showing it.

    Text behind `whsec_` that is not quite base64 is let pass: for `Heygen-Signature` it is a key as it stands.

    Args:
        name: of the argument, for the message.
        secret: what was given.

    Raises:
        TypeError: it is no text.
        ValueError: it is malformed.
    """
    if not isinstance(secret, str):
        raise TypeError(f"{name} must be text, not {type(secret).__name__}")
    if not secret:
        raise ValueError(f"{name} is malformed: it is empty; leave it out where there is none")
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(
            f"{name} is malformed: it holds a space, a line break or a character outside of ASCII; strip() it"
        )
    no_pair = secret.startswith((_PRIVATE, _PUBLIC)) and not _has_key(secret)
    no_text = secret.startswith(_SYMMETRIC) and not _KEY_TEXT.fullmatch(secret.removeprefix(_SYMMETRIC))
    if no_pair or no_text:
        raise ValueError(f"{name} is malformed: {_FORM}")


def _has_key(secret: str) -> bool:
    """Whether a secret can be the key of an entry of `webhook-signature`."""
    key = _public_key(secret) if secret.startswith((_PRIVATE, _PUBLIC)) else _shared_key(secret)
    return key is not None


def _check_raw(body: Any) -> None:
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookVerificationError(
            f"the body must be the raw bytes of the request, not {type(body).__name__}", reason="malformed_body"
        )


def _readable(headers: Any) -> dict[str, str]:
    if not hasattr(headers, "items"):
        raise WebhookVerificationError(
            f"the headers must be a mapping of names to values, not {type(headers).__name__}",
            reason="malformed_headers",
        )
    pairs = headers.items()
    return {name.lower(): value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}


def _message(event_id: str, stamp: str, body: bytes) -> bytes:
    # Headers may hold anything; an id that is no text signs as something that nobody has signed.
    return b"%s.%s.%s" % (event_id.encode("utf-8", "backslashreplace"), stamp.encode("ascii"), body)


def _heygen_digest(secret: str, body: bytes) -> bytes:
    # The real service takes the secret's text as the key, prefix included.
    return hmac.digest(secret.encode("utf-8", "backslashreplace"), body, hashlib.sha256)


def _entries(header: str) -> list[tuple[str, bytes]]:
    """Split `v1,<base64> v1a,<base64> ...`; entries that nobody can read are as good as absent."""
    found = []
    for entry in header.split(" ", _MOST_ENTRIES)[:_MOST_ENTRIES]:
        version, comma, text = entry.partition(",")
        signature = _decode(text) if comma else None
        if signature:
            found.append((version, signature))
    return found


def _matches(secret: str, message: bytes, entries: Sequence[tuple[str, bytes]]) -> bool:
    if secret.startswith((_PRIVATE, _PUBLIC)):
        return any(version == "v1a" and _signed_by(secret, signature, message) for version, signature in entries)
    key = _shared_key(secret)
    if key is None:
        return False
    expected = hmac.digest(key, message, hashlib.sha256)
    return any(version == "v1" and hmac.compare_digest(expected, signature) for version, signature in entries)


def _signed_by(secret: str, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only asymmetric endpoints pay for it

    public = _public_key(secret)
    if public is None:
        return False
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@functools.lru_cache(maxsize=64)
def _shared_key(secret: str) -> bytes | None:
    return _decode(secret.removeprefix(_SYMMETRIC)) or None


@functools.lru_cache(maxsize=64)
def _public_key(secret: str) -> Ed25519PublicKey | None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    if secret.startswith(_PRIVATE):
        private = _private_key(secret)
        return None if private is None else private.public_key()
    raw = _decode(secret.removeprefix(_PUBLIC))
    if raw is None or len(raw) != _ED25519_SIZE:
        return None
    return Ed25519PublicKey.from_public_bytes(raw)


@functools.lru_cache(maxsize=64)
def _private_key(secret: str) -> Ed25519PrivateKey | None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    raw = _decode(secret.removeprefix(_PRIVATE))
    if raw is None or len(raw) not in (_ED25519_SIZE, 2 * _ED25519_SIZE):
        return None
    return Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_SIZE])


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
