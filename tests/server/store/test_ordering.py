"""In order per job and endpoint, and nobody waits for a stranger (decision 0009)."""

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    deliveries_of,
    delivery,
    endpoint,
    life,
    retry,
    seen,
    settlement,
    states,
)
from video_translation_server.model import DeliveryState
from video_translation_server.store import Store


async def test_one_event_of_a_job_is_open_at_a_time_in_sequence(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    for sequence in (1, 2, 3):
        held = await claim_one(store)
        assert held.sequence == sequence
        assert await claim(store) == [], "the next one waits while this one is in flight"
        assert await store.settle([settlement(held)], now=NOW) == [True]
    assert await claim(store) == []


async def test_a_retry_holds_back_what_follows_it(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    held = await claim_one(store)
    await store.settle([retry(held, NOW + 60)], now=NOW)
    assert await claim(store, NOW + 59) == [], "neither it nor the next one"
    again = await claim_one(store, NOW + 60)
    assert (again.sequence, again.attempt) == (1, 2)
    await store.settle([settlement(again)], now=NOW + 60)
    assert (await claim_one(store, NOW + 60)).sequence == 2


async def test_the_next_one_is_due_as_soon_as_the_one_before_it_is_settled(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    await store.settle([settlement(await claim_one(store, NOW + 60))], now=NOW + 60)
    [second] = await deliveries_of(store, WORKSPACE, "evt_job_1_2")
    assert (second.state, second.due_at) == (DeliveryState.DUE, NOW + 60)


async def test_a_dead_delivery_releases_the_next_one(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    held = await claim_one(store)
    await store.settle([dead(held)], now=NOW)
    assert await states(store, changes) == [DeliveryState.DEAD, DeliveryState.DUE, DeliveryState.WAITING]
    assert (await claim_one(store)).sequence == 2
    gone = await delivery(store, held)
    assert (gone.due_at, gone.attempts) == (None, 1), "it is kept, and due no more"


async def test_an_event_behind_a_retry_waits_also_where_it_comes_later(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    await store.settle([retry(await claim_one(store), NOW + 60)], now=NOW)
    second = advanced(first.job)
    await store.record([second])
    assert await claim(store) == []
    assert await states(store, [second]) == [DeliveryState.WAITING]
    assert seen(await deliver_all(store, NOW + 60)) == [("ep_1", "job_1", 1), ("ep_1", "job_1", 2)]


async def test_an_event_behind_one_in_flight_waits_too(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    held = await claim_one(store)
    await store.record([advanced(first.job)])
    assert await claim(store) == []
    await store.settle([settlement(held)], now=NOW)
    assert (await claim_one(store)).sequence == 2


async def test_a_settled_job_is_open_for_its_next_event_at_once(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    await deliver_all(store)
    second = advanced(first.job)
    await store.record([second])
    assert await states(store, [second]) == [DeliveryState.DUE]


async def test_a_release_keeps_the_place(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    await store.release([await claim_one(store)])
    assert [held.sequence for held in await deliver_all(store)] == [1, 2, 3]


async def test_other_jobs_of_the_endpoint_do_not_wait_for_one_in_flight(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life("job_stuck"))
    await claim_one(store)
    await store.record(life("job_free"))
    assert seen(await deliver_all(store)) == [("ep_1", "job_free", number) for number in (1, 2, 3)]


async def test_other_jobs_of_the_endpoint_do_not_wait_for_a_retry(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life("job_stuck"))
    await store.settle([retry(await claim_one(store), NOW + 3600)], now=NOW)
    await store.record(life("job_free"))
    assert seen(await claim(store)) == [("ep_1", "job_free", 1)]


async def test_other_endpoints_of_the_job_do_not_wait(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_stuck"))
    await store.create_endpoint(endpoint("ep_free"))
    await store.record(life())
    for held in await claim(store):
        verdict = retry(held, NOW + 3600) if held.endpoint_id == "ep_stuck" else settlement(held)
        await store.settle([verdict], now=NOW)
    assert seen(await deliver_all(store)) == [("ep_free", "job_1", 2), ("ep_free", "job_1", 3)]


async def test_an_endpoint_that_is_done_gets_the_next_event_at_once_though_another_is_behind(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_stuck"))
    await store.create_endpoint(endpoint("ep_free"))
    first = created()
    await store.record([first])
    for held in await claim(store):
        verdict = retry(held, NOW + 3600) if held.endpoint_id == "ep_stuck" else settlement(held)
        await store.settle([verdict], now=NOW)
    second = advanced(first.job)
    await store.record([second])
    assert await states(store, [second]) == [DeliveryState.WAITING, DeliveryState.DUE]
    assert seen(await claim(store)) == [("ep_free", "job_1", 2)]


async def test_a_type_that_the_endpoint_does_not_want_holds_back_nothing(store: Store) -> None:
    await store.create_endpoint(endpoint(events=("video_translate.pending", "video_translate.success")))
    await store.record(life())
    assert [held.sequence for held in await deliver_all(store)] == [1, 3]


async def settle_badly(store: Store, now: float) -> list[tuple[str, str, int]]:
    """Drain the store; every third attempt fails, every eleventh for good. What was settled for good, in order."""
    settled: list[tuple[str, str, int]] = []
    attempts = 0
    while True:
        claims = await claim(store, now, limit=7)
        for held in claims:
            attempts += 1
            fails, dies = attempts % 3 == 0, attempts % 11 == 0
            verdict = dead(held) if dies else retry(held, now + 5) if fails else settlement(held)
            assert await store.settle([verdict], now=now) == [True]
            settled += seen([held]) if dies or not fails else []
        if not claims:
            due_at = await store.next_delivery_due(now)
            if due_at is None:
                return settled
            now = due_at


async def test_many_jobs_through_failures_arrive_in_sequence(store: Store) -> None:
    """What was superseded is missing, never out of order; the last event of each job is there."""
    for name in ("ep_1", "ep_2"):
        await store.create_endpoint(endpoint(name))
    lives = [life(f"job_{number}") for number in range(12)]
    for step in zip(*lives, strict=True):
        await store.record(step)
    settled = await settle_badly(store, NOW)
    superseded = 0
    for name in ("ep_1", "ep_2"):
        for changes in lives:
            job_id = changes[0].job.id
            sequences = [one[2] for one in settled if one[:2] == (name, job_id)]
            assert sequences == sorted(sequences)
            assert sequences[-1] == 3
            superseded += 3 - len(sequences)
    ended = [state for changes in lives for state in await states(store, changes)]
    assert ended.count(DeliveryState.SUPERSEDED) == superseded
    assert not any(state.is_open for state in ended)
