"""`claim` and `settle`: what a claim holds, limits and turns, attempts, due times."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    claim_one,
    created,
    dead,
    deliver_all,
    delivery,
    endpoint,
    life,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import RealTime
from tests.waiting import PATIENCE
from video_translation_server.model import Attempt, DeliveryState, EndpointStatus, Outcome, OutcomeKind
from video_translation_server.store import Store


async def backlog(store: Store, jobs: int, *names: str, now: float = NOW) -> None:
    """Endpoints (made where a name is new) with one due delivery of each of so many jobs."""
    for name in names:
        await store.create_endpoint(endpoint(name, events=("video_translate.pending",)))
    await store.record([created(f"job_{now:.0f}_{number}", now=now) for number in range(jobs)])


# What a claim is


async def test_a_claim_has_all_that_an_attempt_needs(store: Store) -> None:
    receiver = endpoint(url="https://example.com/hook?a=1", secret="whsec_new")
    await store.create_endpoint(receiver)
    change = created(title="映画")
    await store.record([change])
    held = await claim_one(store)
    assert (held.event_id, held.event_type, held.body) == (change.event.id, change.event.type, change.event.body)
    assert (held.job_id, held.sequence) == ("job_1", 1)
    assert (held.endpoint_id, held.url, held.secrets) == (receiver.id, receiver.url, (receiver.secret,))
    assert (held.attempt, held.first_attempt_at) == (1, None)


async def test_nothing_is_due_in_an_empty_store(store: Store) -> None:
    assert await claim(store) == []
    assert await store.next_delivery_due(NOW) is None


async def test_nothing_is_claimed_before_it_is_due(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created(now=NOW + 10)])
    assert await claim(store, NOW + 9.99) == []
    assert len(await claim(store, NOW + 10)) == 1


async def test_no_two_claims_share_a_fence(store: Store) -> None:
    await backlog(store, 1, "ep_1")
    fences = set()
    for _ in range(50):
        held = await claim_one(store)
        fences.add(held.claim_id)
        await store.release([held])
    assert len(fences) == 50


async def test_a_disabled_endpoint_holds_its_deliveries(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_off", status=EndpointStatus.DISABLED))
    await store.create_endpoint(endpoint("ep_on"))
    await store.record([created(now=NOW + 5)])
    assert await store.next_delivery_due(NOW) == NOW + 5
    assert seen(await claim(store, NOW + 5)) == [("ep_on", "job_1", 1)]
    assert await store.next_delivery_due(NOW) is None, "no reason to wake for what is held"


# Limits and turns


async def test_no_more_than_the_limit_are_claimed_the_longest_due_first(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created(f"job_{number}", now=NOW - number) for number in range(5)])
    assert [held.job_id for held in await claim(store, limit=3)] == ["job_4", "job_3", "job_2"]
    assert [held.job_id for held in await claim(store, limit=3)] == ["job_1", "job_0"]


async def test_per_endpoint_counts_what_is_in_flight(store: Store) -> None:
    await backlog(store, 6, "ep_1", "ep_2")
    first = await claim(store, per_endpoint=2)
    assert sorted(held.endpoint_id for held in first) == ["ep_1", "ep_1", "ep_2", "ep_2"]
    assert await claim(store, per_endpoint=2) == [], "both are full"
    one = next(held for held in first if held.endpoint_id == "ep_1")
    await store.settle([settlement(one)], now=NOW)
    assert [held.endpoint_id for held in await claim(store, per_endpoint=2)] == ["ep_1"]
    assert len(await claim(store, per_endpoint=3)) == 2, "a wider limit makes room for one more each"


async def test_every_way_out_of_flight_makes_room(store: Store, real_time: RealTime) -> None:
    await backlog(store, 9, "ep_1")
    held = await claim(store, per_endpoint=4)
    assert len(held) == 4
    await store.settle([settlement(held[0]), dead(held[1]), retry(held[2], NOW + 60)], now=NOW)
    await store.release(held[3:])
    assert len(await claim(store, per_endpoint=4)) == 4
    real_time.advance(31)
    assert len(await claim(store, per_endpoint=4)) == 4


async def test_a_full_endpoint_does_not_take_the_places_of_the_others(store: Store) -> None:
    await backlog(store, 20, "ep_full", now=NOW - 100)
    assert len(await claim(store, per_endpoint=4)) == 4
    await backlog(store, 2, "ep_free")
    free = await claim(store, limit=10, per_endpoint=4)
    assert {held.endpoint_id for held in free} == {"ep_free"}
    assert len(free) == 2


async def test_endpoints_take_turns_under_the_limit(store: Store) -> None:
    await backlog(store, 10, "ep_old", now=NOW - 100)
    await backlog(store, 10, "ep_a", "ep_b", "ep_c")
    # (ep_old has got the later jobs too.)
    count = dict.fromkeys(("ep_old", "ep_a", "ep_b", "ep_c"), 0)
    for held in await claim(store, limit=6):
        count[held.endpoint_id] += 1
    assert sorted(count.values()) == [1, 1, 2, 2]
    for held in await claim(store, limit=6):
        count[held.endpoint_id] += 1
    assert sum(count.values()) == 12
    assert min(count.values()) >= 2


async def test_each_gets_its_first_before_any_its_second_however_old_that_is(store: Store) -> None:
    for age, name in ((30, "a"), (20, "b"), (10, "c")):
        await store.create_endpoint(endpoint(f"ep_{name}", workspace=f"ws_{name}"))
        jobs = [created(f"job_{name}_{number}", workspace=f"ws_{name}", now=NOW - age) for number in range(2)]
        await store.record(jobs)
    claims = await claim(store, limit=4)
    assert [held.job_id for held in claims] == ["job_a_0", "job_a_1", "job_b_0", "job_c_0"], "the longest due first"


async def test_a_large_backlog_does_not_keep_a_newcomer_waiting(store: Store) -> None:
    await backlog(store, 200, "ep_busy", now=NOW - 1000)
    await backlog(store, 1, "ep_quiet")
    assert "ep_quiet" in {held.endpoint_id for held in await claim(store, limit=2, per_endpoint=100)}


async def test_the_line_goes_round_however_old_the_backlogs_are(store: Store) -> None:
    """Twenty endpoints with old backlogs, claims of five: a newcomer waits for one round, not for all that is older."""
    for number in range(20):
        await store.create_endpoint(endpoint(f"ep_{number}"))
    await store.record([created(f"job_{number}", now=NOW - 1000) for number in range(50)])
    await store.create_endpoint(endpoint("ep_new", workspace="ws_new"))
    await store.record([created("job_new", workspace="ws_new", now=NOW - 1)])
    order = []
    for number in range(8):
        held = await claim(store, NOW + number, limit=5)
        assert len({one.endpoint_id for one in held}) == 5
        order += [one.endpoint_id for one in held]
        await store.settle([settlement(one) for one in held], now=NOW + number)
    assert "ep_new" in order[:25]
    assert {order.count(f"ep_{number}") for number in range(20)} <= {1, 2}


# Concurrent claims


async def test_concurrent_claims_never_get_the_same_delivery(store: Store) -> None:
    await backlog(store, 40, "ep_1", "ep_2", "ep_3")
    groups = await asyncio.gather(*(claim(store, limit=5, per_endpoint=100) for _ in range(40)))
    ids = [held.delivery_id for group in groups for held in group]
    assert len(ids) == len(set(ids)) == 120


async def test_workers_that_race_deliver_everything_once(store: Store) -> None:
    for number in range(4):
        await store.create_endpoint(endpoint(f"ep_{number}"))
    await store.record([change for number in range(15) for change in life(f"job_{number}")])

    async def worker() -> list[tuple[str, str, int]]:
        done: list[tuple[str, str, int]] = []
        while claims := await claim(store, limit=3, per_endpoint=5):
            assert await store.settle([settlement(held) for held in claims], now=NOW) == [True] * len(claims)
            done += seen(claims)
        return done

    async with asyncio.timeout(PATIENCE):
        groups = await asyncio.gather(*(worker() for _ in range(6)))
    rest = await deliver_all(store)  # a worker may have gone home while others still had claims
    done = [one for group in groups for one in group] + seen(rest)
    assert len(done) == len(set(done)) == 4 * 15 * 3


# Attempts


async def test_attempts_are_counted_when_they_are_settled_and_not_before(store: Store, real_time: RealTime) -> None:
    await backlog(store, 1, "ep_1")
    for _ in range(3):
        held = await claim_one(store)
        assert (held.attempt, (await delivery(store, held)).attempts) == (1, 0)
        real_time.advance(31)
    held = await claim_one(store)
    await store.release([held])
    held = await claim_one(store)
    assert held.attempt == 1
    await store.settle([retry(held, NOW)], now=NOW)
    assert (await delivery(store, held)).attempts == 1
    assert (await claim_one(store)).attempt == 2


async def test_the_first_attempts_start_is_kept(store: Store) -> None:
    await backlog(store, 1, "ep_1")
    for number in range(1, 4):
        held = await claim_one(store, NOW + 10 * number)
        assert held.first_attempt_at == (None if number == 1 else NOW + 10)
        tried = retry(held, NOW + 10 * (number + 1))
        started = msgspec.structs.replace(tried.attempt, started_at=NOW + 10 * number)
        await store.settle([msgspec.structs.replace(tried, attempt=started)], now=NOW + 10 * number)
    assert (await delivery(store, held)).first_attempt_at == NOW + 10


@pytest.mark.parametrize("kind", OutcomeKind)
async def test_the_attempt_log_keeps_every_outcome(store: Store, kind: OutcomeKind) -> None:
    await backlog(store, 1, "ep_1")
    held = await claim_one(store)
    outcomes = [
        Outcome(kind=kind, status=503, detail="why", retry_after="120", body=b"\x00\xff", address="::1"),
        Outcome(kind=kind),
    ]
    logged: list[Attempt] = []
    for outcome in outcomes:
        held = await claim_one(store) if logged else held
        settled = msgspec.structs.replace(retry(held, NOW), attempt=settlement(held, outcome=outcome).attempt)
        logged.append(settled.attempt)
        await store.settle([settled], now=NOW)
    assert await store.attempts(held.delivery_id) == logged
    assert [attempt.number for attempt in logged] == [1, 2]


@pytest.mark.parametrize("bodies", [(b"", b"two", b""), (b"one", b"", b""), (b"", b"", b"three"), (b"", b"", b"")])
@pytest.mark.parametrize("ends", [True, False])
async def test_the_attempt_log_is_the_same_however_often_a_delivery_is_taken_up_again(
    store: Store, bodies: Sequence[bytes], *, ends: bool
) -> None:
    await backlog(store, 1, "ep_1")
    logged: list[Attempt] = []
    for number, body in enumerate(bodies):
        held = await claim_one(store)
        if number > 0:
            assert await store.attempts(held.delivery_id) == logged
        said = settlement(held, outcome=Outcome(kind=OutcomeKind.STATUS, status=500 + number, body=body)).attempt
        verdict = dead(held) if ends else retry(held, NOW)
        await store.settle([msgspec.structs.replace(verdict, attempt=said)], now=NOW)
        logged.append(said)
        assert await store.attempts(held.delivery_id) == logged
        if ends:
            await store.resend(WORKSPACE, held.delivery_id, now=NOW)


async def test_a_delivery_that_was_never_tried_has_no_attempts(store: Store) -> None:
    await backlog(store, 1, "ep_1")
    assert await store.attempts((await claim_one(store)).delivery_id) == []
    assert await store.attempts(999_999) == []


async def test_a_delivered_one_is_closed(store: Store) -> None:
    await backlog(store, 1, "ep_1")
    held = await claim_one(store)
    await store.settle([settlement(held)], now=NOW)
    closed = await delivery(store, held)
    assert (closed.state, closed.due_at, closed.attempts) == (DeliveryState.DELIVERED, None, 1)
    assert await claim(store, NOW + 1e9) == []


async def test_a_batch_of_settlements_may_have_every_verdict(store: Store) -> None:
    await backlog(store, 3, "ep_1")
    one, two, three = await claim(store)
    assert await store.settle([settlement(one), retry(two, NOW + 9), dead(three)], now=NOW) == [True] * 3
    assert [(await delivery(store, held)).state for held in (one, two, three)] == [
        DeliveryState.DELIVERED,
        DeliveryState.DUE,
        DeliveryState.DEAD,
    ]


async def test_empty_batches_are_nothing(store: Store) -> None:
    assert await store.settle([], now=NOW) == []
    assert await store.renew_claims([], lease=30) == []
    await store.release([])


# When to look again


async def test_the_next_due_time_is_the_earliest_of_all_endpoints_later_than_now(store: Store) -> None:
    await backlog(store, 2, "ep_1", "ep_2", "ep_3")
    claims = await claim(store)
    delays = (50.0, 20.0, 70.0, 30.0, 60.0, 40.0)
    await store.settle([retry(held, NOW + delay) for held, delay in zip(claims, delays, strict=True)], now=NOW)
    now, found = NOW, []
    while (due_at := await store.next_delivery_due(now)) is not None:
        found.append(due_at - NOW)
        now = due_at
        assert len(await claim(store, now)) == 1
    assert found == sorted(delays)


async def test_what_is_due_already_in_flight_or_waiting_has_no_next_due_time(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    assert await store.next_delivery_due(NOW) is None, "due already: claim it"
    held = await claim_one(store)
    assert await store.next_delivery_due(NOW - 1) is None, "in flight"
    await store.record([created("job_2", now=NOW + 90)])
    assert await store.next_delivery_due(NOW - 1) == NOW + 90, "in flight, beside one that is not"
    await store.settle([retry(held, NOW + 60)], now=NOW)
    assert await store.next_delivery_due(NOW) == NOW + 60
    assert await store.next_delivery_due(NOW + 60) is None, "due already, and so is what comes behind it in time"
