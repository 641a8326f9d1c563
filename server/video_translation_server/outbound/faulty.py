"""Deliveries that go wrong on order: a sender around another one (docs/guides/testing.md).

Without a rule for deliveries nothing is added to what a delivery costs but a look.
"""

import asyncio
from collections.abc import Awaitable, Mapping

from video_translation_server.faults import Fault, Faults
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound.sender import Sender

ACCEPTED = 204
SIGNATURES = ("heygen-signature", "webhook-signature")
TIMESTAMPS = ("heygen-timestamp", "webhook-timestamp")


class FaultySender:
    """Sends as its sender does, except where a rule fits."""

    def __init__(self, sender: Sender, faults: Faults) -> None:
        self._sender = sender
        self._faults = faults

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> Awaitable[Outcome]:
        """POST, or what the rule makes of it; the arguments are those of `Sender.post`."""
        fault = self._faults.pick("webhook", url, body) if self._faults.rules else None
        if fault is None:
            return self._sender.post(url, headers, body, deadline=deadline)
        return self._go_wrong(fault, url, headers, body, deadline)

    async def close(self) -> None:
        """Close the sender within."""
        await self._sender.close()

    async def _go_wrong(
        self, fault: Fault, url: str, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> Outcome:
        if fault.kind == "drop":  # lost on a way that the server knows nothing of
            return Outcome(kind=OutcomeKind.STATUS, status=ACCEPTED, detail=f"dropped by {fault.id}")
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "duplicate":
            await self._sender.post(url, headers, body, deadline=deadline)
        sent = body[: len(body) // 2] if fault.kind == "truncated" else body
        return await self._sender.post(url, _headers(fault, headers), sent, deadline=deadline)


def _headers(fault: Fault, headers: Mapping[str, str]) -> dict[str, str]:
    changed = dict(headers)
    for name, value in headers.items():
        if fault.kind == "bad_signature" and name.lower() in SIGNATURES:
            # Still of a signature's form, versions included, but of nothing that was signed.
            changed[name] = " ".join(part[:3] + part[:2:-1] for part in value.split(" "))
        elif fault.kind == "stale_timestamp" and name.lower() in TIMESTAMPS:
            changed[name] = str(int(value) - round(fault.seconds))
    return changed
