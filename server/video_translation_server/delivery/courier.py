"""How a claim becomes a POST: its event's bytes signed at this moment, and sent.

When that happens and what follows from the outcome is decided elsewhere.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from video_translation_server import __version__
from video_translation_server.model import Claim, Outcome
from video_translation_server.outbound import Sender
from video_translation_server.signing import signature_headers

HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"video-translation-server/{__version__}",
}


class Carrier(Protocol):
    """Whoever carries claims to their endpoints."""

    def carry(self, claim: Claim) -> asyncio.Future[Outcome]:
        """Sign and POST a claim's event; what the network does is an outcome.

        Raises:
            ValueError: A header of the endpoint cannot be sent.
        """
        ...


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A POST that is signed and not yet sent; `event_id` is for the log."""

    event_id: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Courier:
    """Carries claims out, one POST each.

    Attributes:
        deadline: Seconds for the whole attempt.
        real_time: Unix seconds for signature timestamps: receivers check them against their own clocks.
    """

    sender: Sender
    deadline: float
    real_time: Callable[[], float] = time.time

    def carry(self, claim: Claim) -> asyncio.Future[Outcome]:
        """Sign and POST a claim's event, as `Carrier.carry` says."""
        return self.sender.post(claim.url, self._headers(claim, 0.0), claim.body, deadline=self.deadline)

    def seal(self, claim: Claim, *, age: float = 0.0) -> Letter:
        """Sign a claim's event as of `age` seconds ago."""
        return Letter(claim.event_id, claim.url, self._headers(claim, age), claim.body)

    def send(self, letter: Letter) -> asyncio.Future[Outcome]:
        """POST what was signed."""
        return self.sender.post(letter.url, letter.headers, letter.body, deadline=self.deadline)

    def _headers(self, claim: Claim, age: float) -> dict[str, str]:
        signatures = signature_headers(
            claim.secrets,
            event_id=claim.event_id,
            timestamp=int(self.real_time() - age),
            body=claim.body,
            private_key=claim.private_key,
        )
        return {**claim.headers, **HEADERS, **signatures}
