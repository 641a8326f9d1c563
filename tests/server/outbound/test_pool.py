"""Connections without a network: which are kept and for how long, and when each gives up."""

import asyncio

import pytest

from tests.server.outbound.conftest import Move
from tests.server.outbound.servers import EMPTY_OK, LONG
from tests.server.outbound.unplugged import Transport, ask, wire
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound.pool import Pool
from video_translation_server.outbound.wire import Wire


async def idle(pool: Pool, host: str = "a.test") -> tuple[Wire, Transport]:
    made, transport = wire(pool, host)
    answered = ask(made)
    made.data_received(EMPTY_OK)
    assert (await answered).status == 200
    return made, transport


async def end(pool: Pool, *transports: tuple[Wire, Transport]) -> None:
    for made, _ in transports:
        made.connection_lost(None)
    await pool.close()


async def test_the_connection_that_was_used_last_is_taken_first_and_an_old_one_never() -> None:
    pool = Pool(LONG)
    wires = [await idle(pool) for _ in range(3)]
    now = asyncio.get_running_loop().time()
    assert pool.take(("http", "b.test", 80), now) is None
    assert pool.take(("http", "a.test", 80), now) is wires[2][0]
    assert pool.take(("http", "a.test", 80), now + LONG) is None
    assert wires[1][1].closed == "closed"
    assert pool.take(("http", "a.test", 80), now) is wires[0][0]
    assert pool.take(("http", "a.test", 80), now) is None
    await end(pool, *wires)


async def test_the_pool_keeps_so_many_per_origin_and_in_all() -> None:
    pool = Pool(LONG, max_idle=3, max_idle_per_origin=2)
    wires = [await idle(pool, host) for host in ("a", "a", "a", "b", "c")]
    assert [transport.closed for _, transport in wires] == ["closed", "closed", "", "", ""]
    await end(pool, *wires)


async def test_the_sweep_closes_what_was_idle_for_too_long(move: Move) -> None:
    pool = Pool(100)
    wires = [await idle(pool)]
    await move(60)
    wires.append(await idle(pool, "b.test"))
    await move(30)
    assert [transport.closed for _, transport in wires] == ["", ""]
    await move(20)
    assert [transport.closed for _, transport in wires] == ["closed", ""]
    await move(60)
    assert [transport.closed for _, transport in wires] == ["closed", "closed"]
    await end(pool, *wires)


async def test_bytes_before_the_request_are_no_answer_to_it() -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    made.data_received(EMPTY_OK)
    outcome = await ask(made)
    assert (outcome.kind, outcome.status) == (OutcomeKind.PROTOCOL, None)
    assert outcome.detail == "the answer is not valid HTTP: it came before the request"
    assert (transport.closed, transport.written) == ("aborted", [])
    await end(pool, (made, transport))


async def test_a_connection_that_is_lost_before_the_request_is_a_reset() -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    made.connection_lost(None)
    outcome = await ask(made)
    assert (outcome.kind, transport.written) == (OutcomeKind.RESET, [])
    await pool.close()


@pytest.mark.parametrize("deadlines", [(20, 100), (10, 20), (100, 20)], ids=repr)
async def test_a_deadline_is_the_requests_own_on_a_connection_that_has_carried_another(
    move: Move, deadlines: tuple[float, float]
) -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    first, second = deadlines
    answered = ask(made, first)
    made.data_received(EMPTY_OK)
    assert (await answered).status == 200
    assert pool.take(made.origin, asyncio.get_running_loop().time()) is made
    waiting = ask(made, second)
    await move(second - 1)
    assert not waiting.done()
    await move(2)
    assert (await waiting).kind is OutcomeKind.READ_TIMEOUT
    await end(pool, (made, transport))


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_cancelling_at_any_instant_keeps_the_answered_and_closes_the_other(*, answered: bool) -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    exchange = ask(made)
    if answered:
        made.data_received(EMPTY_OK)
    assert exchange.cancel() is not answered
    assert transport.closed == ("" if answered else "aborted")
    taken = pool.take(made.origin, asyncio.get_running_loop().time())
    assert taken is (made if answered else None)
    await end(pool, (made, transport))
