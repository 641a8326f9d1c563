"""What a commit means: callers share one and fail alone, what was answered outlives the store, bells ring after it."""

import asyncio
from contextlib import ExitStack

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    deliveries_of,
    endpoint,
    life,
    read_log,
    retry,
    settlement,
)
from tests.server.store.engines import Reopen
from tests.waiting import PATIENCE
from video_translation_server.errors import ConflictError, NotFoundError, StoreError
from video_translation_server.store import Bell, Store

# Many callers


async def test_many_callers_at_once_are_each_answered_for_their_own(store: Store) -> None:
    changes = [created(f"job_{number}") for number in range(300)]
    answers = await asyncio.gather(*(store.record([change]) for change in changes))
    assert answers == [[True]] * 300
    assert {event.job_id for event in await read_log(store)} == {change.job.id for change in changes}


async def test_a_failing_caller_fails_alone(store: Store) -> None:
    await store.record([created("job_taken")])
    calls = [store.record([created("job_taken" if number == 50 else f"job_{number}")]) for number in range(100)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(50), ConflictError)
    assert answers == [[True]] * 99
    assert len(await read_log(store)) == 100


async def test_different_verbs_share_a_commit_without_harm(store: Store) -> None:
    await store.record([created("job_1")])
    answers = await asyncio.gather(
        store.create_endpoint(endpoint("ep_1")),
        store.delete_endpoint(WORKSPACE, "ep_none", now=NOW),
        store.record([created("job_2"), created("job_1")]),
        store.record([created("job_3")]),
        store.ping(),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [int, NotFoundError, ConflictError, list, type(None)]
    assert {event.job_id for event in await read_log(store)} == {"job_1", "job_3"}


async def test_racing_moves_of_one_job_have_one_winner(store: Store) -> None:
    first = created()
    await store.record([first])
    answers = await asyncio.gather(*(store.record([advanced(first.job)]) for _ in range(20)))
    assert sorted(answers) == [[False]] * 19 + [[True]]
    assert [event.sequence for event in await read_log(store)] == [1, 2]


async def test_a_caller_that_gives_up_harms_nobody(store: Store) -> None:
    calls = [asyncio.ensure_future(store.record([created(f"job_{number}")])) for number in range(60)]
    await asyncio.sleep(0)  # let them ask
    for call in calls[::3]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    kept = [answer for number, answer in enumerate(answers) if number % 3]
    assert kept == [[True]] * 40
    stored = {event.job_id for event in await read_log(store)}
    assert {f"job_{number}" for number in range(60) if number % 3} <= stored
    assert await store.record([created("job_after")]) == [True], "the store goes on"


async def test_a_caller_sees_its_own_write_at_once(store: Store) -> None:
    for number in range(20):
        change = created(f"job_{number}")
        await store.record([change])
        assert await store.job(WORKSPACE, change.job.id) == change.job
        assert await store.newest_job(WORKSPACE) == change.job


# Durability


async def test_all_that_was_answered_is_there_after_a_reopen(store: Store, reopen: Reopen) -> None:
    lasting, mortal = endpoint("ep_1", events=("video_translate.pending",), description="d"), endpoint("ep_2")
    for one in (lasting, mortal):
        await store.create_endpoint(one)
    changes = life()
    await store.record(changes)
    held = next(one for one in await claim(store) if one.endpoint_id == "ep_1")
    tried = retry(held, NOW + 60)
    assert await store.settle([tried], now=NOW) == [True]
    await store.delete_endpoint(WORKSPACE, "ep_2", now=NOW)
    log, way = await read_log(store), await deliveries_of(store, WORKSPACE, "evt_job_1_1")

    store = await reopen()

    assert await store.job(WORKSPACE, "job_1") == changes[-1].job
    assert await read_log(store) == log
    lasting = msgspec.structs.replace(lasting, failing_since=NOW)
    assert await store.endpoints(WORKSPACE, limit=10) == ([lasting], None)
    assert await deliveries_of(store, WORKSPACE, "evt_job_1_1") == way
    assert await store.attempts(held.delivery_id) == [tried.attempt]
    assert await store.next_delivery_due(NOW) == NOW + 60


async def test_log_positions_go_on_after_a_reopen(store: Store, reopen: Reopen) -> None:
    await store.record([created("job_1")])
    before = await store.last_position()
    store = await reopen()
    assert await store.last_position() >= before
    await store.record([created("job_2")])
    assert await store.last_position() > before


async def test_what_was_asked_for_before_closing_is_answered_and_kept(store: Store, reopen: Reopen) -> None:
    calls = [asyncio.ensure_future(store.record([created(f"job_{number}")])) for number in range(50)]
    await asyncio.sleep(0)  # let them ask
    store = await reopen()
    assert await asyncio.gather(*calls) == [[True]] * 50
    assert len(await read_log(store)) == 50


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.record([created()])
    with pytest.raises(StoreError, match="closed"):
        await store.newest_job(WORKSPACE)
    with pytest.raises(StoreError, match="closed"):
        await store.ping()
    await store.close()  # once more harms nobody


# Bells


class Listeners:
    """Who is woken by what a test does."""

    def __init__(self, store: Store, stack: ExitStack) -> None:
        bells = {"jobs": store.bells.jobs, "deliveries": store.bells.deliveries, "events": store.bells.events}
        self._rung = {name: stack.enter_context(bell.listen()) for name, bell in bells.items()}

    async def take(self) -> set[str]:
        """The bells that have rung since the last call."""
        await asyncio.sleep(0)  # a bell may ring in the same turn of the loop as the answer
        rung = {name for name, event in self._rung.items() if event.is_set()}
        for event in self._rung.values():
            event.clear()
        return rung


async def test_bells_ring_for_whom_it_concerns(store: Store) -> None:
    with ExitStack() as stack:
        listeners = Listeners(store, stack)
        await store.create_endpoint(endpoint())
        await listeners.take()
        await store.record(life())
        assert await listeners.take() == {"jobs", "deliveries", "events"}
        held = await claim_one(store)
        assert await listeners.take() == set(), "a claim is no new work for anybody"
        assert await store.renew_claims([held], lease=30) == [True]
        assert await listeners.take() == set()
        await store.release([held])
        assert await listeners.take() == {"deliveries"}
        await store.settle([settlement(await claim_one(store))], now=NOW)
        assert await listeners.take() == {"deliveries"}, "the next one of the job is released"
        await read_log(store)
        await store.ping()
        assert await listeners.take() == set()


async def test_a_failed_verb_rings_no_bell(store: Store) -> None:
    await store.record([created()])
    with ExitStack() as stack:
        listeners = Listeners(store, stack)
        await listeners.take()
        with pytest.raises(ConflictError):
            await store.record([created()])
        assert await listeners.take() == set()


async def test_who_is_woken_finds_what_was_committed(store: Store) -> None:
    """The bell rings after the commit, not before it."""
    for number in range(20):
        with store.bells.events.listen() as rung:
            call = asyncio.ensure_future(store.record([created(f"job_{number}")]))
            await asyncio.wait_for(rung.wait(), PATIENCE)
            assert len(await read_log(store)) == number + 1
            await call


async def test_the_bell_rings_also_for_a_caller_that_has_gone(store: Store) -> None:
    with store.bells.events.listen() as rung:
        call = asyncio.ensure_future(store.record([created()]))
        await asyncio.sleep(0)  # let it ask
        call.cancel()
        await asyncio.wait_for(rung.wait(), PATIENCE)
    assert len(await read_log(store)) == 1


async def test_a_bell_wakes_all_who_listen_and_forgets_who_has_left() -> None:
    bell = Bell()
    with bell.listen() as one:
        with bell.listen() as two:
            bell.ring()
            assert one.is_set()
            assert two.is_set()
            one.clear()
            two.clear()
        bell.ring()
        assert one.is_set()
        assert not two.is_set()
