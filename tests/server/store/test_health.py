"""Endpoints' health: slowing down, recovering, giving up and starting afresh; and the notices of all this."""

import json
from typing import Any

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    deliveries_of,
    delivery,
    endpoint,
    failed,
    gone,
    life,
    read_log,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import Reopen
from video_translation_server.model import Claim, DeliveryState, Endpoint, EndpointStatus
from video_translation_server.store import Store

DAY = 86_400.0
PENDING = ("video_translate.pending",)


async def backlog(store: Store, count: int, *, name: str = "ep_1", **fields: Any) -> None:
    """An endpoint with one due delivery of each of so many jobs."""
    await store.create_endpoint(endpoint(name, events=PENDING, **fields))
    await store.record([created(f"job_{name}_{number:02}") for number in range(count)])


async def strain(store: Store, held: Claim, now: float) -> None:
    assert await store.settle([retry(held, now, strained=True)], now=now) == [True]


async def health(store: Store, name: str = "ep_1") -> tuple[EndpointStatus, float | None]:
    one = await store.endpoint(WORKSPACE, name)
    return one.status, one.failing_since


async def notices(store: Store, workspace: str = WORKSPACE) -> list[tuple[str, dict[str, Any]]]:
    log = await read_log(store, workspace=workspace)
    return [(event.type, json.loads(event.body)["event_data"]) for event in log if event.job_id is None]


def enable(one: Endpoint) -> Endpoint:
    return msgspec.structs.replace(one, status=EndpointStatus.ENABLED)


def disable(one: Endpoint) -> Endpoint:
    return msgspec.structs.replace(one, status=EndpointStatus.DISABLED, disabled_reason="by hand")


def move(one: Endpoint) -> Endpoint:
    return msgspec.structs.replace(one, url="http://localhost/elsewhere")


# Slowing down


async def test_each_strain_halves_what_is_in_flight_down_to_one(store: Store) -> None:
    await backlog(store, 40)
    now = NOW
    for most in (16, 8, 4, 2, 1, 1, 1, 1):
        claims = await claim(store, now, per_endpoint=16)
        assert len(claims) == most
        await store.release(claims[1:])
        await strain(store, claims[0], now)
        now += 60


async def test_pauses_double_from_one_second_to_thirty(store: Store) -> None:
    await backlog(store, 40)
    now = NOW
    for pause in (1, 2, 4, 8, 16, 30, 30, 30):
        claims = await claim(store, now)
        await store.release(claims[1:])
        await strain(store, claims[0], now)
        assert await store.next_delivery_due(now) == now + pause
        assert await claim(store, now + pause - 0.01) == []
        now += pause


async def test_a_pause_is_one_endpoints_alone_and_outlives_a_reopen(store: Store, reopen: Reopen) -> None:
    await backlog(store, 2, name="ep_slow")
    held, _ = await claim(store)
    await strain(store, held, NOW)
    store = await reopen()
    await store.create_endpoint(endpoint("ep_fast", events=PENDING))
    await store.record([created("job_new")])
    assert seen(await claim(store)) == [("ep_fast", "job_new", 1)]
    assert len(await claim(store, NOW + 1)) == 3


async def test_attempts_that_were_under_way_together_count_once(store: Store) -> None:
    await backlog(store, 20)
    claims = await claim(store, per_endpoint=16)
    await store.settle([retry(held, NOW, strained=True) for held in claims[:8]], now=NOW)
    for held in claims[8:]:
        await strain(store, held, NOW + 0.5)
    assert await store.next_delivery_due(NOW + 0.5) == NOW + 1, "the first pause, and it did not grow"
    assert len(await claim(store, NOW + 1, per_endpoint=16)) == 8


async def test_other_failures_do_not_slow_down(store: Store) -> None:
    await backlog(store, 20)
    claims = await claim(store, per_endpoint=16)
    await store.settle([retry(held, NOW) for held in claims], now=NOW)
    assert len(await claim(store, per_endpoint=16)) == 16


async def test_each_success_takes_one_step_back_and_ends_the_pause(store: Store) -> None:
    await backlog(store, 60)
    now = NOW
    for _ in range(3):
        claims = await claim(store, now, per_endpoint=16)
        await store.release(claims[2:])
        await strain(store, claims[0], now)
        await store.release(claims[1:])
        now += 60
    for most in (2, 4, 8, 16, 16):
        claims = await claim(store, now, per_endpoint=16)
        assert len(claims) == most
        await store.release(claims[1:])
        await store.settle([settlement(claims[0])], now=now)


async def test_a_success_in_the_middle_of_a_pause_ends_it(store: Store) -> None:
    await backlog(store, 4)
    bad, good, *rest = await claim(store)
    await store.release(rest)
    await strain(store, bad, NOW)
    assert await claim(store) == []
    await store.settle([settlement(good)], now=NOW)
    assert len(await claim(store)) == 3


async def test_an_endpoints_own_limit_is_halved_too(store: Store) -> None:
    await backlog(store, 9, max_in_flight=4)
    claims = await claim(store)
    assert len(claims) == 4
    await store.release(claims[1:])
    await strain(store, claims[0], NOW)
    assert len(await claim(store, NOW + 1)) == 2


# Recovering


async def test_the_first_success_makes_the_waiting_retries_due_at_once(store: Store) -> None:
    await backlog(store, 5)
    *bad, good = await claim(store)
    for number, held in enumerate(bad):
        await store.settle([retry(held, NOW + 3600 + number)], now=NOW)
    assert await health(store) == (EndpointStatus.ENABLED, NOW)
    await store.settle([settlement(good)], now=NOW + 10)
    assert await health(store) == (EndpointStatus.ENABLED, None)
    assert [held.delivery_id for held in await claim(store, NOW + 10)] == [held.delivery_id for held in bad]


async def test_of_a_large_backlog_each_success_makes_a_part_due(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in ("sqlite", "postgres"):
        monkeypatch.setattr(f"video_translation_server.store.{engine}.health.HURRIED_AT_ONCE", 2)
    await backlog(store, 8)
    *bad, one, two, three = await claim(store)
    for number, held in enumerate(bad):
        await store.settle([retry(held, NOW + 3600 + number)], now=NOW)
    for good, part, failing_since in ((one, bad[:2], NOW + 60), (two, bad[2:4], NOW + 60), (three, bad[4:], None)):
        await store.settle([settlement(good)], now=NOW + 60)
        assert await health(store) == (EndpointStatus.ENABLED, failing_since)
        assert [held.delivery_id for held in await claim(store, NOW + 60)] == [held.delivery_id for held in part]
    assert [event_type for event_type, _ in await notices(store)] == ["endpoint.recovered"], "once"


async def test_a_success_without_failures_before_it_hurries_nothing(store: Store) -> None:
    await backlog(store, 1)
    await store.record([created("job_later", now=NOW + 100)])
    await store.settle([settlement(await claim_one(store))], now=NOW)
    assert await store.next_delivery_due(NOW) == NOW + 100


async def test_one_that_never_succeeds_is_hurried_three_times_at_most(store: Store) -> None:
    await backlog(store, 1)
    poison = await claim_one(store)
    for number in range(6):
        now = NOW + 10 * number
        await store.settle([retry(poison, now + 3600)], now=now)
        await store.record([created(f"job_{number}", now=now)])
        await store.settle([settlement(await claim_one(store, now))], now=now)
        ready = await claim(store, now)
        assert len(ready) == (1 if number < 3 else 0)
        if not ready:
            [poison] = await claim(store, now + 3600)
        else:
            [poison] = ready


async def test_a_recovery_leaves_the_others_retries_where_they_are(store: Store) -> None:
    await backlog(store, 2, name="ep_1")
    await store.create_endpoint(endpoint("ep_2", events=PENDING))
    await store.record([created("job_both")])
    claims = {(held.endpoint_id, held.job_id): held for held in await claim(store)}
    other = claims.pop(("ep_2", "job_both"))
    one, two, three = claims.values()
    await store.settle([retry(other, NOW + 60), retry(one, NOW + 60), retry(two, NOW + 60)], now=NOW)
    await store.settle([settlement(three)], now=NOW + 1)
    assert (await delivery(store, other)).due_at == NOW + 60
    assert {held.endpoint_id for held in await claim(store, NOW + 1)} == {"ep_1"}


async def test_a_recovery_after_a_minute_is_told_but_not_to_the_endpoint_itself(store: Store) -> None:
    await backlog(store, 2)
    await store.create_endpoint(endpoint("ep_other", events=("endpoint.recovered",)))
    await store.create_endpoint(endpoint("ep_all"))
    one, two = await claim(store)
    await store.settle([retry(one, NOW)], now=NOW)
    await store.settle([settlement(two)], now=NOW + 60)
    [(event_type, data)] = await notices(store)
    assert event_type == "endpoint.recovered"
    assert data == {
        "endpoint_id": "ep_1",
        "url": "http://localhost/ep_1",
        "failing_since": "2027-01-15T08:00:00.000Z",
    }
    told = (await read_log(store))[-1]
    found = await deliveries_of(store, WORKSPACE, told.id)
    assert [one.endpoint_id for one in found] == ["ep_other", "ep_all"]
    assert [one.job_id for one in found] == [None, None]


async def test_a_recovery_within_a_minute_is_not_told(store: Store) -> None:
    await backlog(store, 2)
    one, two = await claim(store)
    await store.settle([retry(one, NOW)], now=NOW)
    await store.settle([settlement(two)], now=NOW + 59.9)
    assert await notices(store) == []


async def test_failing_since_is_the_first_failure_after_the_last_success(store: Store) -> None:
    await backlog(store, 4)
    one, two, three, four = await claim(store)
    await store.settle([retry(one, NOW + 999)], now=NOW)
    await store.settle([retry(two, NOW + 999)], now=NOW + 5)
    assert (await health(store))[1] == NOW
    await store.settle([settlement(three)], now=NOW + 6)
    await store.settle([retry(four, NOW + 999)], now=NOW + 7)
    assert (await health(store))[1] == NOW + 7


async def test_success_and_failure_in_one_batch_begin_a_new_count(store: Store) -> None:
    await backlog(store, 3)
    one, two, three = await claim(store)
    await store.settle([retry(one, NOW)], now=NOW)
    await store.settle([retry(two, NOW + 4 * DAY), settlement(three)], now=NOW + 3 * DAY)
    assert await health(store) == (EndpointStatus.ENABLED, NOW + 3 * DAY)


# Giving up


@pytest.mark.parametrize(("seconds", "status"), [(3 * DAY - 1, "enabled"), (3 * DAY, "disabled")])
async def test_three_days_without_a_success_disable_an_endpoint(store: Store, seconds: float, status: str) -> None:
    await backlog(store, 2)
    one, two = await claim(store)
    await store.settle([retry(one, NOW + 9 * DAY)], now=NOW)
    await store.settle([retry(two, NOW + 9 * DAY)], now=NOW + seconds)
    assert (await store.endpoint(WORKSPACE, "ep_1")).status == status


async def test_a_failure_that_stands_alone_disables_nothing_however_late(store: Store) -> None:
    await backlog(store, 1)
    await store.settle([retry(await claim_one(store, NOW + 30 * DAY), NOW)], now=NOW + 30 * DAY)
    assert await health(store) == (EndpointStatus.ENABLED, NOW + 30 * DAY)


async def test_gone_disables_at_once_and_keeps_the_delivery(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.create_endpoint(endpoint("ep_other", events=("endpoint.disabled",)))
    await store.record(life())
    held = await claim_one(store)
    await store.settle([gone(held)], now=NOW + 1)
    one = await store.endpoint(WORKSPACE, "ep_1")
    assert (one.status, one.disabled_reason) == (EndpointStatus.DISABLED, "it answered 410 Gone")
    kept = await delivery(store, held)
    assert (kept.state, kept.attempts, kept.settled_at) == (DeliveryState.DUE, 1, None)
    [(event_type, data)] = await notices(store)
    assert event_type == "endpoint.disabled"
    assert data == {"endpoint_id": "ep_1", "url": one.url, "reason": "it answered 410 Gone"}
    assert [other.endpoint_id for other in await claim(store, NOW + 99)] == ["ep_other"], "what is for it is held"
    assert await store.next_delivery_due(NOW) is None


async def test_being_disabled_is_told_once(store: Store) -> None:
    await backlog(store, 5)
    claims = await claim(store)
    await store.settle([gone(held) for held in claims[:2]], now=NOW)
    await store.settle([gone(held) for held in claims[2:]], now=NOW + 4 * DAY)
    assert [event_type for event_type, _ in await notices(store)] == ["endpoint.disabled"]


async def test_what_is_recorded_for_a_disabled_endpoint_is_held_until_it_is_enabled_in_order(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes[:1])
    await store.settle([gone(await claim_one(store))], now=NOW)
    await store.record(changes[1:])
    assert await claim(store, NOW + DAY) == []
    after = await store.change_endpoint(WORKSPACE, "ep_1", enable, now=NOW + DAY)
    assert (after.status, after.disabled_reason, after.failing_since) == (EndpointStatus.ENABLED, None, None)
    assert after == await store.endpoint(WORKSPACE, "ep_1")
    assert [held.sequence for held in await deliver_all(store, NOW + DAY)] == [1, 2, 3]


async def test_an_attempt_that_was_in_flight_when_its_endpoint_was_disabled_still_counts(store: Store) -> None:
    await backlog(store, 1)
    held = await claim_one(store)
    await store.change_endpoint(WORKSPACE, "ep_1", disable, now=NOW)
    assert await store.settle([settlement(held)], now=NOW) == [True]
    assert (await delivery(store, held)).state is DeliveryState.DELIVERED
    assert (await store.endpoint(WORKSPACE, "ep_1")).disabled_reason == "by hand"


# Starting afresh


@pytest.mark.parametrize("change", [enable, move])
async def test_enabling_and_moving_start_afresh(store: Store, change: Any) -> None:
    await backlog(store, 20)
    claims = await claim(store, per_endpoint=16)
    for held in claims:
        await store.settle([retry(held, NOW + 3600, strained=True)], now=NOW)
    if change is enable:
        await store.change_endpoint(WORKSPACE, "ep_1", disable, now=NOW)
    assert await claim(store, NOW + 0.5, per_endpoint=16) == []
    after = await store.change_endpoint(WORKSPACE, "ep_1", change, now=NOW + 0.5)
    assert after.failing_since is None
    again = await claim(store, NOW + 0.5, per_endpoint=16)
    assert len(again) == 16, "all at once, neither paused nor slowed down"
    await store.settle([retry(held, NOW + 3600) for held in again], now=NOW + 3 * DAY)
    assert (await store.endpoint(WORKSPACE, "ep_1")).status is EndpointStatus.ENABLED, "three days begin anew"


async def test_other_changes_leave_the_health_as_it_is(store: Store) -> None:
    await backlog(store, 2)
    held, other = await claim(store)
    await store.release([other])
    await store.settle([retry(held, NOW + 3600, strained=True)], now=NOW)
    after = await store.change_endpoint(
        WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, description="new"), now=NOW + 0.5
    )
    assert after.failing_since == NOW
    assert await claim(store, NOW + 0.5) == []
    assert await store.next_delivery_due(NOW + 0.5) == NOW + 1


# Notices


async def test_a_dead_delivery_is_told_to_the_others(store: Store) -> None:
    await backlog(store, 1)
    await store.create_endpoint(endpoint("ep_ops", events=("delivery.exhausted",)))
    held = await claim_one(store)
    await store.settle([retry(held, NOW)], now=NOW)
    held = await claim_one(store)
    await store.settle([dead(held)], now=NOW + 5)
    [(event_type, data)] = await notices(store)
    assert event_type == "delivery.exhausted"
    assert data == {
        "endpoint_id": "ep_1",
        "url": "http://localhost/ep_1",
        "delivery_id": f"dlv_{held.delivery_id}",
        "event_id": held.event_id,
        "event_type": held.event_type,
        "video_translate_id": held.job_id,
        "attempts": 2,
        "last_outcome": "status",
        "last_status": 500,
    }
    told = await claim_one(store, NOW + 5)
    assert (told.endpoint_id, told.event_type, told.job_id, told.sequence) == ("ep_ops", event_type, None, 0)
    assert json.loads(told.body)["event_data"] == data


async def test_nothing_is_told_of_notices(store: Store) -> None:
    await backlog(store, 1)
    for name in ("ep_ops", "ep_more"):
        await store.create_endpoint(endpoint(name, events=("delivery.exhausted",)))
    await store.settle([dead(await claim_one(store))], now=NOW)
    told = await claim(store)
    assert [held.endpoint_id for held in told] == ["ep_ops", "ep_more"]
    await store.settle([dead(held) for held in told], now=NOW)
    assert len(await notices(store)) == 1
    assert await claim(store) == []


async def test_notices_stay_in_their_workspace_and_away_from_endpoints_of_one_job(store: Store) -> None:
    await backlog(store, 1)
    await store.create_endpoint(endpoint("ep_narrow", entity_id="job_other"))
    await store.create_endpoint(endpoint("ep_foreign", workspace=OTHER_WORKSPACE))
    await store.settle([dead(await claim_one(store))], now=NOW)
    assert len(await notices(store)) == 1
    assert await notices(store, OTHER_WORKSPACE) == []
    assert await claim(store) == []


async def test_notices_have_no_order_among_themselves(store: Store) -> None:
    await backlog(store, 3)
    await store.create_endpoint(endpoint("ep_ops", events=("delivery.exhausted",)))
    await store.settle([dead(held) for held in await claim(store)], now=NOW)
    told = await claim(store)
    assert len(told) == 3
    await store.settle([retry(told[0], NOW + 60)], now=NOW)
    await store.settle([settlement(told[1]), retry(told[2], NOW + 60)], now=NOW)
    assert len(await claim(store, NOW + 60)) == 2


async def test_a_stale_settlement_says_nothing_of_the_endpoint(store: Store) -> None:
    await backlog(store, 1)
    held = await claim_one(store)
    await store.release([held])
    assert await store.settle([gone(held)], now=NOW) == [False]
    assert await health(store) == (EndpointStatus.ENABLED, None)
    assert await notices(store) == []


async def test_the_log_rings_for_notices_only(store: Store) -> None:
    await backlog(store, 2)
    await store.record([failed(created("job_x").job, event_id="evt_x")])
    one, two = await claim(store)
    with store.bells.events.listen() as log, store.bells.deliveries.listen() as way:
        await store.settle([settlement(one)], now=NOW)
        assert (log.is_set(), way.is_set()) == (False, True)
        way.clear()
        await store.settle([dead(two)], now=NOW)
        assert (log.is_set(), way.is_set()) == (True, True)
