"""Signatures, pure: keys, id, time and body become the headers of one attempt (contract/README.md).

Both families cover the same bytes: Standard Webhooks 1.0 (v1, and v1a where the endpoint has a key pair) and the
real service's own.
"""

import base64
import hmac
import secrets as random_secrets
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_PREFIX = "whsec_"  # noqa: S105  (the public prefix of a secret, not a secret)
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SECRET_BYTES = 32
SEED_BYTES = 32


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(random_secrets.token_bytes(SECRET_BYTES)).decode()


def new_private_key() -> str:
    """A fresh ed25519 key: `whsk_` and its 32-byte seed in base64."""
    return PRIVATE_PREFIX + base64.b64encode(random_secrets.token_bytes(SEED_BYTES)).decode()


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
    entries = [f"v1,{_base64(hmac.digest(_key(secret), signed, 'sha256'))}" for secret in secrets]
    if private_key is not None:
        entries.append(f"v1a,{_base64(_ed25519(private_key).sign(signed))}")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": time,
        "webhook-signature": " ".join(entries),
        "Heygen-Signature": hmac.digest(secrets[0].encode(), body, "sha256").hex(),
        "Heygen-Timestamp": time,
        "Heygen-Event-Id": event_id,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@lru_cache(maxsize=1024)
def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


@lru_cache(maxsize=1024)
def _ed25519(private_key: str) -> Ed25519PrivateKey:
    # Some tools write the seed followed by the public key: the seed alone says everything.
    seed = base64.b64decode(private_key.removeprefix(PRIVATE_PREFIX))[:SEED_BYTES]
    return Ed25519PrivateKey.from_private_bytes(seed)
