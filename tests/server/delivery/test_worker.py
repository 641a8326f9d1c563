"""The delivery loop: how much at once, what becomes of leases, how it stops, what it survives."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.server.rig import ENDPOINTS, HOOK, FakeSender, Post, Rig, SteppedClock, answered, never, seeded_ids, serving
from tests.server.store.builders import claim, created, deliveries_of, endpoint
from tests.server.store.engines import RealTime
from tests.waiting import PATIENCE, eventually
from video_translation_server import loops, parts
from video_translation_server.delivery.worker import Worker
from video_translation_server.errors import StoreError
from video_translation_server.model import DEFAULT_WORKSPACE, Claim, Outcome
from video_translation_server.probe import unobserved
from video_translation_server.store import open_store

OTHER = "https://other.example/hook"
ENDLESS = {"simulation": {"duration_seconds": 100_000}}


class Gate:
    """A receiver that answers nobody until it opens, and counts who waits."""

    def __init__(self, sender: FakeSender) -> None:
        self.peaks: Counter[str] = Counter()
        self._sender = sender
        self._open = asyncio.Event()
        sender.answer = self._answer

    async def open(self) -> None:
        """Let everybody through; return when those who waited are gone."""
        self._open.set()
        await eventually(lambda: not self._sender.in_flight)

    async def _answer(self, _: Post) -> Outcome:
        waiting = Counter(post.url for post in self._sender.in_flight)
        self.peaks |= waiting
        await self._open.wait()
        return answered()


async def nudged(rig: Rig, happened: Any) -> None:
    """Let the loops look at the store again and again until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        rig.clock.advance(rig.settings.poll_interval)
        await asyncio.sleep(0.01)


async def test_at_most_so_many_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrency=5, max_in_flight=3) as rig:
        gate = Gate(rig.sender)
        await rig.register(HOOK)
        await rig.register(OTHER)
        for _ in range(8):
            await rig.translate(**ENDLESS)
        await eventually(lambda: len(rig.sender.in_flight) == 5)
        rig.clock.advance(60)
        await gate.open()
        await rig.quiet()
        assert rig.sender.peak == 5
        assert max(gate.peaks.values()) == 3
        assert len(rig.sender.posts) == 16
        assert len({(post.url, post.job) for post in rig.sender.posts}) == 16


async def test_one_endpoint_takes_no_more_than_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrency=100, max_in_flight=2) as rig:
        gate = Gate(rig.sender)
        await rig.register()
        for _ in range(6):
            await rig.translate(**ENDLESS)
        await eventually(lambda: len(rig.sender.in_flight) == 2)
        await gate.open()
        await rig.quiet()
        assert gate.peaks == {HOOK: 2}
        assert len(rig.sender.posts) == 6


async def test_endpoints_take_turns_where_room_is_short(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrency=2) as rig:
        gate = Gate(rig.sender)
        await rig.register(HOOK)
        await rig.translate(**ENDLESS)
        await rig.translate(**ENDLESS)
        await eventually(lambda: len(rig.sender.in_flight) == 2)
        await rig.register(OTHER)
        for _ in range(3):
            await rig.translate(**ENDLESS)
        await gate.open()
        await rig.quiet()
        assert {post.url for post in rig.sender.posts[2:4]} == {HOOK, OTHER}


async def test_room_that_comes_after_the_bell_is_used_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, concurrency=1, poll_interval=86_400) as rig:
        settle = rig.store.settle

        async def late(*arguments: Any, **options: Any) -> list[bool]:
            held = await settle(*arguments, **options)
            await eventually(lambda: rig.clock.resting() == len(set(LOOPS.values())) - 1)  # all rest but this loop
            return held

        monkeypatch.setattr(rig.store, "settle", late)
        await rig.register()
        for _ in range(4):
            await rig.translate(**ENDLESS)
        await eventually(lambda: len(rig.lines("attempt")) == 4)
        assert rig.sender.peak == 1


async def test_a_lease_is_renewed_while_its_attempt_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, lease=0.15, attempt_timeout=0.1, poll_interval=1) as rig:
        renewed: list[bool] = []
        renew, real_time = rig.store.renew_claims, RealTime()
        monkeypatch.setattr(rig.store, "_lease_time", real_time)

        async def spy(claims: Sequence[Claim], *, lease: float) -> list[bool]:
            real_time.advance(lease / 3)
            held = await renew(claims, lease=lease)
            renewed.extend(held)
            return held

        monkeypatch.setattr(rig.store, "renew_claims", spy)
        gate = Gate(rig.sender)
        await rig.register()
        await rig.translate(**ENDLESS)
        await nudged(rig, lambda: len(renewed) >= 12)  # four leases long
        assert all(renewed)
        assert len(rig.sender.posts) == 1, "nobody else took it"
        await gate.open()
        await rig.quiet()
        assert [line["verdict"] for line in rig.lines("attempt")] == ["delivered"]


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ZeroDivisionError()], ids=["store", "bug"])
async def test_a_renewal_that_fails_aborts_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with serving(tmp_path, lease=0.15, attempt_timeout=0.1, poll_interval=1) as rig:
        renewed: list[bool] = []
        renew, fails, real_time = rig.store.renew_claims, iter([error]), RealTime()
        monkeypatch.setattr(rig.store, "_lease_time", real_time)

        async def once(claims: Sequence[Claim], *, lease: float) -> list[bool]:
            real_time.advance(lease / 3)
            for failure in fails:
                raise failure
            held = await renew(claims, lease=lease)
            renewed.extend(held)
            return held

        monkeypatch.setattr(rig.store, "renew_claims", once)
        gate = Gate(rig.sender)
        await rig.register()
        await rig.translate(**ENDLESS)
        await eventually(lambda: len(renewed) >= 6)
        assert all(renewed), "the lease outlives one renewal that failed"
        [line] = rig.lines("leases not renewed; tried again")
        is_bug = not isinstance(error, StoreError)
        assert (line["log_level"], line.get("exc_info", False)) == ("error" if is_bug else "warning", is_bug)
        assert (len(rig.sender.posts), rig.sender.aborted) == (1, 0)
        await gate.open()
        await rig.quiet()
        assert [line["verdict"] for line in rig.lines("attempt")] == ["delivered"]
        assert not rig.lines("loop failed; it starts again")


async def test_a_lost_lease_makes_a_late_answer_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, lease=0.15, attempt_timeout=0.1, poll_interval=1) as rig:

        async def not_renewed(claims: Sequence[Claim], **_: float) -> list[bool]:
            return [False for _ in claims]

        monkeypatch.setattr(rig.store, "renew_claims", not_renewed)
        late = asyncio.Event()

        async def answer(_: Post) -> Outcome:
            if len(rig.sender.posts) == 1:
                await late.wait()
                return answered(500)
            return answered()

        rig.sender.answer = answer
        await rig.register()
        await rig.translate(**ENDLESS)
        await nudged(rig, lambda: rig.lines("attempt"))
        late.set()
        await eventually(lambda: len(rig.lines("attempt")) == 2)
        assert [line["verdict"] for line in rig.lines("attempt")] == ["delivered", "claim lost"]
        [delivery] = await deliveries_of(rig.store, DEFAULT_WORKSPACE, "evt_1")
        assert (delivery.state, delivery.attempts) == ("delivered", 1)


class Frozen:
    """`time.monotonic`, which a test may have passed by: what a process sees that was frozen for a while."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.seconds


@pytest.mark.parametrize("frozen_for", [0.0, 31.0])
async def test_what_was_claimed_ahead_is_given_back_unsent_once_its_lease_has_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen_for: float
) -> None:
    frozen = Frozen()
    monkeypatch.setattr(parts, "Worker", partial(Worker, monotonic=frozen))
    async with serving(tmp_path, concurrency=1, lease=30) as rig:
        answers = [answered()]
        lost_before_sent: list[list[Any]] = []

        async def answer(post: Post) -> Outcome:
            if post.job == "vt_3":
                lost_before_sent.append(rig.lines("not sent"))
            return answers.pop() if answers else await never() if post.job == "vt_3" else await gate

        gate: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        rig.sender.answer = answer
        await rig.register()
        await rig.translate("English", "German", "French", "Czech", **ENDLESS)
        await eventually(lambda: rig.sender.sequences("vt_2"))  # one was settled, so one is claimed ahead of its time
        await rig.quiet()
        frozen.seconds = frozen_for
        gate.set_result(answered())
        await eventually(lambda: rig.sender.sequences("vt_3"))  # long before its first lease ends in the store
        [lost] = lost_before_sent
        assert [(line["job_id"], line["sequence"], line["verdict"]) for line in lost] == (
            [("vt_3", 1, "claim lost")] if frozen_for else []
        )


async def test_what_waits_to_be_sent_is_let_go_of_when_its_renewal_tells_that_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, concurrency=1, lease=3, attempt_timeout=0.1, poll_interval=1) as rig:
        answers = [answered()]

        async def lost(claims: Sequence[Claim], **_: float) -> list[bool]:
            return [False for _ in claims]

        async def answer(_: Post) -> Outcome:
            return answers.pop() if answers else await never()

        monkeypatch.setattr(rig.store, "renew_claims", lost)
        rig.sender.answer = answer
        await rig.register()
        await rig.translate("English", "German", "French", **ENDLESS)
        await eventually(lambda: rig.lines("not sent"))
        assert [line["job_id"] for line in rig.lines("not sent")][:1] == ["vt_3"]
        assert not rig.sender.sequences("vt_3")


async def test_what_is_recorded_while_there_is_room_is_sent_without_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as rig:
        claimed: list[str] = []
        claim = rig.store.claim

        async def watched(*arguments: Any, **options: Any) -> list[Claim]:
            claims = await claim(*arguments, **options)
            claimed.extend(one.event_id for one in claims)
            return claims

        monkeypatch.setattr(rig.store, "claim", watched)
        await rig.register()
        await rig.translate(simulation={"duration_seconds": 30})
        await rig.advance(300)
        await rig.advance(300)
        assert rig.sender.sequences("vt_1") == [1, 2, 3]
        assert [line["verdict"] for line in rig.lines("attempt")] == ["delivered"] * 3
        assert claimed == []


@pytest.mark.parametrize("in_line", [1, 2])
async def test_who_stands_in_line_is_not_passed_by_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_line: int
) -> None:
    async with serving(tmp_path, concurrency=1, poll_interval=86_400) as rig:
        gate, post, recording = Gate(rig.sender), rig.sender.post, list[asyncio.Task[list[bool]]]()

        def record(_: object) -> None:
            recording.append(asyncio.create_task(rig.store.record([created(workspace=DEFAULT_WORKSPACE)])))

        def followed(*arguments: Any, **options: Any) -> asyncio.Future[Outcome]:
            """Once all but one of those in line are sent, and before the worker's next turn, something is recorded."""
            outcome = post(*arguments, **options)
            if not recording and len(rig.sender.posts) == in_line - 1:
                outcome.add_done_callback(lambda _: asyncio.get_running_loop().call_soon(record, None))
            return outcome

        monkeypatch.setattr(rig.sender, "post", followed)
        other = await rig.register(OTHER, events=["batch.finished"])
        await rig.register(HOOK)
        await rig.translate(**ENDLESS)
        await eventually(lambda: rig.sender.in_flight)
        for _ in range(in_line):
            await rig.http.post(f"{ENDPOINTS}/{other['endpoint_id']}/test")
        await eventually(lambda: rig.clock.resting() == len(set(LOOPS.values())))
        await gate.open()
        await eventually(lambda: len(rig.lines("attempt")) == in_line + 2)
        assert [one.url for one in rig.sender.posts] == [HOOK, *[OTHER] * in_line, HOOK]


async def test_room_that_a_claim_has_asked_for_is_given_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as rig:  # its clock, for a worker of our own
        store = await open_store(str(tmp_path / "other.db"))
        worker = parts.make_worker(rig.settings, store, Mock(), rig.clock, unobserved)
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker._line_is_served)
        claim, asked, go_on = store.claim, asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any, **options: Any) -> list[Claim]:
            asked.set()
            await go_on.wait()
            return await claim(*arguments, **options)

        monkeypatch.setattr(store, "claim", slow)
        store.bells.deliveries.ring()
        await asyncio.wait_for(asked.wait(), PATIENCE)
        assert worker.reserve(1) is None
        go_on.set()
        await eventually(lambda: worker.reserve(1) is not None)
        running.cancel()
        await asyncio.wait([running])
        await store.close()


async def test_room_is_asked_for_from_the_instant_at_which_it_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as rig:  # its clock, for a worker of our own
        store = await open_store(str(tmp_path / "other.db"))
        worker = parts.make_worker(rig.settings, store, Mock(), rig.clock, unobserved)
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker._line_is_served)
        room, reserved = worker._room, list[Any]()

        def counted() -> int:
            """What is recorded next in the event loop asks for room before the claim does."""
            asyncio.get_running_loop().call_soon(lambda: reserved.append(worker.reserve(1)))
            return room()

        monkeypatch.setattr(worker, "_room", counted)
        store.bells.deliveries.ring()
        await eventually(lambda: reserved)
        assert reserved == [None]
        running.cancel()
        await asyncio.wait([running])
        await store.close()


async def test_room_that_was_kept_in_vain_is_used_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, concurrency=1, poll_interval=86_400) as rig:
        hook = await rig.register()
        await rig.quiet()
        [worker] = rig.store._takers  # type: ignore[attr-defined]
        reservation = worker.reserve(1)
        assert worker.reserve(1) is None
        await rig.http.post(f"{ENDPOINTS}/{hook['endpoint_id']}/test")
        await rig.quiet()
        assert not rig.sender.posts, "there is no room"
        reservation.take(())  # what was to be recorded was not: no bell rings
        await eventually(lambda: rig.sender.posts)


async def test_what_falls_due_during_a_turn_is_sent_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, poll_interval=86_400) as rig:
        await rig.register()
        rig.sender.answer = lambda _: answered(500)
        await rig.translate(**ENDLESS)
        await rig.quiet()
        claim, moved = rig.store.claim, list[float]()

        async def slow(now: float, **options: Any) -> list[Claim]:
            """Nothing can be claimed when the store looks; when it has answered, something could be."""
            claims = await claim(now, **options)
            if not moved:
                assert claims == []
                moved.append(await rig.store.next_delivery_due(now) or 0)
                rig.clock.advance(moved[0] - now)
            return claims

        monkeypatch.setattr(rig.store, "claim", slow)
        rig.store.bells.deliveries.ring()
        await eventually(lambda: len(rig.sender.posts) == 2)
        assert [one.at for one in rig.sender.posts[1:]] == moved


async def test_what_is_handed_over_to_a_worker_that_stops_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as rig:  # its attempter and clock, for a worker of our own
        store = await open_store(str(tmp_path / "other.db"))
        await store.create_endpoint(endpoint())
        release, reservations = store.release, list[Any]()

        async def late(claims: Sequence[Claim]) -> None:
            """What was being recorded is committed just before the stop gives leases back."""
            for reservation in reservations:
                await store.record([created()])
                reservation.take(await claim(store))
            reservations.clear()
            await release(claims)

        worker = parts.make_worker(rig.settings, store, Mock(), rig.clock, unobserved)
        monkeypatch.setattr(store, "release", late)
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker._line_is_served)
        reservations.append(worker.reserve(1))
        running.cancel()
        await asyncio.wait([running])
        assert worker.reserve(1) is None
        assert [one.job_id for one in await claim(store)] == ["job_1"], "nobody holds it"
        await store.close()


async def test_a_stop_aborts_what_is_in_flight_and_gives_it_back(tmp_path: Path) -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    ids = seeded_ids()
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        sender.answer = lambda _: never()
        await rig.register()
        await rig.translate("English", "German", **ENDLESS)
        await eventually(lambda: len(sender.in_flight) == 2)
        before = time.monotonic()
    assert time.monotonic() - before < PATIENCE
    assert (sender.aborted, sender.in_flight, sender.is_closed) == (2, [], True)
    sender.answer = lambda _: answered()
    async with serving(tmp_path, clock=clock, sender=sender, ids=ids) as rig:
        await rig.quiet()  # the clock has not moved: they are due at once
        assert [line["number"] for line in rig.lines("attempt")] == [1, 1], "an aborted attempt does not count"
        assert sorted(post.job for post in sender.posts) == ["vt_1", "vt_1", "vt_2", "vt_2"]
        assert len({post.body for post in sender.posts}) == 2
        for event in ("evt_1", "evt_2"):
            [delivery] = await deliveries_of(rig.store, DEFAULT_WORKSPACE, event)
            assert (delivery.state, delivery.attempts) == ("delivered", 1)
            assert len(await rig.store.attempts(delivery.id)) == 1


async def test_an_answer_that_came_before_the_stop_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender) as rig:
        settling, settle = asyncio.Event(), rig.store.settle

        async def slow(*arguments: Any, **options: Any) -> list[bool]:
            settling.set()
            await asyncio.sleep(0)
            return await settle(*arguments, **options)

        monkeypatch.setattr(rig.store, "settle", slow)
        await rig.register()
        await rig.translate(**ENDLESS)
        await settling.wait()
    async with serving(tmp_path, clock=clock, sender=sender) as rig:
        await rig.quiet()
        assert len(sender.posts) == 1
        [delivery] = await deliveries_of(rig.store, DEFAULT_WORKSPACE, "evt_1")
        assert delivery.state == "delivered"


async def test_a_process_that_was_killed_leaves_nothing_behind_but_work(tmp_path: Path) -> None:
    """What a kill leaves is a file with leases in it: here, a copy of the file taken in mid-attempt."""
    copy = tmp_path / "copy"
    copy.mkdir()
    clock = SteppedClock()
    async with serving(tmp_path, clock=clock) as rig:
        rig.sender.answer = lambda _: never()
        await rig.register()
        await rig.translate(**ENDLESS)
        await eventually(lambda: rig.sender.in_flight)
        for name in ("server.db", "server.db-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
        sent = rig.sender.posts[0]
    async with serving(copy, clock=clock) as rig:
        await rig.quiet()
        [again] = rig.sender.posts
        assert again.body == sent.body
        assert rig.lines("attempt")[0]["number"] == 1


async def test_an_attempt_that_crashes_stops_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path, lease=0.15, attempt_timeout=0.1, poll_interval=1) as rig:
        crashes = iter([True])

        async def answer(post: Post) -> Outcome:
            if post.job == "vt_1" and next(crashes, False):
                raise ZeroDivisionError("a bug of ours")
            return answered()

        rig.sender.answer = answer
        await rig.register()
        await rig.translate("English", "German", "French", **ENDLESS)
        await eventually(lambda: len(rig.lines("attempt")) == 2)
        assert {line["job_id"] for line in rig.lines("attempt")} == {"vt_2", "vt_3"}
        await nudged(rig, lambda: len(rig.lines("attempt")) == 3)
        assert rig.sender.sequences("vt_1") == [1, 1], "it is tried again when its lease has run out"
        assert rig.lines("attempt crashed")
        assert not rig.lines("loop failed; it starts again")


async def test_what_is_claimed_beside_a_settlement_that_fails_is_not_lost_sight_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "RESTART_PAUSE", 0.01)
    clock = SteppedClock()
    sender = FakeSender(clock)
    async with serving(tmp_path, clock=clock, sender=sender, concurrency=1) as rig:
        answers, failed, came_back = [answered()], asyncio.Event(), asyncio.Event()

        async def answer(_: Post) -> Outcome:
            return answers.pop() if answers else await never()

        sender.answer = answer
        await rig.register()
        settle, claim = rig.store.settle, rig.store.claim

        async def fails_once(*arguments: Any, **options: Any) -> list[bool]:
            if not failed.is_set():
                failed.set()
                raise StoreError("the disk is full")
            return await settle(*arguments, **options)

        async def late(*arguments: Any, **options: Any) -> list[Claim]:
            claims = await claim(*arguments, **options)
            if failed.is_set():
                for _ in range(50):
                    await asyncio.sleep(0)  # a slow store: the settlement has failed by now
                came_back.set()
            return claims

        monkeypatch.setattr(rig.store, "settle", fails_once)
        monkeypatch.setattr(rig.store, "claim", late)
        await rig.translate(**ENDLESS)
        await rig.translate(**ENDLESS)
        await eventually(lambda: rig.lines("loop waits for the store"))
        await came_back.wait()
        await eventually(lambda: sender.sequences("vt_2") == [1])


async def test_while_the_store_fails_attempts_go_on_and_are_settled_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "RESTART_PAUSE", 0.01)
    async with serving(tmp_path, concurrency=2) as rig:
        answer_now, out = asyncio.Event(), True

        async def answer(_: Post) -> Outcome:
            await answer_now.wait()
            return answered()

        rig.sender.answer = answer
        await rig.register()
        await rig.translate("English", "German", **ENDLESS)
        await eventually(lambda: len(rig.sender.in_flight) == 2)
        verbs = {verb: getattr(rig.store, verb) for verb in ("claim", "settle", "next_delivery_due")}
        failures = 0

        def failing(verb: Any) -> Any:
            async def fail(*arguments: Any, **options: Any) -> Any:
                nonlocal failures
                if out:
                    failures += 1
                    raise StoreError("out of reach")
                return await verb(*arguments, **options)

            return fail

        for name, verb in verbs.items():
            monkeypatch.setattr(rig.store, name, failing(verb))
        rig.store.bells.deliveries.ring()
        await eventually(lambda: failures >= 3)
        assert len(rig.sender.in_flight) == 2, "nothing was aborted"
        answer_now.set()
        await eventually(lambda: not rig.sender.in_flight)
        failures = 0
        await eventually(lambda: failures >= 3)
        assert len(rig.lines("loop waits for the store")) == 1, "it is told of once"
        assert not rig.lines("attempt")
        out = False
        await eventually(lambda: len(rig.lines("attempt")) == 2)
        assert rig.sender.sequences("vt_1") == rig.sender.sequences("vt_2") == [1], "no answer was asked for twice"


LOOPS = {
    "jobs_in_preflight": "preflight",
    "due_jobs": "simulation",
    "next_job_due": "simulation",
    "record": "simulation",
    "claim": "delivery",
    "next_delivery_due": "delivery",
    "settle": "delivery",
    "expire_endpoints": "upkeep",
    "advance_sweeps": "sweeping",
}


@pytest.mark.parametrize(("verb", "loop"), LOOPS.items())
@pytest.mark.parametrize(
    "error", [StoreError("the disk is full"), ZeroDivisionError("a bug of ours")], ids=["store", "bug"]
)
async def test_a_loop_that_fails_is_logged_and_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, loop: str, error: Exception
) -> None:
    monkeypatch.setattr(loops, "RESTART_PAUSE", 0.01)
    is_bug = not isinstance(error, StoreError)
    lease = 0.15 if is_bug else 30.0  # what a bug of ours has lost is tried again when its lease has run out
    async with serving(tmp_path, lease=lease, attempt_timeout=0.1, poll_interval=1) as rig:
        await rig.register()
        [job_id] = await rig.translate(simulation={"duration_seconds": 10})
        await rig.quiet()
        real, fails = getattr(rig.store, verb), iter([error])

        async def once(*arguments: Any, **options: Any) -> Any:
            for failure in fails:
                raise failure
            return await real(*arguments, **options)

        monkeypatch.setattr(rig.store, verb, once)
        await nudged(rig, lambda: len(set(rig.sender.sequences(job_id))) == 3)
        told = "loop failed; it starts again" if is_bug else "loop waits for the store"
        await eventually(lambda: len(rig.lines(told)) == 1)
        [line] = rig.lines(told)
        assert (line["loop"], line["log_level"]) == (loop, "error" if is_bug else "warning")
        assert line.get("exc_info", False) is is_bug
        assert list(dict.fromkeys(rig.sender.sequences(job_id))) == [1, 2, 3]
        if not is_bug:
            assert rig.sender.sequences(job_id) == [1, 2, 3], "an answer that is known is not asked for again"
        await eventually(lambda: rig.clock.resting() == len(set(LOOPS.values())))
        assert (await rig.http.get("/readyz")).status_code == 200
