"""The clocks: the server's, which its user may move, and the one that tests move."""

import asyncio
import random
import time

import pytest

from video_translation_server.clock import Clock, ClockState, FollowingClock, ManualClock, VirtualClock

SOON = 5.0
"""How long a test waits for what happens at once, seconds."""


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


# The server's clock, by itself


def test_the_servers_clock_reads_unix_seconds() -> None:
    before = time.time()
    assert before <= VirtualClock().now() <= time.time()


async def test_the_servers_clock_waits_for_an_event() -> None:
    event = asyncio.Event()
    waiting = asyncio.ensure_future(VirtualClock().wait(event, None))
    await settle()
    assert not waiting.done()
    event.set()
    await asyncio.wait_for(waiting, SOON)


async def test_the_servers_clock_waits_for_an_instant() -> None:
    clock = VirtualClock()
    until = clock.now() + 0.02
    await asyncio.wait_for(clock.wait(asyncio.Event(), until), SOON)
    assert clock.now() >= until - 0.005


async def test_the_servers_clock_takes_whichever_is_first() -> None:
    clock, event = VirtualClock(), asyncio.Event()
    waiting = asyncio.ensure_future(clock.wait(event, clock.now() + 3600))
    await settle()
    assert not waiting.done()
    event.set()
    await asyncio.wait_for(waiting, SOON)
    assert event.is_set(), "clearing is the listener's business"


# Both


@pytest.fixture(params=[VirtualClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


@pytest.mark.parametrize("ago", [0.0, 1e9])
async def test_an_instant_that_is_past_is_not_waited_for(clock: Clock, ago: float) -> None:
    await asyncio.wait_for(clock.wait(asyncio.Event(), clock.now() - ago), SOON)


@pytest.mark.parametrize("ahead", [None, 1e9])
async def test_an_event_that_is_set_is_not_waited_for(clock: Clock, ahead: float | None) -> None:
    event = asyncio.Event()
    event.set()
    await asyncio.wait_for(clock.wait(event, None if ahead is None else clock.now() + ahead), SOON)


async def test_a_wait_can_be_cancelled(clock: Clock) -> None:
    waiting = asyncio.ensure_future(clock.wait(asyncio.Event(), clock.now() + 3600))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left behind"


async def test_a_timeout_around_a_wait_is_not_swallowed(clock: Clock) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clock.wait(asyncio.Event(), clock.now() + 3600)


# The clock of the tests


async def test_the_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(1000)
    waiting = asyncio.ensure_future(clock.wait(asyncio.Event(), 1010))
    await settle()
    assert clock.now() == 1000
    clock.advance(9.5)
    await settle()
    assert (clock.now(), waiting.done()) == (1009.5, False)
    clock.advance(0.5)
    await asyncio.wait_for(waiting, SOON)


async def test_the_manual_clock_waits_for_an_event_alone() -> None:
    clock, event = ManualClock(), asyncio.Event()
    waiting = asyncio.ensure_future(clock.wait(event, None))
    await settle()
    clock.advance(1e9)
    await settle()
    assert not waiting.done()
    event.set()
    await asyncio.wait_for(waiting, SOON)


async def test_the_manual_clock_wakes_no_more_than_are_due() -> None:
    clock = ManualClock(0)
    woken: list[int] = []

    async def sleeper(until: int) -> None:
        await clock.wait(asyncio.Event(), until)
        woken.append(until)

    sleepers = [asyncio.ensure_future(sleeper(until)) for until in (3, 1, 2)]
    for step in (1, 2, 3):
        await settle()
        clock.advance(1)
        await settle()
        assert woken == list(range(1, step + 1))
    await asyncio.gather(*sleepers)


@pytest.mark.parametrize("seed", range(5))
async def test_one_leap_wakes_everyone_in_the_order_of_their_instants(seed: int) -> None:
    clock = ManualClock(0)
    woken: list[int] = []

    async def sleeper(until: int) -> None:
        await clock.wait(asyncio.Event(), until)
        woken.append(until)

    instants = random.Random(seed).sample(range(1, 100), 40)
    sleepers = [asyncio.ensure_future(sleeper(until)) for until in instants]
    await settle()
    clock.advance(100)
    await asyncio.wait_for(asyncio.gather(*sleepers), SOON)
    assert woken == sorted(instants)


async def test_a_move_between_two_waits_is_not_missed() -> None:
    clock = ManualClock(0)

    async def worker() -> None:
        for instant in range(1, 6):
            await clock.wait(asyncio.Event(), instant)

    working = asyncio.ensure_future(worker())
    await settle()
    for _ in range(5):
        clock.advance(1)  # without a turn of the loop in between
    await asyncio.wait_for(working, SOON)


# The server's clock, in its user's hand


class RealTime:
    """What a virtual clock takes for the machine's time."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def real_time() -> RealTime:
    return RealTime()


def test_a_clock_that_stands_still_does_not_pass(real_time: RealTime) -> None:
    clock = VirtualClock(real_time=real_time)
    real_time.now += 10
    clock.run(0)
    real_time.now += 1000
    assert clock.now() == 510
    clock.run(1)
    real_time.now += 1
    assert clock.now() == 511, "it goes on from where it stood"
    clock.run(60)
    real_time.now += 2
    assert clock.now() == 631


def test_setting_forward_never_sets_back(real_time: RealTime) -> None:
    clock = VirtualClock(real_time=real_time)
    clock.set_forward(400)
    assert clock.now() == 500
    clock.set_forward(900)
    real_time.now += 1
    assert clock.now() == 901


def test_when_the_machines_clock_is_set_back_it_goes_on_from_where_it_stood(real_time: RealTime) -> None:
    clock = VirtualClock(real_time=real_time)
    real_time.now += 50
    assert clock.now() == 550
    real_time.now -= 3600
    assert clock.now() == 550, "it never goes back"
    real_time.now += 1
    assert clock.now() == 551, "nor does it wait until the other has caught up"
    clock.run(60)
    real_time.now -= 3600
    real_time.now += 1
    assert clock.now() == 551
    real_time.now += 1
    assert clock.now() == 611
    real_time.now += 3600
    assert clock.now() == 611 + 60 * 3600, "it follows where that is set forward"


def test_a_state_that_was_kept_goes_on_though_the_machines_clock_was_set_back_meanwhile(real_time: RealTime) -> None:
    state = ClockState(virtual_at=10_000, real_at=real_time.now, speed=1)
    real_time.now -= 100
    clock = VirtualClock(state, real_time=real_time)
    assert clock.now() == 10_000
    real_time.now += 7
    assert clock.now() == 10_007
    assert VirtualClock(clock.state, real_time=real_time).now() == 10_007


def test_a_state_that_was_kept_goes_on(real_time: RealTime) -> None:
    before = VirtualClock(real_time=real_time)
    before.set_forward(10_000)
    real_time.now += 50
    assert VirtualClock(before.state, real_time=real_time).now() == 10_050


async def test_setting_forward_wakes_those_whose_instant_has_come() -> None:
    clock = VirtualClock(ClockState(virtual_at=0, real_at=0, speed=0))
    woken: list[int] = []

    async def sleeper(until: int) -> None:
        await clock.wait(asyncio.Event(), until)
        woken.append(until)

    sleepers = [asyncio.ensure_future(sleeper(until)) for until in (300, 100, 200)]
    await settle()
    clock.set_forward(200)
    await asyncio.wait_for(asyncio.gather(*sleepers[1:]), SOON)
    assert woken == [100, 200]
    clock.run(1e6)
    await asyncio.wait_for(sleepers[0], SOON)


async def test_a_clock_that_stops_wakes_nobody() -> None:
    clock = VirtualClock(ClockState(virtual_at=0, real_at=time.time(), speed=1))
    waiting = asyncio.ensure_future(clock.wait(asyncio.Event(), 3600))
    await settle()
    clock.run(0)
    await settle()
    assert not waiting.done()
    clock.set_forward(3600)
    await asyncio.wait_for(waiting, SOON)


# One that follows another


class Afar:
    """A clock elsewhere, and the way to it, which takes its time."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.ahead = 1_800_000_000.0
        self.delays = [0.4, 0.02, 1.0]

    def passing(self) -> float:
        return self.passed

    async def ask(self) -> float:
        way = self.delays[0] / 2
        self.delays = [*self.delays[1:], self.delays[0]]
        self.passed += way
        shown = self.passed + self.ahead
        self.passed += way * 1.5  # the way back is the longer one
        return shown


async def test_a_clock_that_follows_shows_the_others_time_by_the_quickest_answer() -> None:
    afar = Afar()
    clock = FollowingClock(afar.ask, passing=afar.passing)
    await clock.look()
    assert clock.now() == pytest.approx(afar.passed + afar.ahead, abs=0.01)
    afar.passed += 3600
    assert clock.now() == pytest.approx(afar.passed + afar.ahead, abs=0.01), "in between it goes by itself"


async def test_a_clock_that_follows_never_goes_back() -> None:
    afar = Afar()
    clock = FollowingClock(afar.ask, passing=afar.passing)
    await clock.look()
    shown = clock.now()
    afar.ahead -= 60
    await clock.look()
    assert clock.now() == shown
    afar.passed += 120
    assert clock.now() == pytest.approx(afar.passed + afar.ahead, abs=0.01)


async def test_a_clock_that_follows_looks_again_and_again() -> None:
    asked = asyncio.Event()
    times = 0

    async def ask() -> float:
        nonlocal times
        times += 1
        if times == 6:
            asked.set()
        return 5.0

    following = asyncio.create_task(FollowingClock(ask, every=0.001).run())
    await asyncio.wait_for(asked.wait(), SOON)
    following.cancel()


async def test_a_clock_that_follows_waits_for_whichever_is_first() -> None:
    async def ask() -> float:
        return time.time() + 1000

    clock = FollowingClock(ask)
    await clock.look()
    until = clock.now() + 0.02
    await asyncio.wait_for(clock.wait(asyncio.Event(), until), SOON)
    assert clock.now() >= until
    rung = asyncio.Event()
    for instant in (None, clock.now() + 3600):
        rung.clear()
        waiting = asyncio.ensure_future(clock.wait(rung, instant))
        await settle()
        assert not waiting.done()
        rung.set()
        await asyncio.wait_for(waiting, SOON)
