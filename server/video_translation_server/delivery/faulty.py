"""Deliveries that go wrong on order: a carrier around the courier (docs/guides/testing.md says what each fault does).

While nothing is ordered, a delivery costs a look more.
"""

import asyncio
from typing import Any

import msgspec

from video_translation_server.delivery.courier import Courier, Letter
from video_translation_server.delivery.detour import Detour
from video_translation_server.faults import Fault, Faults
from video_translation_server.ids import ordinal
from video_translation_server.model import Claim, Outcome, OutcomeKind

ACCEPTED = 204

FUTURE_TYPE = "video_translate.dubbed"
FUTURE_STATUS = {"status": "dreaming", "result": "elsewhere"}
"""Words that no version of the wire has: those of contract/from_the_future.json."""


class FaultyCourier:
    """Carries claims as its courier does, except where a rule fits."""

    def __init__(self, courier: Courier, faults: Faults, detour: Detour) -> None:
        self._courier = courier
        self._faults = faults
        self._detour = detour

    def carry(self, claim: Claim) -> asyncio.Future[Outcome]:
        """Sign and POST, or what the rule makes of it; raises as `Carrier.carry` does."""
        held = self._detour.take((claim.url, claim.job_id)) if self._detour else None
        if held is not None:
            return asyncio.ensure_future(self._overtake(claim, held))
        fault = self._pick(claim) if self._faults else None
        return self._courier.carry(claim) if fault is None else asyncio.ensure_future(self._go_wrong(fault, claim))

    def _pick(self, claim: Claim) -> Fault | None:
        occasion = (ordinal(claim.event_id), ordinal(claim.endpoint_id), claim.attempt)
        return self._faults.pick("webhook", claim.url, claim.body, occasion)

    async def _overtake(self, claim: Claim, held: Letter) -> Outcome:
        """Send the later one, then the earlier one; only then is the attempt over, so that `advance` waits for both."""
        outcome = await self._courier.carry(claim)
        await self._detour.send(held)
        return outcome

    async def _go_wrong(self, fault: Fault, claim: Claim) -> Outcome:
        courier = self._courier
        match fault.kind:
            case "drop":
                return _lost(f"dropped by {fault.id}")
            case "reorder":
                # Of two that were sent at once, the first was not held back yet when it was looked for.
                if (held := self._detour.take((claim.url, claim.job_id))) is not None:
                    return await self._overtake(claim, held)
                self._detour.hold((claim.url, claim.job_id), courier.seal(claim), fault.seconds)
                return _lost(f"held back by {fault.id}")
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "duplicate":
                await courier.carry(claim)
        return await courier.send(_spoilt(fault, claim, courier))


def _spoilt(fault: Fault, claim: Claim, courier: Courier) -> Letter:
    """The letter that the rule makes of a claim: where it is not the signature that is spoilt, it is right."""
    match fault.kind:
        case "stale_timestamp":
            return courier.seal(claim, age=fault.seconds)
        case "unknown_type":
            return courier.seal(_rewritten(claim, {"event_type": FUTURE_TYPE}, {}))
        case "unknown_status":
            return courier.seal(_rewritten(claim, {}, FUTURE_STATUS))
        case "bad_signature":  # of other bytes than those that are sent
            return msgspec.structs.replace(
                courier.seal(msgspec.structs.replace(claim, body=claim.body + b" ")), body=claim.body
            )
        case "truncated":
            return msgspec.structs.replace(courier.seal(claim), body=claim.body[: len(claim.body) // 2])
    return courier.seal(claim)


def _rewritten(claim: Claim, event: dict[str, Any], data: dict[str, Any]) -> Claim:
    body = msgspec.json.decode(claim.body) | event
    body["event_data"] |= data
    return msgspec.structs.replace(claim, body=msgspec.json.encode(body))


def _lost(detail: str) -> Outcome:
    """What the server takes for an answer where the letter went astray on a way that it knows nothing of."""
    return Outcome(kind=OutcomeKind.STATUS, status=ACCEPTED, detail=detail)
