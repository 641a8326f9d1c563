"""Lanes: superseding, coalescing progress, `ordering` none, and what is taken up again beside first deliveries."""

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    PROGRESS,
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
    failed,
    life,
    progressed,
    retry,
    seen,
    settlement,
    states,
)
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Change, Claim, DeliveryState, Ordering
from video_translation_server.store import Store

EVERYTHING = ("video_translate.pending", "video_translate.running", PROGRESS, "video_translate.success")
DEAD, DELIVERED, DUE, SUPERSEDED, WAITING = (
    DeliveryState.DEAD,
    DeliveryState.DELIVERED,
    DeliveryState.DUE,
    DeliveryState.SUPERSEDED,
    DeliveryState.WAITING,
)


async def fail(store: Store, times: int, now: float = NOW) -> Claim:
    """Let the only delivery that is due fail so many times in a row; each retry is due at once."""
    for _ in range(times):
        held = await claim_one(store, now)
        assert await store.settle([retry(held, now)], now=now) == [True]
    return held


async def die(store: Store) -> list[Claim]:
    """Let everything die, one after the other."""
    gone = []
    while claims := await claim(store):
        await store.settle([dead(held) for held in claims], now=NOW)
        gone += claims
    return gone


# Superseded


@pytest.mark.parametrize(("times", "state"), [(2, DUE), (3, SUPERSEDED)])
async def test_the_third_failure_makes_way_for_a_later_event_that_waits(
    store: Store, times: int, state: DeliveryState
) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    held = await fail(store, times)
    assert await states(store, changes) == [state, DUE if state is SUPERSEDED else WAITING, WAITING]
    gone = await delivery(store, held)
    assert gone.attempts == times
    if state is SUPERSEDED:
        assert (gone.due_at, gone.settled_at) == (None, NOW)


async def test_a_later_event_supersedes_at_its_arrival_what_has_failed_three_times(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    await fail(store, 5)
    assert await states(store, [first]) == [DUE], "nothing took its place yet"
    second = advanced(first.job, now=NOW + 1)
    await store.record([second])
    assert await states(store, [first, second]) == [SUPERSEDED, DUE]
    assert (await claim_one(store, NOW + 1)).sequence == 2


async def test_what_is_in_flight_is_superseded_only_when_it_fails_again(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    await fail(store, 3)
    held = await claim_one(store)
    second = advanced(first.job)
    await store.record([second])
    assert await states(store, [first, second]) == [DUE, WAITING]
    await store.settle([retry(held, NOW + 9)], now=NOW)
    assert await states(store, [first, second]) == [SUPERSEDED, DUE]


async def test_what_is_in_flight_may_still_arrive(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    await fail(store, 3)
    held = await claim_one(store)
    second = advanced(first.job)
    await store.record([second])
    await store.settle([settlement(held)], now=NOW)
    assert await states(store, [first, second]) == [DELIVERED, DUE]


async def test_a_last_event_is_never_superseded(store: Store) -> None:
    await store.create_endpoint(endpoint(events=("video_translate.fail",)))
    first = created()
    last = failed(first.job, event_id="evt_last")
    await store.record([first, last])
    await fail(store, 6)
    assert await states(store, [last]) == [DUE]


async def test_each_endpoint_is_superseded_by_itself(store: Store) -> None:
    for name in ("ep_bad", "ep_good"):
        await store.create_endpoint(endpoint(name))
    changes = life()
    await store.record(changes)
    for _ in range(3):
        for held in await claim(store):
            verdict = retry(held, NOW) if held.endpoint_id == "ep_bad" else None
            await store.settle([verdict or settlement(held)], now=NOW)
    assert await states(store, changes) == [SUPERSEDED, DELIVERED, DUE, DELIVERED, WAITING, DELIVERED]


async def test_a_receiver_that_chokes_on_one_event_gets_the_last_one_in_sequence(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    await fail(store, 6)
    assert await states(store, changes) == [SUPERSEDED, SUPERSEDED, DUE]
    assert (await claim_one(store)).sequence == 3


# Progress


async def progressing(store: Store) -> list[Change]:
    """A running job of which everything before was delivered; its first two progress events are recorded."""
    await store.create_endpoint(endpoint(events=EVERYTHING))
    first = created()
    second = advanced(first.job)
    await store.record([first, second])
    await deliver_all(store)
    third = progressed(second.job, 20)
    fourth = progressed(third.job, 40)
    await store.record([third])
    return [third, fourth]


async def test_the_newest_progress_takes_the_place_of_one_that_nobody_sends(store: Store) -> None:
    third, fourth = await progressing(store)
    await store.record([fourth])
    assert await states(store, [third, fourth]) == [SUPERSEDED, DUE]
    assert (await claim_one(store)).event_id == fourth.event.id


async def test_progress_that_waits_for_its_retry_gives_way_too(store: Store) -> None:
    third, fourth = await progressing(store)
    await store.settle([retry(await claim_one(store), NOW + 60)], now=NOW)
    await store.record([fourth])
    assert await states(store, [third, fourth]) == [SUPERSEDED, DUE]


async def test_progress_in_flight_is_left_alone_and_the_next_one_waits(store: Store) -> None:
    third, fourth = await progressing(store)
    held = await claim_one(store)
    fifth = progressed(fourth.job, 60)
    await store.record([fourth])
    assert await states(store, [third, fourth]) == [DUE, WAITING]
    await store.record([fifth])
    assert await states(store, [third, fourth, fifth]) == [DUE, SUPERSEDED, WAITING]
    await store.settle([settlement(held)], now=NOW)
    assert await states(store, [fifth]) == [DUE]


async def test_a_transition_behind_progress_is_released_when_the_progress_gives_way(store: Store) -> None:
    """As two callers may record it: the job is done, and one more progress event is late."""
    third, _ = await progressing(store)
    last = advanced(third.job)
    late = progressed(last.job, 90)
    await store.record([last])
    await store.record([late])
    assert await states(store, [third, last, late]) == [SUPERSEDED, DUE, WAITING]


async def test_transitions_never_coalesce_and_strangers_progress_is_left_alone(store: Store) -> None:
    third, _ = await progressing(store)
    other = created("job_2")
    running = advanced(other.job)
    await store.record([other, running, progressed(running.job, 10)])
    assert await states(store, [third, other, running]) == [DUE, DUE, WAITING]


async def test_progress_waits_behind_every_transition_of_its_job_the_first_one_too(store: Store) -> None:
    await store.create_endpoint(endpoint(events=EVERYTHING))
    first = created()
    early = progressed(first.job, 1)
    await store.record([first, early])
    assert await states(store, [first, early]) == [DUE, WAITING]


# No order


async def test_without_an_order_nothing_waits(store: Store) -> None:
    await store.create_endpoint(endpoint(ordering=Ordering.NONE))
    changes = life()
    await store.record(changes[:1])
    await store.record(changes[1:])
    assert await states(store, changes) == [DUE, DUE, DUE]
    assert sorted(held.sequence for held in await claim(store)) == [1, 2, 3]


async def test_without_an_order_nothing_is_superseded(store: Store) -> None:
    await store.create_endpoint(endpoint(ordering=Ordering.NONE))
    changes = life()
    await store.record(changes)
    for _ in range(4):
        await store.settle([retry(held, NOW) for held in await claim(store)], now=NOW)
    assert await states(store, changes) == [DUE, DUE, DUE]


async def test_without_an_order_what_is_taken_up_again_does_not_wait_either(store: Store) -> None:
    await store.create_endpoint(endpoint(ordering=Ordering.NONE))
    changes = life()
    await store.record(changes)
    for held in await die(store):
        assert (await store.resend(WORKSPACE, held.delivery_id, now=NOW)).state is DUE
    assert len(await claim(store)) == 3


@pytest.mark.parametrize(("before", "after"), [(Ordering.JOB, Ordering.NONE), (Ordering.NONE, Ordering.JOB)])
async def test_an_order_that_changes_strands_nothing(store: Store, before: Ordering, after: Ordering) -> None:
    await store.create_endpoint(endpoint(ordering=before))
    changes = life()
    await store.record(changes[:2])
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, ordering=after), now=NOW)
    await store.record(changes[2:])
    assert len(await deliver_all(store)) == 3


# Resend


async def test_a_dead_delivery_can_be_sent_again_with_a_new_run_of_the_schedule(store: Store) -> None:
    await store.create_endpoint(endpoint(events=("video_translate.pending",)))
    await store.record([created()])
    await fail(store, 2)
    held = await claim_one(store)
    await store.settle([dead(held)], now=NOW)
    again = await store.resend(WORKSPACE, held.delivery_id, now=NOW + 5)
    assert (again.state, again.due_at, again.attempts, again.settled_at) == (DUE, NOW + 5, 3, None)
    assert await claim(store, NOW + 4) == []
    retried = await claim_one(store, NOW + 5)
    assert (retried.delivery_id, retried.attempt, retried.tries) == (held.delivery_id, 4, 1)
    assert retried.first_attempt_at == NOW
    await store.settle([settlement(retried)], now=NOW + 5)
    assert [one.number for one in await store.attempts(held.delivery_id)] == [1, 2, 3, 4]


@pytest.mark.parametrize("end", [DELIVERED, SUPERSEDED])
async def test_also_what_arrived_or_was_superseded_can_be_sent_again(store: Store, end: DeliveryState) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    held = await claim_one(store) if end is DELIVERED else await fail(store, 3)
    if end is DELIVERED:
        await store.settle([settlement(held)], now=NOW)
    assert (await delivery(store, held)).state is end
    assert (await store.resend(WORKSPACE, held.delivery_id, now=NOW)).state is DUE
    assert sorted(seen(await claim(store))) == [("ep_1", "job_1", 1), ("ep_1", "job_1", 2)], "beside the first ones"


async def test_a_retry_that_waits_for_its_time_is_sent_now(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    await store.settle([retry(held, NOW + 3600)], now=NOW)
    again = await store.resend(WORKSPACE, held.delivery_id, now=NOW + 1)
    assert (again.state, again.due_at) == (DUE, NOW + 1)
    assert (await claim_one(store, NOW + 1)).tries == 1


async def test_what_is_in_flight_goes_on(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    assert (await store.resend(WORKSPACE, held.delivery_id, now=NOW + 1)).state is DUE
    assert await claim(store, NOW + 1) == []
    assert await store.settle([settlement(held)], now=NOW + 1) == [True]


async def test_what_waits_for_an_earlier_event_cannot_be_sent_before_it(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    [second] = await deliveries_of(store, WORKSPACE, changes[1].event.id)
    with pytest.raises(ConflictError):
        await store.resend(WORKSPACE, second.id, now=NOW)
    assert await states(store, changes) == [DUE, WAITING, WAITING]


async def test_what_went_to_a_deleted_endpoint_has_nowhere_to_go(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW)
    with pytest.raises(ConflictError):
        await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    assert (await delivery(store, held)).state is DEAD
    assert await claim(store) == []


async def test_an_unknown_or_foreign_delivery_is_not_found(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    for workspace, number in ((WORKSPACE, 999), (WORKSPACE, -1), (OTHER_WORKSPACE, held.delivery_id)):
        with pytest.raises(NotFoundError):
            await store.resend(workspace, number, now=NOW)
        with pytest.raises(NotFoundError):
            await store.delivery(workspace, number)
    assert await store.delivery(WORKSPACE, held.delivery_id) == await delivery(store, held)


async def test_what_is_taken_up_again_goes_one_after_the_other_and_by_log_position(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    gone = await die(store)
    for held in (gone[1], gone[2], gone[0]):
        await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    arrived = await deliver_all(store)
    assert [held.sequence for held in arrived] == [2, 1, 3], "the one on its way first, then by position"


async def test_taking_up_again_never_holds_up_first_deliveries_nor_the_other_way_round(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first, second, third = life()
    await store.record([first])
    [held] = await die(store)
    await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    again = await claim_one(store)
    await store.record([second, third])
    assert (await claim_one(store)).sequence == 2
    await store.settle([settlement(again)], now=NOW)
    assert await states(store, [first, second, third]) == [DELIVERED, DUE, WAITING]


async def test_what_is_taken_up_again_is_never_superseded(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    gone = await die(store)
    for held in gone:
        await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    await fail(store, 5)
    found = [await store.delivery(WORKSPACE, held.delivery_id) for held in gone]
    assert [one.state for one in found] == [DUE, WAITING, WAITING]


async def test_newer_progress_leaves_the_lane_of_those_taken_up_again_as_it_is(store: Store) -> None:
    """Else it would release a second one beside the one on its way."""
    await store.create_endpoint(endpoint(events=EVERYTHING))
    first = created()
    second = advanced(first.job)
    third = progressed(second.job, 20)
    await store.record([first, second, third])
    gone = {held.event_type: held for held in await die(store)}
    for event_type in ("video_translate.running", "video_translate.pending", PROGRESS):
        await store.resend(WORKSPACE, gone[event_type].delivery_id, now=NOW)
    await store.record([progressed(third.job, 40)])
    assert await states(store, [first, second, third]) == [WAITING, DUE, WAITING]


async def test_taking_up_again_survives_a_dead_one_in_its_lane(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    for held in await die(store):
        await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    await store.settle([dead(await claim_one(store))], now=NOW)
    assert [held.sequence for held in await deliver_all(store)] == [2, 3]


async def test_failing_again_is_no_reason_to_give_way_to_a_first_delivery_that_waits(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first, second, third = life()
    await store.record([first])
    [held] = await die(store)
    await store.resend(WORKSPACE, held.delivery_id, now=NOW)
    again = await claim_one(store)
    await store.record([second, third])
    await claim_one(store)
    for _ in range(4):
        await store.settle([retry(again, NOW)], now=NOW)
        again = await claim_one(store)
    assert await states(store, [first, second, third]) == [DUE, DUE, WAITING]
