"""Signatures, pure: keys, id, time and body become the headers of one attempt (contract/README.md).

Both families cover the same bytes: Standard Webhooks 1.0 (v1, and v1a where the endpoint has a key pair) and the
real service's own.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from functools import lru_cache
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

SECRET_PREFIX = "whsec_"  # noqa: S105  (the public prefix of a secret, not a secret)
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SECRET_BYTES = 32
SEED_BYTES = 32

Token = Callable[[int], bytes]
"""Makes so many bytes for a secret."""


def new_secret(token: Token = token_bytes) -> str:
    """A fresh signing secret: `whsec_` and 32 bytes in base64, random ones unless `token` makes others."""
    return SECRET_PREFIX + _base64(token(SECRET_BYTES))


def new_private_key(token: Token = token_bytes) -> str:
    """A fresh ed25519 key: `whsk_` and its 32-byte seed in base64, random unless `token` makes others."""
    return PRIVATE_PREFIX + _base64(token(SEED_BYTES))


def public_key(private_key: str) -> str:
    """What a receiver verifies with: `whpk_` and the 32 bytes of the public key in base64."""
    return PUBLIC_PREFIX + base64.b64encode(_ed25519(private_key).public_key().public_bytes_raw()).decode()


def signature_headers(
    secrets: Sequence[str], *, event_id: str, timestamp: int, body: bytes, private_key: str | None = None
) -> dict[str, str]:
    """The signature headers of one attempt.

    Args:
        secrets: Every valid secret, the newest first (at least one).
        event_id: Id of the event, the same on every attempt.
        timestamp: Unix seconds of this attempt.
        body: The exact bytes that are sent.
        private_key: `whsk_` and an ed25519 seed (or seed and public key) in base64; adds a v1a entry.
    """
    time = str(timestamp)
    signed = f"{event_id}.{time}.".encode() + body
    newest = _key(secrets[0])
    signature = newest.standard(signed)
    for secret in secrets[1:]:
        signature += f" {_key(secret).standard(signed)}"
    if private_key is not None:
        signature += f" v1a,{_base64(_ed25519(private_key).sign(signed))}"
    return {
        "webhook-id": event_id,
        "webhook-timestamp": time,
        "webhook-signature": signature,
        "Heygen-Signature": newest.heygen(body),
        "Heygen-Timestamp": time,
        "Heygen-Event-Id": event_id,
    }


class _Key:
    """A secret as both families use it: HMAC-SHA256 set up once and copied for each message, in half the time."""

    __slots__ = ("_heygen", "_standard")

    def __init__(self, secret: str) -> None:
        self._standard = HMAC(base64.b64decode(secret.removeprefix(SECRET_PREFIX)), SHA256())
        self._heygen = HMAC(secret.encode(), SHA256())

    def standard(self, signed: bytes) -> str:
        """The entry of a `webhook-signature`."""
        mac = self._standard.copy()
        mac.update(signed)
        return f"v1,{_base64(mac.finalize())}"

    def heygen(self, body: bytes) -> str:
        mac = self._heygen.copy()
        mac.update(body)
        return mac.finalize().hex()


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


@lru_cache(maxsize=1024)
def _key(secret: str) -> _Key:
    return _Key(secret)


@lru_cache(maxsize=1024)
def _ed25519(private_key: str) -> Ed25519PrivateKey:
    # Some tools write the seed followed by the public key: the seed alone says everything.
    seed = base64.b64decode(private_key.removeprefix(PRIVATE_PREFIX))[:SEED_BYTES]
    return Ed25519PrivateKey.from_private_bytes(seed)
