"""PostgreSQL out of reach: nothing is lost or done twice, callers are told at once, and it goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.proxy import Proxy
from tests.server.store.builders import (
    LEASE,
    NOW,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    endpoint,
    life,
    read_log,
    settlement,
)
from tests.server.store.engines import PostgresEngine, RealTime
from tests.waiting import PATIENCE
from video_translation_server.errors import StoreError
from video_translation_server.model import DeliveryState
from video_translation_server.store import Store
from video_translation_server.store.postgres import PostgresStore
from video_translation_server.store.postgres.database import FAILURES, Connection, Database, longest_silence


class Once:
    """True for the first bytes that hold a word."""

    def __init__(self, word: bytes) -> None:
        self._word = word
        self.seen = False

    def __call__(self, data: bytes) -> bool:
        if self.seen or self._word not in data:
            return False
        self.seen = True
        return True


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(postgres_engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Proxy]:
    empty = await postgres_engine.open(tmp_path, RealTime())
    await empty.close()
    async with Proxy(postgres_engine.url) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def store(proxy: Proxy) -> AsyncIterator[Store]:
    store = await PostgresStore.open(proxy.url)
    yield store
    await store.close()


async def test_what_was_cut_off_is_connected_again_and_nobody_notices(store: Store, proxy: Proxy) -> None:
    await store.create_endpoint(endpoint())
    for change in life():
        proxy.cut()
        assert await store.record([change]) == [True]
        proxy.cut()
        assert await store.job(WORKSPACE, "job_1") == change.job
        proxy.cut()
        held = await claim_one(store)
        proxy.cut()
        assert await store.settle([settlement(held)], now=NOW) == [True]
    assert [event.sequence for event in await read_log(store)] == [1, 2, 3]


async def test_the_log_leaves_room_after_each_loss_of_the_database(store: Store, proxy: Proxy) -> None:
    """Who answers then may be a standby that lacks the last events: their places are not given to others."""
    assert await store.record([created("job_1")]) == [True]
    assert await store.last_position() == 1
    before = await store.real_now()
    proxy.cut()
    assert await store.record([created("job_2")]) == [True]
    assert await store.last_position() >= before * 1_000_000
    assert [event.job_id for event in await read_log(store, 1)] == ["job_2"]


async def test_what_is_settled_finds_its_day_also_in_an_earlier_copy_of_the_database(
    store: Store, proxy: Proxy, postgres_engine: PostgresEngine
) -> None:
    """As after a failover to a standby that had not heard of the day's partition."""
    await store.create_endpoint(endpoint())
    await store.record([created("job_1"), created("job_2")])
    first, second = await claim(store)
    assert await store.settle([settlement(first)], now=NOW) == [True]
    connection = await Database(postgres_engine.url).connect()
    await connection.execute("DROP TABLE settled_delivered_20270115, settled_failed_20270115")
    await connection.close()
    proxy.cut()
    assert await store.settle([settlement(second)], now=NOW) == [True]
    assert (await store.delivery(WORKSPACE, second.delivery_id)).state is DeliveryState.DELIVERED


async def test_what_is_settled_finds_its_day_also_where_the_database_was_lost_while_nobody_asked_for_it(
    store: PostgresStore, proxy: Proxy, postgres_engine: PostgresEngine
) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created("job_1"), created("job_2")])
    first, second = await claim(store)
    assert await store.settle([settlement(first)], now=NOW) == [True]
    connection = await Database(postgres_engine.url).connect()
    await connection.execute("DROP TABLE settled_delivered_20270115, settled_failed_20270115")
    await connection.close()
    lost = asyncio.Event()
    connection = await store._queue._session.connection()
    connection.add_termination_listener(lambda _: lost.set())
    proxy.cut()
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    assert await store.settle([settlement(second)], now=NOW) == [True]
    assert (await store.delivery(WORKSPACE, second.delivery_id)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_whose_answer_is_lost_counts_once(store: Store, proxy: Proxy, *, arrives: bool) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    watch = Once(b"COMMIT\0")
    if arrives:
        proxy.cut_after = watch
    else:
        proxy.cut_before = watch
    assert await store.record([first]) == [True]
    assert watch.seen
    watch.seen = False
    assert await store.record([advanced(first.job)]) == [True], "it did not take place twice: else it had lost"
    assert [event.sequence for event in await read_log(store)] == [1, 2]
    watch.seen = False
    held = await settled_after_loss(store, watch)
    assert len(await store.attempts(held)) == 1


async def settled_after_loss(store: Store, watch: Once) -> int:
    watch.seen = True
    held = await claim_one(store)
    watch.seen = False
    assert await store.settle([settlement(held)], now=NOW) == [True]
    assert watch.seen
    return held.delivery_id


@pytest.mark.parametrize("word", [b"BEGIN\0", b"INSERT INTO jobs", b"UPDATE log"])
async def test_a_transaction_that_is_cut_off_half_way_is_run_again(store: Store, proxy: Proxy, word: bytes) -> None:
    proxy.cut_after = watch = Once(word)
    assert await store.record([created()]) == [True]
    assert watch.seen
    assert len(await read_log(store)) == 1


async def test_out_of_reach_every_verb_says_so_and_afterwards_all_goes_on(store: Store, proxy: Proxy) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created("job_1"), created("job_2")])
    held, other = await claim(store)
    await proxy.refuse()
    verbs: list[Callable[[], object]] = [
        lambda: store.record([created("job_3")]),
        lambda: store.settle([settlement(held)], now=NOW),
        lambda: claim(store),
        lambda: store.job(WORKSPACE, "job_1"),
        lambda: store.due_jobs(NOW, 10),
        lambda: store.start_request(WORKSPACE, "POST /", "key", now=NOW, lease=30),
        store.ping,
    ]
    for verb in verbs:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StoreError, match="database"):
                await verb()  # type: ignore[misc]
    await proxy.accept()
    with store.bells.jobs.listen() as rung:
        async with asyncio.timeout(PATIENCE):
            await rung.wait()  # the doorbell is back, and so is the database
    assert await store.settle([settlement(held), settlement(other)], now=NOW) == [True, True], "its leases hold still"
    assert await store.record([created("job_3")]) == [True]
    assert [event.job_id for event in await read_log(store)] == ["job_1", "job_2", "job_3"]


async def test_whoever_waits_for_a_bell_is_woken_after_an_outage(
    store: Store, proxy: Proxy, postgres_engine: PostgresEngine
) -> None:
    """What rang meanwhile was not heard: so everybody looks."""
    with store.bells.jobs.listen() as rung:
        proxy.cut()
        async with asyncio.timeout(PATIENCE):
            await rung.wait()
    other = await PostgresStore.open(postgres_engine.url)
    try:
        with store.bells.events.listen() as rung:
            await other.record([created()])
            async with asyncio.timeout(PATIENCE):
                await rung.wait()
    finally:
        await other.close()


async def test_a_database_that_cannot_be_reached_at_the_start_is_named_without_its_password(proxy: Proxy) -> None:
    await proxy.refuse()
    url = proxy.url.replace("//", "//somebody:geheim@", 1) if "@" not in proxy.url else proxy.url
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as caught:
        await PostgresStore.open(url.replace("postgres:@", "postgres:geheim@"))
    assert "geheim" not in str(caught.value)
    assert "--store" in str(caught.value)


# A server that is frozen in a transaction


@pytest.mark.parametrize(("lease", "seconds"), [(3.0, 1.0), (6.0, 1.0), (12.0, 2.0), (30.0, 5.0), (600.0, 5.0)])
def test_a_silent_server_is_cut_off_well_before_anothers_lease_runs_out(lease: float, seconds: float) -> None:
    assert longest_silence(lease) == seconds


async def test_what_a_silent_server_may_hold_follows_from_the_lease(proxy: Proxy) -> None:
    store = await PostgresStore.open(proxy.url, lease=12)
    try:
        queue, log = [await writer._session.connection() for writer in (store._queue, store._log)]
        assert [await allowed_silence(connection) for connection in (queue, log)] == ["2s", "2s"]
        assert await store._read(allowed_silence) == "2s"
    finally:
        await store.close()


async def allowed_silence(connection: Connection) -> str:
    found: str = await connection.fetchval("SHOW idle_in_transaction_session_timeout")
    return found


async def hold(postgres_engine: PostgresEngine, delivery: int, silence: float) -> Connection:
    """A connection as a server's that was frozen while it settled a delivery."""
    connection = await Database(postgres_engine.url, silence).connect()
    await connection.execute("BEGIN")
    await connection.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR NO KEY UPDATE", delivery)
    return connection


async def test_others_renew_their_leases_when_a_silent_server_is_cut_off(
    store: Store, postgres_engine: PostgresEngine
) -> None:
    await store.create_endpoint(endpoint())
    await store.record([created()])
    held = await claim_one(store)
    frozen = await hold(postgres_engine, held.delivery_id, silence=0.2)
    assert await store.renew_claims([held], lease=LEASE) == [True]
    with pytest.raises(FAILURES):
        await frozen.execute("COMMIT")
    assert await store.settle([settlement(held)], now=NOW) == [True]


async def test_who_frees_leases_that_ran_out_does_not_wait_for_a_silent_server(
    postgres_engine: PostgresEngine, tmp_path: Path
) -> None:
    real_time = RealTime()
    store = await postgres_engine.open(tmp_path, real_time)
    await store.create_endpoint(endpoint())
    await store.record([created("job_1"), created("job_2")])
    first, second = await claim(store)
    frozen = await hold(postgres_engine, first.delivery_id, silence=60)
    try:
        real_time.advance(LEASE)
        assert [again.delivery_id for again in await claim(store)] == [second.delivery_id]
    finally:
        await frozen.close()
    assert [again.delivery_id for again in await claim(store)] == [first.delivery_id], "it is looked at again"
    await store.close()
