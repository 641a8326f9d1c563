"""Limits per endpoint, kept by scheduling: how many at once, how many per second, in which order."""

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.server.rig import DELIVERIES, ENDPOINTS, HOOK, FakeSender, Post, Rig, answered, serving
from tests.waiting import eventually
from video_translation_server.model import Outcome

START = 1_800_000_000.0
OTHER = "https://other.example/hook"
THIRD = "https://third.example/hook"
PENDING: dict[str, Any] = {"events": ["video_translate.pending"]}
ENDLESS: dict[str, Any] = {"simulation": {"duration_seconds": 100_000}}


class Gate:
    """A receiver that answers nobody until it opens, and knows how many it had at once."""

    def __init__(self, sender: FakeSender) -> None:
        self.peaks: Counter[str] = Counter()
        self._sender = sender
        self._opened = asyncio.Event()
        sender.answer = self._answer

    def now(self, url: str) -> int:
        return sum(post.url == url for post in self._sender.in_flight)

    async def open(self) -> None:
        """Let everybody through; return when those who waited are gone."""
        self._opened.set()
        await eventually(lambda: not self._sender.in_flight)

    async def _answer(self, _: Post) -> Outcome:
        self.peaks |= Counter(post.url for post in self._sender.in_flight)
        await self._opened.wait()
        return answered()


async def created(rig: Rig, count: int) -> None:
    for _ in range(count):
        await rig.translate(**ENDLESS)


async def test_each_endpoint_has_its_own_limit(tmp_path: Path) -> None:
    async with serving(tmp_path, max_in_flight=3) as rig:
        gate = Gate(rig.sender)
        await rig.register(HOOK, max_in_flight=1)
        await rig.register(OTHER)
        await rig.register(THIRD, max_in_flight=5)
        await created(rig, 8)
        await eventually(lambda: len(rig.sender.in_flight) == 9)
        assert [gate.now(url) for url in (HOOK, OTHER, THIRD)] == [1, 3, 5]
        await gate.open()
        await rig.quiet()
        assert gate.peaks == {HOOK: 1, OTHER: 3, THIRD: 5}
        assert Counter(post.url for post in rig.sender.posts) == {HOOK: 8, OTHER: 8, THIRD: 8}


async def test_a_limit_that_is_changed_holds_from_the_next_claim_on(rig: Rig) -> None:
    gate = Gate(rig.sender)
    await rig.register(max_in_flight=1)
    await created(rig, 6)
    await eventually(lambda: gate.now(HOOK) == 1)
    await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"max_in_flight": 4})
    await eventually(lambda: gate.now(HOOK) == 4)
    await gate.open()
    await rig.quiet()
    assert len(rig.sender.posts) == 6


async def test_a_rate_limit_spaces_attempts_out_and_holds_up_nobody_else(rig: Rig) -> None:
    await rig.register(HOOK, rate_limit=2)
    await rig.register(OTHER)
    await created(rig, 6)
    await rig.quiet()
    assert Counter(post.url for post in rig.sender.posts) == {HOOK: 1, OTHER: 6}
    for _ in range(12):
        await rig.advance(0.25)
    instants = [post.at - START for post in rig.sender.posts if post.url == HOOK]
    assert instants == [0, 0.5, 1, 1.5, 2, 2.5], "two a second, and not one later than it may be"


async def test_a_rate_below_one_is_a_pause_between_two(rig: Rig) -> None:
    await rig.register(rate_limit=0.1)
    await created(rig, 3)
    await rig.quiet()
    for _ in range(25):
        await rig.advance(1)
    assert [post.at - START for post in rig.sender.posts] == [0, 10, 20]


async def test_a_rate_limit_counts_retries_too(rig: Rig) -> None:
    rig.sender.answer = lambda post: answered(500 if post.at < START + 3 else 204)
    await rig.register(rate_limit=1)
    await created(rig, 3)
    await rig.quiet()
    for _ in range(20):
        await rig.advance(0.5)
    instants = [post.at - START for post in rig.sender.posts]
    assert len(instants) == 6
    assert all(later - earlier >= 1 for earlier, later in pairwise(instants)), instants


async def test_a_rate_that_was_not_used_is_not_saved_up(rig: Rig) -> None:
    await rig.register(rate_limit=1)
    await rig.advance(3600)
    await created(rig, 3)
    await rig.quiet()
    assert len(rig.sender.posts) == 1


async def test_without_order_the_events_of_a_job_go_as_they_come(rig: Rig) -> None:
    await rig.register(HOOK, ordering="none")
    await rig.register(OTHER)
    rig.sender.answer = lambda post: answered(500 if post.sequence == 1 else 204)
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    for seconds in (1, 3, 6):
        await rig.advance(seconds)
    assert rig.sender.sequences(job_id, HOOK)[:2] == [1, 2], "running did not wait for pending"
    assert 3 in rig.sender.sequences(job_id, HOOK)
    assert set(rig.sender.sequences(job_id, OTHER)) == {1}, "where there is an order, it does"


async def test_without_order_several_of_a_job_are_in_flight_at_once(rig: Rig) -> None:
    gate = Gate(rig.sender)
    await rig.register(ordering="none")
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    for count, seconds in ((1, 1), (2, 9)):
        await eventually(lambda count=count: gate.now(HOOK) == count)  # type: ignore[misc]
        rig.clock.advance(seconds)
    await eventually(lambda: gate.now(HOOK) == 3)
    await gate.open()
    await rig.quiet()
    assert rig.sender.sequences(job_id) == [1, 2, 3]


async def test_a_moved_endpoint_gets_what_is_pending_at_its_new_url(rig: Rig) -> None:
    secret = (await rig.register(HOOK))["secret"]
    rig.sender.answer = lambda post: answered(500 if post.url == HOOK else 204)
    [job_id] = await rig.translate(simulation={"duration_seconds": 10})
    await rig.quiet()
    await rig.advance(1)
    before = len(rig.sender.posts)
    answer = await rig.http.patch(f"{ENDPOINTS}/ep_1", json={"url": OTHER})
    assert answer.json()["data"]["url"] == OTHER
    await rig.quiet()
    assert rig.sender.sequences(job_id, OTHER) == [1, 2], "at once: the new place owes nothing to the old one"
    await rig.advance(9)
    assert rig.sender.sequences(job_id, OTHER) == [1, 2, 3]
    assert {post.url for post in rig.sender.posts[before:]} == {OTHER}
    assert secret not in str(rig.logs)


async def test_an_endpoint_deleted_with_deliveries_pending_gets_no_more(rig: Rig) -> None:
    await rig.register(HOOK, rate_limit=1)
    await rig.register(OTHER)
    gate = Gate(rig.sender)
    [job_id, *_] = await rig.translate("English", "German", "French", simulation={"duration_seconds": 10})
    await eventually(lambda: gate.now(HOOK) == 1)
    rig.clock.advance(1)
    await eventually(lambda: gate.now(HOOK) == 2)  # by now two are in flight, one waits for its turn
    assert (await rig.http.delete(f"{ENDPOINTS}/ep_1")).status_code == 200
    await gate.open()
    await rig.quiet()
    await rig.advance(9)
    await rig.advance(86_400)
    assert sum(post.url == HOOK for post in rig.sender.posts) == 2
    assert rig.sender.sequences(job_id, OTHER) == [1, 2, 3]
    found = (await rig.http.get(DELIVERIES, params={"endpoint_id": "ep_1", "limit": 100})).json()["data"]
    assert {delivery["state"] for delivery in found} == {"dead"}
    verdicts = Counter(line["verdict"] for line in rig.lines("attempt") if line["endpoint_id"] == "ep_1")
    assert verdicts == {"claim lost": 2}
