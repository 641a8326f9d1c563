"""Sweeps: `recover` and `replay` take up what an endpoint did not get: once each, in order, paced, over a crash."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    claim,
    created,
    dead,
    deliver_all,
    endpoint,
    failed,
    life,
    read_log,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import Reopen
from video_translation_server.errors import NotFoundError
from video_translation_server.model import Claim, DeliveryState, EndpointStatus, Event, Ordering, Sweep, SweepKind
from video_translation_server.store import DeliveryFilter, Store

LATER = NOW + 1000


def order(kind: SweepKind = SweepKind.RECOVER, **fields: Any) -> Sweep:
    defaults: dict[str, Any] = {"id": "rec_1", "endpoint_id": "ep_1", "since": NOW - 1000, "created_at": LATER}
    return Sweep(workspace_id=fields.pop("workspace", WORKSPACE), kind=kind, **(defaults | fields))


async def finish(store: Store, *, chunk: int = 100, backlog: int = 10_000) -> None:
    """Let the sweeps go on for as long as they can at once."""
    steps = 0
    while await store.advance_sweeps(LATER, chunk=chunk, backlog=backlog):
        steps += 1
        assert steps < 1000, "it never ends"


async def end(store: Store, how: str) -> list[Claim]:
    """Bring all that can be claimed to an end, until nothing is left."""
    done = []
    while claims := await claim(store):
        await store.settle([dead(held) if how == "dead" else settlement(held) for held in claims], now=NOW)
        done += claims
    return done


async def missed(store: Store, jobs: int, **fields: Any) -> None:
    """Jobs whose three events were recorded before the endpoint existed."""
    for number in range(jobs):
        await store.record(life(f"job_{number}"))
    await store.create_endpoint(endpoint(**fields))


async def arrivals(store: Store) -> list[tuple[str, str, int]]:
    return seen(await deliver_all(store, LATER))


def lives(jobs: int) -> list[tuple[str, str, int]]:
    return [("ep_1", f"job_{number}", sequence) for number in range(jobs) for sequence in (1, 2, 3)]


# What is taken up


@pytest.mark.parametrize("kind", SweepKind)
async def test_what_was_never_sent_is_taken_up_in_order(store: Store, kind: SweepKind) -> None:
    await missed(store, 4)
    started = await store.start_sweep(order(kind))
    assert (started.position, started.until, started.found, started.finished_at) == (0, 12, 0, None)
    assert await store.sweep(WORKSPACE, "rec_1") == started
    assert await claim(store, LATER) == [], "nothing happens before it is carried out"
    await finish(store)
    done = await store.sweep(WORKSPACE, "rec_1")
    assert (done.position, done.found, done.finished_at) == (12, 12, LATER)
    found = await arrivals(store)
    assert sorted(found) == lives(4)
    for number in range(4):
        assert [one[2] for one in found if one[1] == f"job_{number}"] == [1, 2, 3]


@pytest.mark.parametrize(("kind", "found"), [(SweepKind.RECOVER, 3), (SweepKind.REPLAY, 0)])
async def test_what_failed_for_good_is_for_recover_only(store: Store, kind: SweepKind, found: int) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    await end(store, "dead")
    await store.start_sweep(order(kind))
    await finish(store)
    assert (await store.sweep(WORKSPACE, "rec_1")).found == found
    again = await deliver_all(store, LATER)
    assert [held.sequence for held in again] == [1, 2, 3][:found]
    assert all((held.attempt, held.tries) == (2, 1) for held in again)


async def test_what_was_superseded_is_recovered(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    for _ in range(3):
        await store.settle([retry(held, NOW) for held in await claim(store)], now=NOW)
    await deliver_all(store)
    await store.start_sweep(order())
    await finish(store)
    assert await arrivals(store) == [("ep_1", "job_1", 1)]


@pytest.mark.parametrize("kind", SweepKind)
async def test_what_arrived_or_is_on_its_way_is_left_alone(store: Store, kind: SweepKind) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life("job_done"))
    await end(store, "delivered")
    await store.record(life("job_open"))
    [held] = await claim(store)
    await store.start_sweep(order(kind))
    await finish(store)
    assert (await store.sweep(WORKSPACE, "rec_1")).found == 0
    assert await store.settle([settlement(held)], now=NOW) == [True]
    assert [one[2] for one in await arrivals(store)] == [2, 3]


async def test_events_before_since_and_after_the_order_are_passed_over(store: Store) -> None:
    for number, now in enumerate((NOW - 10, NOW, NOW + 10)):
        await store.record([created(f"job_{number}", now=now)])
    await store.create_endpoint(endpoint())
    await store.start_sweep(order(since=NOW))
    late = created("job_late", now=NOW + 20)
    await store.record([late])
    await finish(store)
    assert (await store.sweep(WORKSPACE, "rec_1")).found == 2
    assert sorted(held[1] for held in await arrivals(store)) == ["job_1", "job_2", "job_late"]


async def test_a_time_in_the_future_finds_nothing_and_ends(store: Store) -> None:
    await missed(store, 1)
    await store.start_sweep(order(since=NOW + 1))
    await finish(store)
    done = await store.sweep(WORKSPACE, "rec_1")
    assert (done.found, done.finished_at) == (0, LATER)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ["job_0", "job_0", "job_0", "job_1", "job_1", "job_1"]),
        ({"events": ("video_translate.success",)}, ["job_0", "job_1"]),
        ({"entity_id": "job_1"}, ["job_1", "job_1", "job_1"]),
        ({"entity_id": "job_1", "events": ("video_translate.running",)}, ["job_1"]),
        ({"ordering": Ordering.NONE}, ["job_0", "job_0", "job_0", "job_1", "job_1", "job_1"]),
    ],
)
async def test_only_what_the_endpoint_wants_is_taken_up(
    store: Store, fields: dict[str, Any], wanted: list[str]
) -> None:
    await missed(store, 2, **fields)
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    assert sorted(held[1] for held in await arrivals(store)) == wanted


async def test_notices_and_tests_had_their_one_chance(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_bad", events=("video_translate.pending",)))
    await store.record([created()])
    await store.send_to(
        Event(id="evt_test", workspace_id=WORKSPACE, type="endpoint.test", created_at=NOW, body=b"{}"), "ep_bad"
    )
    await end(store, "dead")
    assert "delivery.exhausted" in [event.type for event in await read_log(store)]
    await store.create_endpoint(endpoint())
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    assert await arrivals(store) == [("ep_1", "job_1", 1)]


async def test_another_workspaces_events_are_never_taken_up(store: Store) -> None:
    await store.record([created("job_foreign", workspace=OTHER_WORKSPACE), created("job_own")])
    await store.create_endpoint(endpoint())
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    assert await arrivals(store) == [("ep_1", "job_own", 1)]


async def test_what_is_taken_up_does_not_wait_for_first_deliveries_nor_hold_them_up(store: Store) -> None:
    first, second, third = life()
    await store.record([first])
    await store.create_endpoint(endpoint())
    await store.record([second])
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    assert sorted(held.sequence for held in await claim(store, LATER)) == [1, 2]
    await store.record([third])
    assert await claim(store, LATER) == []


# Over a crash


@pytest.mark.parametrize("chunk", [1, 2, 5])
async def test_a_sweep_that_is_interrupted_goes_on_and_takes_up_each_once_and_in_order(
    store: Store, reopen: Reopen, chunk: int
) -> None:
    await missed(store, 6)
    await store.start_sweep(order(SweepKind.REPLAY))
    arrived: list[tuple[str, str, int]] = []
    going = True
    while going:
        going = await store.advance_sweeps(LATER, chunk=chunk, backlog=100)
        store = await reopen()
        held = await claim(store, LATER, limit=2)
        await store.settle([settlement(one) for one in held], now=LATER)
        arrived += seen(held)
    arrived += await arrivals(store)
    assert sorted(arrived) == lives(6), "each exactly once"
    for number in range(6):
        assert [one[2] for one in arrived if one[1] == f"job_{number}"] == [1, 2, 3]
    done = await store.sweep(WORKSPACE, "rec_1")
    assert (done.found, done.finished_at) == (18, LATER)


async def test_events_that_come_in_the_middle_are_not_swept_but_delivered(store: Store) -> None:
    changes = life()
    await store.record(changes[:2])
    await store.create_endpoint(endpoint())
    await store.start_sweep(order(SweepKind.REPLAY))
    await store.advance_sweeps(LATER, chunk=1, backlog=100)
    await store.record(changes[2:])
    await finish(store, chunk=1)
    assert sorted(await arrivals(store)) == lives(1)[:0] + [("ep_1", "job_1", number) for number in (1, 2, 3)]


async def test_two_sweeps_of_one_endpoint_take_up_each_once(store: Store) -> None:
    await missed(store, 3)
    for name in ("rec_1", "rec_2"):
        await store.start_sweep(order(SweepKind.REPLAY, id=name))
    await finish(store, chunk=2)
    found = [(await store.sweep(WORKSPACE, name)).found for name in ("rec_1", "rec_2")]
    assert sum(found) == 9
    assert sorted(await arrivals(store)) == lives(3)


# Pace


async def test_a_backlog_holds_a_sweep_back_until_it_has_shrunk(store: Store) -> None:
    await missed(store, 8, events=("video_translate.pending",))
    await store.start_sweep(order(SweepKind.REPLAY))
    arrived = []
    while (await store.sweep(WORKSPACE, "rec_1")).finished_at is None:
        while await store.advance_sweeps(LATER, chunk=3, backlog=2):
            pass
        waiting, _ = await store.deliveries(WORKSPACE, limit=100, wanted=DeliveryFilter(state=DeliveryState.DUE))
        assert len(waiting) <= 2 + 3
        arrived += await arrivals(store)
    arrived += await arrivals(store)
    assert [one[1] for one in arrived] == [f"job_{number}" for number in range(8)]


async def test_one_that_is_held_back_does_not_hold_back_the_others(store: Store) -> None:
    await missed(store, 3)
    await store.create_endpoint(endpoint("ep_off", status=EndpointStatus.DISABLED))
    await store.start_sweep(order(SweepKind.REPLAY, id="rec_off", endpoint_id="ep_off", created_at=NOW))
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store, chunk=1, backlog=3)
    while (await store.sweep(WORKSPACE, "rec_1")).finished_at is None:
        await deliver_all(store, LATER)
        await finish(store, chunk=1, backlog=3)
    off = await store.sweep(WORKSPACE, "rec_off")
    assert (off.found, off.finished_at) == (3, None), "it waits for its endpoint"


async def test_however_many_are_held_back_the_others_go_on(store: Store) -> None:
    await missed(store, 1)
    await store.create_endpoint(endpoint("ep_off", status=EndpointStatus.DISABLED))
    await store.start_sweep(order(SweepKind.REPLAY, id="rec_off", endpoint_id="ep_off", created_at=NOW))
    await finish(store, backlog=3)
    await asyncio.gather(
        *(
            store.start_sweep(order(SweepKind.REPLAY, id=f"rec_{number}_off", endpoint_id="ep_off", created_at=NOW))
            for number in range(120)
        )
    )
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store, backlog=3)
    assert (await store.sweep(WORKSPACE, "rec_1")).finished_at == LATER
    assert await arrivals(store) == lives(1)


async def test_what_is_taken_up_for_a_disabled_endpoint_is_held(store: Store) -> None:
    await missed(store, 1, status=EndpointStatus.DISABLED)
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    assert await claim(store, LATER) == []
    await store.change_endpoint(
        WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, status=EndpointStatus.ENABLED), now=LATER
    )
    assert len(await arrivals(store)) == 3


# Failure modes


async def test_a_sweep_of_an_endpoint_that_is_deleted_ends(store: Store) -> None:
    await missed(store, 3)
    await store.start_sweep(order(SweepKind.REPLAY))
    await store.advance_sweeps(LATER, chunk=2, backlog=100)
    await store.delete_endpoint(WORKSPACE, "ep_1", now=LATER)
    await finish(store)
    done = await store.sweep(WORKSPACE, "rec_1")
    assert (done.found, done.finished_at) == (2, LATER)
    assert await claim(store, LATER) == []


async def test_a_sweep_needs_a_living_endpoint_of_its_workspace(store: Store) -> None:
    await missed(store, 1)
    await store.create_endpoint(endpoint("ep_dead"))
    await store.delete_endpoint(WORKSPACE, "ep_dead", now=NOW)
    for sweep in (order(endpoint_id="ep_none"), order(endpoint_id="ep_dead"), order(workspace=OTHER_WORKSPACE)):
        with pytest.raises(NotFoundError) as caught:
            await store.start_sweep(sweep)
        assert caught.value.code == "webhook_not_found"
    assert not await store.advance_sweeps(LATER, chunk=10, backlog=10)
    for workspace in (WORKSPACE, OTHER_WORKSPACE):
        with pytest.raises(NotFoundError):
            await store.sweep(workspace, "rec_1")


async def test_a_sweep_is_not_found_in_another_workspace(store: Store) -> None:
    await missed(store, 1)
    await store.start_sweep(order())
    with pytest.raises(NotFoundError):
        await store.sweep(OTHER_WORKSPACE, "rec_1")


async def test_a_finished_sweep_stays_as_it_is(store: Store) -> None:
    await missed(store, 1)
    await store.start_sweep(order(SweepKind.REPLAY))
    await finish(store)
    done = await store.sweep(WORKSPACE, "rec_1")
    await store.record([failed(created("job_new").job, event_id="evt_new")])
    assert not await store.advance_sweeps(LATER + 5, chunk=10, backlog=10)
    assert await store.sweep(WORKSPACE, "rec_1") == done


async def test_a_new_sweep_rings(store: Store) -> None:
    await missed(store, 1)
    with store.bells.sweeps.listen() as sweeps, store.bells.deliveries.listen() as way:
        await store.start_sweep(order(SweepKind.REPLAY))
        assert (sweeps.is_set(), way.is_set()) == (True, False)
        await store.advance_sweeps(LATER, chunk=10, backlog=10)
        assert way.is_set()


async def test_a_sweep_ends_where_the_log_ended_when_it_was_asked_for(store: Store) -> None:
    await missed(store, 1, events=("video_translate.fail",))
    started = await store.start_sweep(order(SweepKind.REPLAY))
    await store.record(life("job_late"))  # not wanted, and so never sent
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, events=None), now=NOW)
    await finish(store)
    assert (await store.sweep(WORKSPACE, "rec_1")).position == started.until == 3
    assert sorted(await arrivals(store)) == lives(1)
