"""Answers that were read before are not read anew, and come to the same."""

import pytest

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import LONG, always, to
from tests.server.outbound.unplugged import Kept, ask, wire
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound import AddressPolicy, Http1Sender
from video_translation_server.outbound.memory import Memory

WHOLE = [
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]
TO_BE_READ = [
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nbegun",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600 + b"\r\nContent-Length: 0\r\n\r\n",
]


async def answered(data: bytes, memory: Memory, address: str = "127.0.0.1") -> tuple[Outcome | None, bool, str]:
    """What a new connection makes of an answer: the outcome, whether it can be used again, and how it was closed."""
    kept = Kept()
    made, transport = wire(kept, address=address, memory=memory)
    exchange = ask(made)
    made.data_received(data)
    found = await exchange if exchange.done() else None
    exchange.cancel()
    return found, made in kept.rests, transport.closed


@pytest.mark.parametrize("data", WHOLE)
async def test_a_whole_answer_is_remembered_and_comes_to_the_same(data: bytes) -> None:
    memory = Memory()
    first = await answered(data, memory)
    assert list(memory) == [("127.0.0.1", data)]
    second = await answered(data, memory)
    assert second == first
    assert second[0] is memory["127.0.0.1", data]
    assert first == await answered(data, Memory())
    assert first[1:] == (True, "")


@pytest.mark.parametrize("data", TO_BE_READ)
async def test_what_ends_a_connection_or_is_not_whole_is_read_each_time(data: bytes) -> None:
    memory = Memory()
    await answered(data, memory)
    assert memory == {}


async def test_an_outcome_names_the_address_that_answered() -> None:
    memory = Memory()
    outcomes = [(await answered(WHOLE[0], memory, address))[0] for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1")]
    assert [one and one.address for one in outcomes] == ["10.0.0.1", "10.0.0.2", "10.0.0.1"]


async def test_the_rest_of_an_answer_is_never_taken_for_a_whole_one() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    memory = Memory()
    await answered(whole, memory)
    made, _ = wire(Kept(), memory=memory)
    exchange = ask(made)
    made.data_received(b"HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n" % len(whole))
    assert not exchange.done()
    made.data_received(whole)
    outcome = await exchange
    assert (outcome.status, outcome.body) == (500, whole)


async def test_a_connection_goes_on_behind_a_remembered_answer() -> None:
    made, transport = wire(Kept(), memory=Memory())
    for data in (WHOLE[1], WHOLE[1], WHOLE[2], WHOLE[1], WHOLE[2], TO_BE_READ[0]):
        exchange = ask(made)
        made.data_received(data)
        assert (await exchange).status == int(data[9:12])
    assert transport.closed == "closed"


async def test_behind_a_remembered_answer_a_deadline_finds_nothing_of_it() -> None:
    made, _ = wire(Kept(), memory=Memory())
    for _ in range(2):
        exchange = ask(made)
        made.data_received(WHOLE[0])
        await exchange
    outcome = await ask(made, deadline=0)
    assert (outcome.kind, outcome.status) == (OutcomeKind.READ_TIMEOUT, None)
    assert outcome.detail.startswith("no answer came")


async def test_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(3000):
        await answered(b"HTTP/1.1 200 OK\r\nDate: %d\r\nContent-Length: 0\r\n\r\n" % number, memory)
    assert 0 < len(memory) <= 1024


async def test_each_sender_remembers_by_its_own_limits(serve: Serve) -> None:
    server = await serve(always(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"a" * 40))
    policy = AddressPolicy(allow_loopback=True)
    senders = [
        Http1Sender(policy, max_body=max_body, keep_body=keep_body)
        for max_body, keep_body in ((100, 50), (100, 10), (20, 10))
    ]
    for _ in range(2):
        outcomes = [await sender.post(to(server.port), {}, b"x", deadline=LONG) for sender in senders]
        assert [(len(one.body), bool(one.detail)) for one in outcomes] == [(40, False), (10, False), (10, True)]
    for sender in senders:
        await sender.close()
