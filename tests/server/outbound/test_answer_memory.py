"""Answers that were read before are not read anew, and say the same."""

import pytest

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import LONG, always, to
from video_translation_server.outbound import AddressPolicy, Http1Sender
from video_translation_server.outbound.answer import Answer, Memory

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


def seen(answer: Answer) -> tuple[object, ...]:
    return (answer.status, answer.retry_after, answer.body, answer.ended, answer.cut, answer.fault, answer.reusable)


@pytest.mark.parametrize("data", WHOLE)
def test_a_whole_answer_is_remembered_and_says_the_same(data: bytes) -> None:
    memory: Memory = {}
    first, second = Answer(100, 50, memory), Answer(100, 50, memory)
    assert first.feed(data)
    assert list(memory) == [data]
    assert second.feed(data)
    assert seen(second) == seen(first)
    assert second.received == first.received


@pytest.mark.parametrize("data", TO_BE_READ)
def test_what_ends_a_connection_or_is_not_whole_is_read_each_time(data: bytes) -> None:
    memory: Memory = {}
    Answer(100, 50, memory).feed(data)
    assert memory == {}


def test_the_rest_of_an_answer_is_never_taken_for_a_whole_one() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    memory: Memory = {}
    Answer(100, 50, memory).feed(whole)
    answer = Answer(100, 90, memory)
    assert not answer.feed(b"HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n" % len(whole))
    assert answer.feed(whole)
    assert (answer.status, answer.body) == (500, whole)


def test_a_connection_goes_on_behind_a_remembered_answer() -> None:
    memory: Memory = {}
    answer = Answer(100, 50, memory)
    for data in (WHOLE[1], WHOLE[1], WHOLE[2], WHOLE[1], WHOLE[2]):
        answer.begin()
        assert answer.feed(data)
        assert answer.reusable
        assert answer.status == int(data[9:12])


def test_memory_is_bounded() -> None:
    memory: Memory = {}
    for number in range(1000):
        Answer(100, 50, memory).feed(b"HTTP/1.1 200 OK\r\nDate: %d\r\nContent-Length: 0\r\n\r\n" % number)
    assert 0 < len(memory) <= 256


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
