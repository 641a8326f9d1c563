"""Limits per endpoint: how many at once, how many per second; and what a claim promises when it brings less."""

import random
from typing import Any

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    created,
    endpoint,
    retry,
    settlement,
)
from tests.server.store.engines import Reopen
from video_translation_server.model import Endpoint
from video_translation_server.store import Store

PENDING = ("video_translate.pending",)


async def backlog(store: Store, jobs: int, **endpoints: dict[str, Any]) -> None:
    for name, fields in endpoints.items():
        await store.create_endpoint(endpoint(name, events=PENDING, **fields))
    await store.record([created(f"job_{number}", now=NOW) for number in range(jobs)])


async def count(store: Store, now: float = NOW, *, limit: int = 100, per_endpoint: int = 16) -> dict[str, int]:
    """How many each endpoint gets; they stay in flight."""
    found: dict[str, int] = {}
    for held in await claim(store, now, limit=limit, per_endpoint=per_endpoint):
        found[held.endpoint_id] = found.get(held.endpoint_id, 0) + 1
    return found


# How many at once


async def test_an_endpoints_own_limit_goes_before_the_servers(store: Store) -> None:
    await backlog(store, 9, ep_one={"max_in_flight": 1}, ep_six={"max_in_flight": 6}, ep_any={})
    assert await count(store, per_endpoint=4) == {"ep_one": 1, "ep_six": 6, "ep_any": 4}
    assert await count(store, per_endpoint=4) == {}


async def test_a_limit_that_is_changed_holds_from_the_next_claim_on(store: Store) -> None:
    await backlog(store, 9, ep_1={"max_in_flight": 4})
    assert await count(store) == {"ep_1": 4}
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: limited(one, max_in_flight=2), now=NOW)
    assert await count(store) == {}, "more than it may have is under way"
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: limited(one, max_in_flight=5), now=NOW)
    assert await count(store) == {"ep_1": 1}


def limited(one: Endpoint, **fields: Any) -> Endpoint:
    return msgspec.structs.replace(one, **fields)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 100])
async def test_fewer_than_the_limit_means_that_there_is_nothing_else(store: Store, limit: int) -> None:
    """Rooms and backlogs of all sizes: one call must go back to the large ones for what the small ones leave."""
    chance = random.Random(limit)
    for number in range(8):
        room = chance.choice([None, 1, 2, 16, 40])
        await store.create_endpoint(endpoint(f"ep_{number}", events=PENDING, max_in_flight=room))
        await store.record([created(f"job_{number}_{many}") for many in range(chance.choice([0, 1, 5, 30]))])
    while len(await claim(store, limit=limit)) == limit:
        pass
    assert await claim(store, limit=1) == []


# How many per second


@pytest.mark.parametrize(("rate", "at_once"), [(0.1, 1), (1, 1), (10, 1), (30, 2), (110, 6)])
async def test_a_rate_may_be_run_ahead_by_a_twentieth_of_a_second(store: Store, rate: float, at_once: int) -> None:
    await backlog(store, 20, ep_1={"rate_limit": rate})
    assert await count(store) == {"ep_1": at_once}
    assert await count(store) == {}


async def test_a_rate_spaces_attempts_out_and_says_when_the_next_may_go(store: Store) -> None:
    await backlog(store, 10, ep_1={"rate_limit": 2})
    times, now = [], NOW
    for _ in range(10):
        assert await count(store, now) == {"ep_1": 1}
        times.append(now)
        assert await count(store, now) == {}
        due_at = await store.next_delivery_due(now)
        if due_at is None:
            break
        assert await count(store, due_at - 0.01) == {}
        now = due_at
    assert len(times) == 10
    assert times[-1] - times[0] == pytest.approx(9 * 0.5, abs=0.06)


@pytest.mark.parametrize(("rate", "begin"), [*((rate, NOW) for rate in (0.3, 3, 7, 33, 250)), (3, 4e9)])
async def test_whoever_sleeps_until_the_next_due_time_never_misses_it_nor_exceeds_the_rate(
    store: Store, rate: float, begin: float
) -> None:
    """Also where times are rounded to other fractions of a second, as from 2038 on."""
    await backlog(store, 120, ep_1={"rate_limit": rate, "max_in_flight": 1000})
    now, done = begin, 0
    while done < 120:
        got = (await count(store, now, per_endpoint=1000)).get("ep_1", 0)
        assert got > 0, f"nothing at {now!r}, which was said to be the time"
        done += got
        assert done <= (now - begin + 0.05) * rate + 1.05
        due_at = await store.next_delivery_due(now)
        assert (due_at is None) == (done == 120)
        now = due_at or now
    assert now - begin <= 120 / rate, "nor falls behind"


async def test_an_idle_endpoint_saves_nothing_up(store: Store) -> None:
    await backlog(store, 10, ep_1={"rate_limit": 1})
    assert await count(store) == {"ep_1": 1}
    assert await count(store, NOW + 1000) == {"ep_1": 1}
    assert await count(store, NOW + 1000.5) == {}


async def test_a_rate_is_one_endpoints_alone_and_outlives_a_reopen(store: Store, reopen: Reopen) -> None:
    await backlog(store, 5, ep_slow={"rate_limit": 1}, ep_free={})
    assert await count(store) == {"ep_slow": 1, "ep_free": 5}
    store = await reopen()
    assert await count(store, NOW + 0.5) == {"ep_free": 5}
    assert await count(store, NOW + 1) == {"ep_slow": 1}


async def test_a_rate_holds_for_retries_too(store: Store) -> None:
    await backlog(store, 2, ep_1={"rate_limit": 1})
    [held] = await claim(store)
    await store.settle([retry(held, NOW)], now=NOW)
    assert await claim(store) == []
    assert len(await claim(store, NOW + 1)) == 1


async def test_turns_and_limits_hold_beside_a_rate(store: Store) -> None:
    await backlog(store, 50, ep_a={"rate_limit": 100, "max_in_flight": 3}, ep_b={"rate_limit": 45}, ep_c={})
    assert await count(store, limit=6, per_endpoint=16) == {"ep_a": 2, "ep_b": 2, "ep_c": 2}
    assert await count(store, limit=4, per_endpoint=16) == {"ep_a": 1, "ep_b": 1, "ep_c": 2}
    assert await count(store, limit=4, per_endpoint=16) == {"ep_c": 4}


@pytest.mark.parametrize("after", [None, 110.0])
async def test_a_rate_that_is_lifted_no_longer_holds_back(store: Store, after: float | None) -> None:
    await backlog(store, 9, ep_1={"rate_limit": 0.001})
    assert await count(store) == {"ep_1": 1}
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: limited(one, rate_limit=after), now=NOW + 1)
    assert (await count(store, NOW + 1))["ep_1"] >= 6


async def test_settling_makes_no_room_in_a_rate(store: Store) -> None:
    await backlog(store, 3, ep_1={"rate_limit": 1})
    [held] = await claim(store)
    await store.settle([settlement(held)], now=NOW)
    assert await claim(store) == []
