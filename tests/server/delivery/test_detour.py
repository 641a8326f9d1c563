"""Letters that are held back: at most one of a job and URL, and none is lost."""

import asyncio

import msgspec

from tests.server.rig import HOOK, FakeSender, seeded_ids
from video_translation_server.chance import Chance
from video_translation_server.clock import ManualClock
from video_translation_server.delivery.courier import Courier
from video_translation_server.delivery.detour import Detour
from video_translation_server.delivery.faulty import FaultyCourier
from video_translation_server.faults import Faults
from video_translation_server.model import Claim

FIRST = Claim(
    delivery_id=1,
    claim_id=1,
    attempt=1,
    tries=1,
    first_attempt_at=None,
    event_id="evt_1",
    event_type="endpoint.test",
    job_id=None,
    sequence=0,
    body=b"{}",
    endpoint_id="ep_1",
    url=HOOK,
    secrets=("whsec_AAAA",),
    private_key=None,
    headers={},
)


async def test_of_two_that_are_sent_at_once_the_second_overtakes_the_first() -> None:
    clock = ManualClock()
    sender = FakeSender(clock)
    courier = Courier(sender, deadline=1.0, real_time=clock.now)
    faults, detour = Faults(seeded_ids(), Chance(1)), Detour(clock, courier.send)
    faults.add("webhook", "reorder", seconds=60.0)
    carrier = FaultyCourier(courier, faults, detour)
    second = msgspec.structs.replace(FIRST, delivery_id=2, event_id="evt_2")
    await asyncio.gather(carrier.carry(FIRST), carrier.carry(second))
    assert [post.headers["webhook-id"] for post in sender.posts] == ["evt_2", "evt_1"]
    await detour.clear()
