"""Random answers: the reader never raises, the sender always gives an outcome in time, and nothing is mixed up."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, Server, to
from tests.server.outbound.unplugged import Kept, ask, wire
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound import AddressPolicy, Http1Sender
from video_translation_server.outbound.answer import Answer
from video_translation_server.outbound.exchange import Exchange
from video_translation_server.outbound.memory import Memory

pytestmark = pytest.mark.fuzz

DEADLINE = 0.05
SECOND = b"HTTP/1.1 202 Second\r\nContent-Length: 0\r\n\r\n"
FRAGMENTS = [
    EMPTY_OK,
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 X\r\n\r\n",
    b"HTTP/1.1 100 C\r\n\r\n",
    b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.0 500 X\r\nConnection: keep-alive\r\n",
    b"HTTP/1.1 ",
    b"Content-Length: 2\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Retry-After: \xff1\r\n",
    b"X: y\r\n",
    b"X:\r\n y\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"hi",
    b"2\r\nhi\r\n",
    b"2;a=b\r\nhi\r\n",
    b"0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\x00",
    b":",
    b"a" * 3000,
]
fragments = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=12), max_size=12)
# Most random lists fail at their first byte; these begin well.
answers = fragments | fragments.map(lambda rest: [b"HTTP/1.1 200 OK\r\n", *rest])
ends = st.sampled_from(["fin", "rst", "half", "hold"])


def read(pieces: list[bytes]) -> tuple[object, ...]:
    """What an answer comes to that arrives in these pieces, and is followed by the end of the connection."""
    answer = Answer(max_body=4000, keep_body=2000)
    done = any(answer.feed(piece) for piece in pieces if piece)
    if not done:
        answer.eof()
    assert (answer.status is not None) >= answer.ended
    assert len(answer.body) <= 2000
    assert not (answer.fault and answer.ended)
    retry_after = answer.retry_after if answer.status else None
    return answer.ended, answer.cut, answer.status, retry_after, answer.body, bool(answer.fault)


@given(parts=answers)
@settings(max_examples=max(200, settings().max_examples), deadline=None)
def test_an_answer_is_the_same_however_it_is_cut_into_pieces(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    expected = read([whole])
    assert read(parts) == expected
    assert read([whole[at : at + 1] for at in range(len(whole))]) == expected


class Pair:
    """The same connection twice, once with the memory that others share; both must always come to the same."""

    def __init__(self, memory: Memory) -> None:
        self._kept = Kept()
        (first, one), (second, other) = (wire(self._kept, memory=shared) for shared in (memory, Memory()))
        self._wires, self._transports = (first, second), (one, other)

    async def take(self, pieces: list[bytes]) -> bool:
        """One answer in its pieces; whether the connection may carry the next one."""
        self._kept.rests.clear()
        exchanges = [ask(made) for made in self._wires]
        for at, piece in enumerate(pieces, 1):
            for made in self._wires:
                made.data_received(piece)
            if self._compare(exchanges):
                # Bytes that come behind an answer close its connection.
                return at == len(pieces) and self._wires[0] in self._kept.rests
        for made in self._wires:
            made.eof_received()
        assert self._compare(exchanges)
        return False

    def _compare(self, exchanges: list[Exchange]) -> bool:
        """Whether there is an outcome."""
        first, second = (exchange.result() if exchange.done() else None for exchange in exchanges)
        assert first == second
        assert len(self._kept.rests) in (0, 2)
        assert self._transports[0].closed == self._transports[1].closed
        return first is not None


# Few and whole, so that most of them come again: on the same connection, on another, or at the end of a longer one.
known = st.sampled_from(
    [
        EMPTY_OK,
        EMPTY_OK + b"\r\n",
        EMPTY_OK + b"\r",
        b"\r\n" + EMPTY_OK,
        EMPTY_OK + EMPTY_OK,
        EMPTY_OK.replace(b"1.1", b"1.0"),
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 C\r\n\r\n",
        b"HTTP/1.1 100 C\r\nRetry-After: 1\r\n\r\n" + EMPTY_OK,
        b"HTTP/1.1 204 X\r\n\r\n",
        b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(EMPTY_OK),
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(EMPTY_OK), EMPTY_OK),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nRetry-After: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"2\r\nhi\r\n0\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
    ]
)
one_answer = st.lists(known, min_size=1, max_size=3) | answers.map(lambda parts: [part for part in parts if part])
connections = st.lists(st.lists(one_answer, min_size=1, max_size=5), min_size=1, max_size=5)


@given(connections=connections)
@example(connections=[[[b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n", EMPTY_OK]], [[EMPTY_OK]]])
@example(connections=[[[EMPTY_OK]], [[b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n", EMPTY_OK]]])
@example(connections=[[[EMPTY_OK + b"\r"], [b"\n" + EMPTY_OK]], [[EMPTY_OK]]])
@settings(max_examples=max(200, settings().max_examples), deadline=None)
def test_a_memory_that_connections_share_changes_nothing_that_they_read(
    connections: list[list[list[bytes]]],
) -> None:
    asyncio.run(answer(connections))


async def answer(connections: list[list[list[bytes]]]) -> None:
    memory = Memory()
    for _ in range(2):  # the second time with all that the first has left
        for answered in connections:
            pair = Pair(memory)
            for pieces in answered:
                if not await pair.take(pieces):
                    break


async def talk(parts: list[bytes], end: str) -> None:
    """One random answer, and then a request whose own answer must come."""

    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            for part in parts:
                await peer.say(part)
            if end == "rst":
                peer.reset()
            if end == "half":
                peer.writer.write_eof()
                await peer.eof()
            if end != "hold":
                return
            await peer.request()
        await peer.say(SECOND)
        await peer.eof()

    server = Server(handle)
    await server.start("127.0.0.1", None)
    sender = Http1Sender(AddressPolicy(allow_loopback=True))
    before = len(asyncio.all_tasks())
    try:
        # The deadline ends it; were there none, patience would, and fail. How soon is the machine's affair.
        outcome = await asyncio.wait_for(sender.post(to(server.port), {}, b"x", deadline=DEADLINE), LONG)
        assert isinstance(outcome, Outcome)
        assert outcome.kind not in (OutcomeKind.BLOCKED, OutcomeKind.DNS, OutcomeKind.TLS)
        assert (outcome.kind is OutcomeKind.STATUS) <= (outcome.status is not None)
        second = await sender.post(to(server.port), {}, b"x", deadline=LONG)
        assert (second.kind, second.status) == (OutcomeKind.STATUS, 202), second.detail
    finally:
        await sender.close()
        await server.stop()
    assert len(asyncio.all_tasks()) <= before


@given(parts=answers, end=ends)
@example(parts=[EMPTY_OK, EMPTY_OK], end="hold")
@example(parts=[EMPTY_OK, b"\r\n"], end="hold")
@example(parts=[b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello"], end="hold")
@settings(max_examples=settings().max_examples, deadline=None)
def test_an_outcome_always_and_no_connection_reused_after_garbage(parts: list[bytes], end: str) -> None:
    asyncio.run(talk(parts, end))
