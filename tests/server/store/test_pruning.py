"""Pruning: what retention no longer keeps goes in small steps; what is still to come, and every cursor, stays good."""

import msgspec
import pytest

from tests.server.store.builders import (
    ALL,
    NOW,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    deliveries_of,
    endpoint,
    life,
    read_log,
    retry,
    settlement,
)
from tests.server.store.engines import Reopen
from video_translation_server.errors import NotFoundError
from video_translation_server.model import (
    Claim,
    DeliveryState,
    Endpoint,
    EndpointStatus,
    Outcome,
    OutcomeKind,
    Sweep,
    SweepKind,
)
from video_translation_server.store import DeliveryFilter, Retention, Store

DAY = 86_400.0
RETENTION = Retention()
PENDING = ("video_translate.pending",)


async def prune(store: Store, now: float, *, chunk: int = 1000, retention: Retention = RETENTION) -> int:
    """A whole round; in how many steps."""
    after: int | None = 0
    steps = 0
    while after is not None:
        after = await store.prune(now, retention=retention, after=after, chunk=chunk)
        steps += 1
        assert steps < 1000, "it never ends"
    return steps


async def ids(store: Store) -> list[int]:
    found, _ = await store.deliveries(WORKSPACE, limit=1000, wanted=DeliveryFilter())
    return [one.id for one in found][::-1]


async def ended(store: Store, how: str, job_id: str = "job_1") -> Claim:
    """A delivery that came to its end now, with an answer's body in the attempt log."""
    await store.record([created(job_id)])
    held = await claim_one(store)
    outcome = Outcome(kind=OutcomeKind.STATUS, status=200 if how == "delivered" else 500, body=b"answer")
    verdict = settlement(held, outcome=outcome) if how == "delivered" else settlement(held, dead(held).verdict)
    await store.settle([verdict], now=NOW)
    return held


@pytest.mark.parametrize(("how", "days"), [("delivered", 7), ("dead", 30)])
async def test_each_end_has_its_own_time_to_the_second(store: Store, how: str, days: int) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    held = await ended(store, how)
    await prune(store, NOW + days * DAY)
    assert await ids(store) == [held.delivery_id]
    assert len(await store.attempts(held.delivery_id)) == 1
    await prune(store, NOW + days * DAY + 1)
    assert await ids(store) == []
    assert await store.attempts(held.delivery_id) == []
    with pytest.raises(NotFoundError):
        await store.delivery(WORKSPACE, held.delivery_id)


async def test_superseded_is_kept_as_long_as_dead(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    for _ in range(3):
        await store.settle([retry(held, NOW) for held in await claim(store)], now=NOW)
    [first] = await deliveries_of(store, WORKSPACE, "evt_job_1_1")
    assert first.state is DeliveryState.SUPERSEDED
    await deliver_all(store)
    await prune(store, NOW + 8 * DAY)
    assert await ids(store) == [first.id]


async def test_answers_go_before_the_attempts_they_belong_to(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    held = await ended(store, "delivered")
    retention = Retention(delivered=30 * DAY, bodies=7 * DAY)
    await prune(store, NOW + 7 * DAY, retention=retention)
    [attempt] = await store.attempts(held.delivery_id)
    assert attempt.outcome.body == b"answer"
    await prune(store, NOW + 7 * DAY + 1, retention=retention)
    [attempt] = await store.attempts(held.delivery_id)
    assert (attempt.outcome.body, attempt.outcome.status) == (b"", 200)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
async def test_steps_of_any_size_delete_the_same_and_leave_alone_what_is_open(store: Store, chunk: int) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    for number in range(10):
        await ended(store, "delivered", f"job_{number}")
    await store.record([created(f"job_open_{number}", now=NOW + 9 * DAY) for number in range(5)])
    flying, *_ = await claim(store, NOW + 9 * DAY, limit=1)
    before = (await ids(store))[10:]
    await prune(store, NOW + 10 * DAY, chunk=chunk)
    assert await ids(store) == before
    assert await store.settle([settlement(flying)], now=NOW + 10 * DAY) == [True]
    assert len(await deliver_all(store, NOW + 10 * DAY)) == 4


async def test_delivery_goes_on_between_the_steps(store: Store) -> None:
    await store.create_endpoint(endpoint())
    for number in range(6):
        await store.record(life(f"job_{number}"))
    arrived: list[Claim] = []
    after: int | None = 0
    now = NOW
    while after is not None or len(arrived) < 18:
        held = await claim(store, now, limit=2)
        await store.settle([settlement(one) for one in held], now=now)
        arrived += held
        now += DAY
        after = await store.prune(now, retention=RETENTION, after=after or 0, chunk=2)
    for number in range(6):
        assert [held.sequence for held in arrived if held.job_id == f"job_{number}"] == [1, 2, 3]


# Held for a disabled endpoint


def switched(one: Endpoint, status: EndpointStatus) -> Endpoint:
    return msgspec.structs.replace(one, status=status)


async def switch(store: Store, status: EndpointStatus, now: float) -> None:
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: switched(one, status), now=now)


async def test_what_is_held_ages_with_its_event(store: Store) -> None:
    await store.create_endpoint(endpoint(status=EndpointStatus.DISABLED))
    await store.record([created()])
    await prune(store, NOW + 30 * DAY)
    assert len(await ids(store)) == 1
    await prune(store, NOW + 30 * DAY + 1)
    assert await ids(store) == []
    assert await read_log(store) == []


async def test_what_waits_behind_one_that_aged_is_sent_when_its_endpoint_is_enabled(store: Store) -> None:
    await store.create_endpoint(endpoint(status=EndpointStatus.DISABLED))
    first = created()
    await store.record([first, advanced(first.job, now=NOW + 5 * DAY)])
    await prune(store, NOW + 31 * DAY)
    assert len(await ids(store)) == 1
    await switch(store, EndpointStatus.ENABLED, NOW + 32 * DAY)
    assert [held.sequence for held in await deliver_all(store, NOW + 32 * DAY)] == [2]


async def test_what_is_open_for_an_enabled_endpoint_is_kept_however_old(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    await store.settle([retry(await claim_one(store), NOW + 40 * DAY)], now=NOW)
    await prune(store, NOW + 39 * DAY)
    assert len(await ids(store)) == 3
    assert [held.sequence for held in await deliver_all(store, NOW + 40 * DAY)] == [1, 2, 3]


async def test_what_was_taken_up_again_is_kept_though_its_event_is_old(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await store.record([created()])
    held = await claim_one(store)
    await store.settle([dead(held)], now=NOW + 20 * DAY)
    await store.resend(WORKSPACE, held.delivery_id, now=NOW + 40 * DAY)
    await prune(store, NOW + 41 * DAY)
    assert (await claim_one(store, NOW + 41 * DAY)).delivery_id == held.delivery_id


# Events


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
async def test_events_go_in_small_steps(store: Store, chunk: int) -> None:
    await store.record([created(f"job_{number}") for number in range(10)])
    await store.record([created("job_late", now=NOW + 1)])
    steps = await prune(store, NOW + 30 * DAY + 1, chunk=chunk)
    assert steps >= 10 / chunk, "as far as it is old"
    assert [event.id for event in await read_log(store)] == ["evt_job_late_1"]


async def test_events_go_when_they_are_old_and_nothing_refers_to_them(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await ended(store, "dead")
    await prune(store, NOW + 30 * DAY)
    assert len(await read_log(store)) == 2, "the transition, and the notice of its end"
    await prune(store, NOW + 30 * DAY + 1)
    assert await read_log(store) == []
    with pytest.raises(NotFoundError):
        await store.event_position(WORKSPACE, "evt_job_1_1")


async def test_the_first_position_tells_what_is_left(store: Store, reopen: Reopen) -> None:
    assert await store.first_position() == 1, "the log begins there"
    for number in range(5):
        await store.record([created(f"job_{number}", now=NOW + number * DAY)])
    assert await store.first_position() == 1
    await prune(store, NOW + 32.5 * DAY, chunk=2)
    assert await store.first_position() == 4
    assert [event.position for event in await read_log(store)] == [4, 5]
    store = await reopen()
    assert (await store.first_position(), await store.last_position() >= 5) == (4, True)


async def test_a_position_is_never_used_again_though_all_are_gone(store: Store, reopen: Reopen) -> None:
    await store.record(life())
    await prune(store, NOW + 31 * DAY)
    assert await read_log(store) == []
    assert (await store.first_position(), await store.last_position()) == (4, 3)
    store = await reopen()
    cursor = await store.create_endpoint(endpoint())
    assert cursor >= 3
    await store.record([created("job_2")])
    [event] = await read_log(store, cursor)
    assert event.position == cursor + 1


async def test_a_cursor_goes_on_behind_what_was_pruned(store: Store) -> None:
    for number in range(6):
        await store.record([created(f"job_{number}", now=NOW + number)])
    page, cursor = await store.events_after(WORKSPACE, 0, limit=4, wanted=ALL)
    assert len(page) == 4
    await prune(store, NOW + 30 * DAY + 3.5)
    rest, _ = await store.events_after(WORKSPACE, cursor, limit=10, wanted=ALL)
    assert [event.position for event in rest] == [5, 6]


async def test_delivery_ids_are_never_used_again(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    held = await ended(store, "delivered")
    await prune(store, NOW + 8 * DAY)
    await store.record([created("job_2")])
    assert (await claim_one(store)).delivery_id > held.delivery_id


async def test_an_event_on_its_way_keeps_itself_and_those_behind_it(store: Store) -> None:
    """The log has no holes: a cursor is good, or too old."""
    await store.create_endpoint(endpoint("ep_1", events=PENDING))
    await store.record([created("job_0"), created("job_1")])
    held = next(one for one in await claim(store) if one.job_id == "job_0")
    await prune(store, NOW + 29 * DAY)
    await prune(store, NOW + 31 * DAY)
    positions = [event.position for event in await read_log(store)]
    assert positions[0] == 1
    assert await store.settle([settlement(held)], now=NOW + 31 * DAY) == [True]


async def test_a_sweep_over_what_was_pruned_goes_on_with_the_rest(store: Store) -> None:
    first = created()
    await store.record([first, advanced(first.job, now=NOW + 20 * DAY)])
    await store.create_endpoint(endpoint())
    sweep = Sweep(
        id="rec_1",
        workspace_id=WORKSPACE,
        endpoint_id="ep_1",
        kind=SweepKind.REPLAY,
        since=0,
        created_at=NOW + 20 * DAY,
    )
    await store.start_sweep(sweep)
    await prune(store, NOW + 31 * DAY)
    while await store.advance_sweeps(NOW + 31 * DAY, chunk=1, backlog=10):
        pass
    assert [held.sequence for held in await deliver_all(store, NOW + 31 * DAY)] == [2]


@pytest.mark.parametrize("kind", SweepKind)
async def test_what_arrived_and_was_pruned_is_not_taken_for_missed(store: Store, kind: SweepKind) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await ended(store, "delivered")
    await prune(store, NOW + 8 * DAY)
    assert await ids(store) == []
    sweep = Sweep(
        id="rec_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=kind, since=NOW - 1, created_at=NOW + 8 * DAY
    )
    await store.start_sweep(sweep)
    await store.advance_sweeps(NOW + 8 * DAY, chunk=10, backlog=10)
    assert await claim(store, NOW + 8 * DAY) == []


async def test_what_was_missed_after_what_was_pruned_is_still_replayed(store: Store) -> None:
    await store.create_endpoint(endpoint(events=PENDING))
    await ended(store, "delivered")
    await prune(store, NOW + 8 * DAY)
    missed = created("job_2", now=NOW + 8 * DAY)
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: wanting(one, "video_translate.fail"), now=NOW)
    await store.record([missed])
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: wanting(one, *PENDING), now=NOW)
    sweep = Sweep(
        id="rec_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.REPLAY, since=0, created_at=NOW
    )
    await store.start_sweep(sweep)
    await store.advance_sweeps(NOW + 8 * DAY, chunk=10, backlog=10)
    assert [held.job_id for held in await claim(store, NOW + 8 * DAY)] == ["job_2"]


def wanting(one: Endpoint, *events: str) -> Endpoint:
    return msgspec.structs.replace(one, events=events)


async def test_an_empty_store_has_nothing_to_prune(store: Store) -> None:
    assert await store.prune(NOW, retention=RETENTION, after=0, chunk=10) is None
