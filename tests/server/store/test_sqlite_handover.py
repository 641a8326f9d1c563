"""What the embedded engine hands over of what is recorded, and what it leaves to be claimed."""

import asyncio
from pathlib import Path

import apsw
import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    WORKSPACE,
    claim,
    claim_one,
    created,
    deliveries_of,
    endpoint,
    life,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import Engine, RealTime, SqliteEngine
from tests.server.store.taker import Taker, handed
from video_translation_server.errors import ConflictError, StoreError
from video_translation_server.model import Endpoint, EndpointStatus, Ordering
from video_translation_server.store import Store
from video_translation_server.store.base.rules import FIRST_PAUSE
from video_translation_server.store.sqlite import SqliteStore

CALLBACK = "https://example.com/callback"


@pytest.fixture
def engine() -> Engine:
    return SqliteEngine()


async def test_a_claim_that_is_handed_over_is_the_one_that_would_be_claimed(store: Store) -> None:
    receiver = endpoint(url="https://example.com/hook?a=1", secret="whsec_new", headers={"X-Team": "a"})
    await store.create_endpoint(receiver)
    change = created(title="映画")
    [held] = await handed(store, change)
    await store.release([held])
    claimed = await claim_one(store)
    assert msgspec.structs.replace(claimed, claim_id=held.claim_id) == held
    assert (held.event_id, held.body) == (change.event.id, change.event.body)


async def test_each_endpoint_is_handed_its_own(store: Store) -> None:
    names = [f"ep_{number}" for number in range(30)]
    for name in names:
        await store.create_endpoint(endpoint(name))
    assert len(await handed(store, created("job_1"))) == 1, "nothing is known yet of how many want an event"
    assert len(await claim(store)) == 29
    claims = await handed(store, created("job_2"))
    assert [one.endpoint_id for one in claims] == names
    assert {(one.url, one.event_id) for one in claims} == {(endpoint(n).url, "evt_job_2_1") for n in names}


async def test_no_endpoint_is_handed_more_than_its_share(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1", max_in_flight=2))
    await store.create_endpoint(endpoint("ep_2"))
    changes = [created(f"job_{number}") for number in range(5)]
    await store.record([created("job_first")])
    assert len(await claim(store)) == 2
    await handed(store, created("job_second"), room=1)
    assert len(await claim(store)) == 1
    claims = await handed(store, *changes, per_endpoint=3)
    taken = [one.endpoint_id for one in claims]
    assert (taken.count("ep_1"), taken.count("ep_2")) == (0, 1), "two of each are leased already"
    assert await claim(store, per_endpoint=3) == []


async def test_what_waits_for_its_turn_goes_first(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created("job_1")])
    assert await handed(store, created("job_2")) == []
    assert [one.job_id for one in await claim(store)] == ["job_1", "job_2"]


async def test_a_retry_that_waits_for_its_time_is_in_nobodys_way(store: Store) -> None:
    await store.create_endpoint(endpoint())
    [held] = await handed(store, created("job_1"))
    await store.settle([retry(held, NOW + 60)], now=NOW)
    assert len(await handed(store, created("job_2"))) == 1


def disabled(one: Endpoint) -> Endpoint:
    return msgspec.structs.replace(one, status=EndpointStatus.DISABLED)


@pytest.mark.parametrize("held", ["disabled", "paused", "limited"])
async def test_an_endpoint_that_is_held_is_handed_nothing(store: Store, held: str) -> None:
    receiver = endpoint(rate_limit=5.0 if held == "limited" else None)
    await store.create_endpoint(receiver)
    if held == "disabled":
        await store.change_endpoint(WORKSPACE, receiver.id, disabled, now=NOW)
    if held == "paused":
        [first] = await handed(store, created("job_0"))
        await store.settle([retry(first, NOW + 60, strained=True)], now=NOW)
    assert await handed(store, created("job_1")) == []
    [left] = await deliveries_of(store, WORKSPACE, "evt_job_1_1")
    assert left.state == "due"


async def test_a_strained_endpoint_is_handed_less_at_once(store: Store) -> None:
    await store.create_endpoint(endpoint(max_in_flight=2))
    [held] = await handed(store, created("job_0"))
    await store.settle([retry(held, NOW + 60, strained=True)], now=NOW)
    after = NOW + FIRST_PAUSE
    claims = await handed(store, created("job_1", now=after), created("job_2", now=after))
    assert [one.job_id for one in claims] == ["job_1"]


async def test_what_is_recorded_together_is_handed_over_in_sequence_or_as_it_comes(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_job"))
    await store.create_endpoint(endpoint("ep_none", ordering=Ordering.NONE))
    await handed(store, created("job_0"))  # how many want an event is known from then on
    await claim(store)
    first, second, _ = life()
    claims = await handed(store, first, second, created("job_2"))
    assert seen(claims) == [
        ("ep_job", "job_1", 1),
        ("ep_none", "job_1", 1),
        ("ep_none", "job_1", 2),
        ("ep_job", "job_2", 1),
        ("ep_none", "job_2", 1),
    ]


async def test_what_several_record_at_once_is_handed_over_to_one(store: Store) -> None:
    await store.create_endpoint(endpoint())
    taker = Taker(5)
    with store.handing_over_to(taker):
        await asyncio.gather(*(store.record([created(f"job_{number}")]) for number in range(3)))
    assert [one.job_id for one in taker.claims] == ["job_0", "job_1", "job_2"]
    assert (taker.reserved, taker.room) == (0, 2)


async def test_a_short_lease_is_taken_back_when_it_runs_out(store: Store, real_time: RealTime) -> None:
    await store.create_endpoint(endpoint())
    assert await claim(store) == []  # a look for leases that ran out: the next one is due in a while
    taker = Taker(5, lease=1.0)
    with store.handing_over_to(taker):
        await store.record([created()])
    assert len(taker.claims) == 1
    real_time.advance(1.0)
    await claim_one(store)


async def test_a_claim_gets_what_its_own_transaction_records(store: Store) -> None:
    await store.create_endpoint(endpoint())
    assert await claim(store) == []  # a look for leases that ran out: the next one is due in a while
    _, claims = await asyncio.gather(store.record([created()]), claim(store))
    assert len(claims) == 1


async def test_a_change_that_loses_the_race_hands_nothing_over(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first, second, _ = life()
    [held] = await handed(store, first)
    await store.settle([settlement(held)], now=NOW)
    assert [one.event_id for one in await handed(store, second, second)] == [second.event.id]


async def test_a_record_that_fails_gives_the_room_back(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    taker = Taker(5)
    with store.handing_over_to(taker), pytest.raises(ConflictError):
        await store.record([created("job_2"), created()])
    assert (taker.room, taker.claims) == (5, [])
    assert [one.job_id for one in await claim(store)] == ["job_1"]


async def test_a_commit_that_fails_hands_nothing_over_and_gives_the_room_back(tmp_path: Path) -> None:
    full = False

    def probe(point: str) -> None:
        if full and point == "before commit":
            raise apsw.FullError("no room is left on the disk")

    store = await SqliteStore.open(tmp_path / "store.db", probe=probe)
    await store.create_endpoint(endpoint())
    taker = Taker(5)
    with store.handing_over_to(taker):
        full = True
        answers = await asyncio.gather(
            *(store.record([created(f"job_{number}")]) for number in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [StoreError] * 3
        assert (taker.reserved, taker.room, taker.claims) == (0, 5, [])
        full = False
        await store.record([created("job_2")])
    assert [one.job_id for one in taker.claims] == ["job_2"]
    assert await claim(store) == []
    await store.close()


async def test_one_that_fails_beside_others_takes_nothing_of_theirs(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    await claim_one(store)
    taker = Taker(5)
    with store.handing_over_to(taker):
        answers = await asyncio.gather(
            store.record([created("job_2")]),
            store.record([created()]),
            store.record([created("job_3")]),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers] == [list, ConflictError, list]
    assert [one.job_id for one in taker.claims] == ["job_2", "job_3"]
    assert (taker.reserved, taker.room) == (0, 3)


async def test_a_caller_that_has_gone_leaves_its_claims_to_the_worker(store: Store) -> None:
    await store.create_endpoint(endpoint())
    taker = Taker(5)
    with store.handing_over_to(taker):
        call = asyncio.create_task(store.record([created()]))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        await store.ping()
    assert call.cancelled()
    assert [one.job_id for one in taker.claims] == ["job_1"]
    assert taker.reserved == 0


async def test_who_has_left_is_handed_nothing(store: Store) -> None:
    await store.create_endpoint(endpoint())
    taker = Taker(5)
    with store.handing_over_to(taker):
        pass
    await store.record([created()])
    assert (taker.claims, taker.room) == ([], 5)
    assert len(await claim(store)) == 1


async def test_a_store_that_is_closed_gives_the_room_back(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.close()
    taker = Taker(5)
    with store.handing_over_to(taker), pytest.raises(StoreError):
        await store.record([created()])
    assert (taker.reserved, taker.room) == (0, 5)


async def test_a_callbacks_delivery_is_left_to_be_claimed(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_callback", url=CALLBACK, entity_id="job_1", is_callback=True))
    changes = life()
    for change in changes:
        assert await handed(store, change) == []
    assert [one.url for one in await claim(store)] == [CALLBACK]
