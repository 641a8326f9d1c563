"""What the simulator asks of a store: the clock that is kept, what goes on at an instant, an empty store."""

import msgspec

from tests.server.store.builders import LEASE, NOW, WORKSPACE, created, endpoint, life, settlement
from tests.server.store.engines import Reopen
from video_translation_server.clock import ClockState
from video_translation_server.model import Key
from video_translation_server.store import DeliveryFilter, EventFilter, Store

MOVED = "https://example.com/moved"
STATE = ClockState(virtual_at=NOW, real_at=1234.5, speed=0)


async def test_the_clock_that_was_kept_last_survives_a_restart(store: Store, reopen: Reopen) -> None:
    assert await store.clock() is None
    await store.keep_clock(ClockState(virtual_at=1, real_at=2, speed=3))
    await store.keep_clock(STATE)
    assert await (await reopen()).clock() == STATE


async def test_it_is_delivering_while_anything_can_be_claimed_or_is_leased(store: Store) -> None:
    await store.create_endpoint(endpoint())
    assert not await store.is_delivering(NOW)
    await store.record([created()])
    assert not await store.is_delivering(NOW - 1)
    assert await store.is_delivering(NOW)
    claims = await store.claim(NOW, limit=10, per_endpoint=10, lease=LEASE)
    assert await store.is_delivering(NOW - 1), "whatever time it is"
    await store.settle([settlement(claim) for claim in claims], now=NOW)
    assert not await store.is_delivering(NOW)


async def test_what_a_rate_limit_holds_back_is_next_at_an_instant_at_which_it_can_be_claimed(store: Store) -> None:
    await store.create_endpoint(endpoint(rate_limit=0.3))
    await store.record([created(f"job_{number}") for number in range(20)])
    now = NOW
    for _ in range(20):
        claims = await store.claim(now, limit=10, per_endpoint=10, lease=LEASE)
        assert len(claims) == 1, "none is passed over by a rounding"
        await store.settle([settlement(claim) for claim in claims], now=now)
        now = await store.next_delivery_due(now) or now
    assert not await store.is_delivering(now)


async def test_the_first_endpoint_to_run_out_is_known(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1"))
    assert await store.next_endpoint_expiry() is None
    await store.create_endpoint(endpoint("ep_2", ttl_seconds=100, expires_at=NOW + 100))
    await store.create_endpoint(endpoint("ep_3", ttl_seconds=50, expires_at=NOW + 50))
    assert await store.next_endpoint_expiry() == NOW + 50
    await store.delete_endpoint(WORKSPACE, "ep_3", now=NOW)
    assert await store.next_endpoint_expiry() == NOW + 100


async def test_no_chapter_begins_twice(store: Store, reopen: Reopen) -> None:
    assert [await store.begin_chapter() for _ in range(3)] == [1, 2, 3]
    await store.erase()
    assert await store.begin_chapter() == 4
    assert await (await reopen()).begin_chapter() == 5


async def test_a_job_is_found_in_whichever_workspace(store: Store) -> None:
    await store.record([created()])
    assert (await store.job(None, "job_1")).id == "job_1"


async def test_nothing_is_left_but_workspaces_keys_and_the_clock(store: Store) -> None:
    await store.create_key(Key(id="key_1", workspace_id=WORKSPACE, label=None, created_at=NOW), b"digest")
    await store.keep_clock(STATE)
    await store.create_endpoint(endpoint())
    await store.record(life()[:1])
    [claim] = await store.claim(NOW, limit=10, per_endpoint=10, lease=LEASE)
    position = await store.last_position()
    await store.erase()
    assert await store.settle([settlement(claim)], now=NOW) == [False], "a claim under way is lost"
    assert await store.jobs(WORKSPACE, limit=10) == ([], None)
    assert await store.endpoints(WORKSPACE, limit=10) == ([], None)
    assert await store.deliveries(WORKSPACE, limit=10, wanted=DeliveryFilter()) == ([], None)
    assert await store.events_after(None, 0, limit=10, wanted=EventFilter()) == ([], position)
    assert not await store.is_delivering(NOW)
    assert await store.key_of(b"digest") is not None
    assert await store.clock() == STATE
    await store.create_endpoint(endpoint())
    await store.record(life()[:1])
    assert await store.last_position() == position + 1, "no position is used twice"
    assert len(await store.claim(NOW, limit=10, per_endpoint=10, lease=LEASE)) == 1


async def test_an_endpoint_that_is_changed_after_all_was_erased_is_sent_to_as_it_is_then(store: Store) -> None:
    await store.erase()
    await store.create_endpoint(endpoint())
    await store.record([created("job_1")])
    claims = await store.claim(NOW, limit=10, per_endpoint=10, lease=LEASE)
    assert [one.url for one in claims] == [endpoint().url]
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, url=MOVED), now=NOW)
    await store.record([created("job_2")])
    claims = await store.claim(NOW, limit=10, per_endpoint=10, lease=LEASE)
    assert [one.url for one in claims] == [MOVED]
