"""Names to addresses: single flight, kept for a while, and no stuck lookup delays another name."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from tests.server.outbound.servers import LONG
from video_translation_server.outbound import PoolResolver
from video_translation_server.outbound.resolver import system_lookup


class Lookups:
    """A lookup that counts, and can be held up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Event()
        self.held = threading.Event()
        self.held.set()
        self.error: OSError | None = None

    def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        self.begun.set()
        assert self.held.wait(LONG)
        if self.error is not None:
            raise self.error
        return (f"192.0.2.{len(self.asked)}",)


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


@pytest.fixture
async def make(lookups: Lookups) -> AsyncIterator[Callable[..., PoolResolver]]:
    made: list[PoolResolver] = []

    def build(**options: object) -> PoolResolver:
        made.append(PoolResolver(lookup=lookups, **options))  # type: ignore[arg-type]
        return made[-1]

    yield build
    lookups.held.set()
    for resolver in made:
        await resolver.close()


async def test_one_lookup_serves_all_who_wait(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    lookups.held.clear()
    resolver = make()
    tasks = [asyncio.create_task(resolver.resolve("a.test")) for _ in range(5)]
    await asyncio.to_thread(lookups.begun.wait, LONG)
    tasks[0].cancel()
    lookups.held.set()
    assert await asyncio.gather(*tasks[1:]) == [("192.0.2.1",)] * 4
    assert lookups.asked == ["a.test"]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_an_answer_is_kept_for_its_time(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    now = 100.0
    resolver = make(ttl=30.0, monotonic=lambda: now)
    assert await resolver.resolve("a.test") == ("192.0.2.1",)
    now = 129.9
    assert await resolver.resolve("a.test") == ("192.0.2.1",)
    now = 130.0
    assert await resolver.resolve("a.test") == ("192.0.2.2",)
    assert lookups.asked == ["a.test"] * 2


async def test_a_failure_is_told_and_not_kept(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    resolver = make()
    lookups.error = socket.gaierror(socket.EAI_AGAIN, "try again")
    with pytest.raises(OSError, match="try again"):
        await resolver.resolve("a.test")
    lookups.error = None
    assert await resolver.resolve("a.test") == ("192.0.2.2",)


async def test_the_oldest_answers_go_first(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    resolver = make(max_names=2)
    for host in ("a.test", "b.test", "c.test", "b.test", "a.test"):
        await resolver.resolve(host)
    assert lookups.asked == ["a.test", "b.test", "c.test", "a.test"]


async def test_a_stuck_lookup_delays_no_other_name(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    resolver = make(threads=1)
    lookups.held.clear()
    stuck = asyncio.create_task(resolver.resolve("stuck.test"))
    await asyncio.to_thread(lookups.begun.wait, LONG)
    for name in ("localhost", "localhost.", "a.localhost"):
        assert await resolver.resolve(name) == ("127.0.0.1", "::1")
    assert lookups.asked == ["stuck.test"]
    lookups.held.set()
    await stuck


async def test_after_close_nothing_is_looked_up(make: Callable[..., PoolResolver], lookups: Lookups) -> None:
    resolver = make()
    await resolver.close()
    with pytest.raises(OSError, match="closed"):
        await resolver.resolve("a.test")
    assert lookups.asked == []


def test_the_systems_lookup_gives_each_address_once() -> None:
    assert system_lookup("127.0.0.1") == ("127.0.0.1",)
    assert system_lookup("::1") == ("::1",)


def test_a_name_that_cannot_be_encoded_is_a_failed_lookup() -> None:
    with pytest.raises(OSError, match="not a valid host name"):
        system_lookup("a" * 64 + "é.test")
