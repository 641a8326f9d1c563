"""Leases: they run on real time, and a claim that was lost changes nothing."""

from collections.abc import Awaitable, Callable

import pytest

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    claim_one,
    created,
    dead,
    delivery,
    endpoint,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import Bench, RealTime, Reopen
from video_translation_server.model import Claim, DeliveryState, Settlement
from video_translation_server.store import Store

# How long a lease holds


async def in_flight(store: Store, jobs: int = 1) -> list[Claim]:
    """Claims for one event each, leased for 30 s."""
    await store.create_endpoint(endpoint())
    await store.record([created(f"job_{number}") for number in range(jobs)])
    claims = await claim(store, lease=30)
    assert len(claims) == jobs
    return claims


async def test_a_lease_holds_until_its_real_time_is_up(store: Store, real_time: RealTime) -> None:
    [held] = await in_flight(store)
    real_time.advance(29.9)
    assert await claim(store) == []
    real_time.advance(0.1)
    again = await claim_one(store)
    assert again.delivery_id == held.delivery_id
    assert again.claim_id != held.claim_id
    assert again.attempt == 1


async def test_the_servers_clock_does_not_move_a_lease(store: Store) -> None:
    await in_flight(store)
    assert await claim(store, NOW + 1e9) == []


async def test_an_expired_lease_that_nobody_took_can_still_be_settled(store: Store, real_time: RealTime) -> None:
    [held] = await in_flight(store)
    real_time.advance(1000)
    assert await store.settle([settlement(held)], now=NOW) == [True]
    assert await claim(store) == []


async def test_renewing_starts_the_lease_anew(store: Store, real_time: RealTime) -> None:
    [held] = await in_flight(store)
    for _ in range(5):
        real_time.advance(29)
        assert await store.renew_claims([held], lease=30) == [True]
        assert await claim(store) == []
    real_time.advance(30)
    assert (await claim_one(store)).delivery_id == held.delivery_id


async def test_each_claim_is_renewed_by_itself(store: Store, real_time: RealTime) -> None:
    one, two, three = await in_flight(store, 3)
    await store.settle([settlement(two)], now=NOW)
    real_time.advance(20)
    assert await store.renew_claims([one, two], lease=30) == [True, False]
    real_time.advance(10)
    assert [held.delivery_id for held in await claim(store)] == [three.delivery_id]


async def test_a_released_delivery_is_due_again_at_once(store: Store) -> None:
    [held] = await in_flight(store)
    await store.release([held])
    assert (await delivery(store, held)).state is DeliveryState.DUE
    again = await claim_one(store)
    assert (again.delivery_id, again.attempt) == (held.delivery_id, 1)


async def test_reopening_takes_the_leases_back_at_once(store: Store, reopen: Reopen) -> None:
    claims = await in_flight(store, 3)
    store = await reopen()
    again = await claim(store)
    assert seen(again) == seen(claims)
    assert await store.settle([settlement(held) for held in claims], now=NOW) == [False] * 3
    assert await store.settle([settlement(held) for held in again], now=NOW) == [True] * 3


# The fence

Loss = Callable[[Bench, Store, RealTime, Claim], Awaitable[Store]]


async def taken_over(_: Bench, store: Store, real_time: RealTime, held: Claim) -> Store:
    real_time.advance(31)
    assert (await claim_one(store)).delivery_id == held.delivery_id
    return store


async def released(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.release([held])
    return store


async def released_and_claimed_again(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.release([held])
    await claim_one(store)
    return store


async def settled_for_a_retry(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.settle([retry(held, NOW + 60)], now=NOW)
    return store


async def delivered(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.settle([settlement(held)], now=NOW)
    return store


async def died(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.settle([dead(held)], now=NOW)
    return store


async def endpoint_deleted(_: Bench, store: Store, __: RealTime, held: Claim) -> Store:
    await store.delete_endpoint(WORKSPACE, held.endpoint_id, now=NOW)
    return store


async def reopened(bench: Bench, _: Store, __: RealTime, ___: Claim) -> Store:
    return await bench.reopen()


LOSSES = [
    taken_over,
    released,
    released_and_claimed_again,
    settled_for_a_retry,
    delivered,
    died,
    endpoint_deleted,
    reopened,
]
VERDICTS: list[Callable[[Claim], Settlement]] = [settlement, dead, lambda held: retry(held, NOW + 5)]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda loss: str(loss.__name__))
async def test_a_stale_claim_changes_nothing_and_is_told_so(
    bench: Bench, store: Store, real_time: RealTime, lose: Loss
) -> None:
    [held] = await in_flight(store)
    store = await lose(bench, store, real_time, held)
    before = (await delivery(store, held), await store.attempts(held.delivery_id))
    for verdict in VERDICTS:
        assert await store.settle([verdict(held)], now=NOW + 1) == [False]
    assert await store.renew_claims([held], lease=1e6) == [False]
    await store.release([held])
    assert (await delivery(store, held), await store.attempts(held.delivery_id)) == before


async def test_a_stale_release_leaves_the_new_holder_its_claim(store: Store, real_time: RealTime) -> None:
    [stale] = await in_flight(store)
    real_time.advance(31)
    holder = await claim_one(store)
    await store.release([stale])
    assert await claim(store) == [], "the new holder has it still"
    assert await store.settle([settlement(holder)], now=NOW) == [True]


async def test_a_stale_renewal_does_not_extend_the_new_holders_lease(store: Store, real_time: RealTime) -> None:
    [stale] = await in_flight(store)
    real_time.advance(31)
    await claim_one(store)
    await store.renew_claims([stale], lease=1e6)
    real_time.advance(30)
    await claim_one(store)


async def test_a_stale_settlement_does_not_stop_the_others_of_its_batch(store: Store) -> None:
    one, two, three = await in_flight(store, 3)
    await store.settle([settlement(two)], now=NOW)
    assert await store.settle([settlement(one), settlement(two), settlement(three)], now=NOW) == [True, False, True]
    assert len(await store.attempts(two.delivery_id)) == 1


async def test_the_same_settlement_twice_in_a_batch_counts_once(store: Store) -> None:
    [held] = await in_flight(store)
    assert await store.settle([settlement(held), settlement(held)], now=NOW) == [True, False]
    assert len(await store.attempts(held.delivery_id)) == 1


async def test_a_stale_settlement_does_not_release_the_next_one(store: Store, real_time: RealTime) -> None:
    """Else two events of a job would be in flight to one endpoint."""
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    stale = await claim_one(store)
    real_time.advance(31)
    await claim_one(store)
    assert await store.settle([settlement(stale)], now=NOW) == [False]
    assert await claim(store) == []


@pytest.mark.parametrize("stale_first", [True, False])
async def test_of_two_claims_of_one_delivery_in_a_batch_the_one_that_holds_is_settled(
    store: Store, real_time: RealTime, *, stale_first: bool
) -> None:
    [stale] = await in_flight(store)
    real_time.advance(31)
    holder = await claim_one(store)
    batch = [retry(stale, NOW + 60), settlement(holder, started_at=NOW + 1)]
    answers = await store.settle(batch if stale_first else batch[::-1], now=NOW)
    assert answers == ([False, True] if stale_first else [True, False])
    assert (await delivery(store, holder)).state is DeliveryState.DELIVERED
    assert await store.attempts(holder.delivery_id) == [batch[1].attempt]
    assert (await store.endpoint(WORKSPACE, "ep_1")).failing_since is None


@pytest.mark.parametrize("delivered_first", [True, False])
async def test_of_two_verdicts_for_one_claim_in_a_batch_the_first_counts(
    store: Store, *, delivered_first: bool
) -> None:
    [held] = await in_flight(store)
    batch = [settlement(held), retry(held, NOW + 60)]
    assert await store.settle(batch if delivered_first else batch[::-1], now=NOW) == [True, False]
    assert (await delivery(store, held)).state is (DeliveryState.DELIVERED if delivered_first else DeliveryState.DUE)
    assert len(await store.attempts(held.delivery_id)) == 1
