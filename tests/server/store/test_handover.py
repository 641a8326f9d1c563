"""`handing_over_to`: a worker that has room is leased what is recorded at once, by the rules of `claim`.

An engine may leave all of it to `claim`; what it hands over is right, and what it does not can be claimed.
"""

from tests.server.store.builders import LEASE, NOW, claim, claim_one, created, endpoint, life, settlement
from tests.server.store.engines import RealTime
from tests.server.store.taker import handed
from video_translation_server.store import Store


async def test_what_is_handed_over_and_what_is_claimed_are_all(store: Store) -> None:
    for name in ("ep_1", "ep_2", "ep_3"):
        await store.create_endpoint(endpoint(name))
    claims = await handed(store, created(), room=2)
    claims += await claim(store)
    assert sorted(one.endpoint_id for one in claims) == ["ep_1", "ep_2", "ep_3"]


async def test_it_settles_like_any_other_claim(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first, second, third = life()
    [held] = await handed(store, first) or await claim(store)
    assert await handed(store, second) == [], "the first is on its way"
    assert await store.settle([settlement(held)], now=NOW) == [True]
    held = await claim_one(store)
    assert held.event_id == second.event.id
    assert await store.settle([settlement(held)], now=NOW) == [True]
    [held] = await handed(store, third) or await claim(store)
    assert held.event_id == third.event.id


async def test_its_lease_runs_out_like_any_other(store: Store, real_time: RealTime) -> None:
    await store.create_endpoint(endpoint())
    [lost] = await handed(store, created()) or await claim(store)
    assert await claim(store) == []
    real_time.advance(LEASE)
    again = await claim_one(store)
    assert (again.delivery_id, again.attempt) == (lost.delivery_id, 1)
    assert await store.settle([settlement(lost)], now=NOW) == [False]


async def test_it_is_given_back_like_any_other(store: Store) -> None:
    await store.create_endpoint(endpoint())
    [held] = await handed(store, created()) or await claim(store)
    await store.release([held])
    assert (await claim_one(store)).delivery_id == held.delivery_id
