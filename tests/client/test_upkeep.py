from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from tests.waiting import PATIENCE
from video_translation_client._upkeep import Upkeep


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def upkeep(hand: Hand) -> Iterator[Upkeep]:
    upkeep = Upkeep(hand)
    yield upkeep
    upkeep.stop(5)


def advance(upkeep: Upkeep, hand: Hand, to: float) -> None:
    with upkeep._changed:
        hand.now = to
        upkeep._changed.notify_all()


def test_actions_run_when_they_are_due_and_again_when_they_say_so(upkeep: Upkeep, hand: Hand) -> None:
    ran: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()

    def often() -> float:
        ran.put(("often", hand.now))
        return 10.0

    upkeep.schedule("often", 10.0, often)
    upkeep.schedule("once", 15.0, lambda: ran.put(("once", hand.now)))
    for moment, expected in ((10.0, "often"), (15.0, "once"), (20.0, "often"), (30.0, "often")):
        advance(upkeep, hand, moment)
        assert ran.get(timeout=PATIENCE) == (expected, moment)
    assert ran.empty()


def test_scheduling_a_key_again_replaces_it_and_cancel_forgets_it(upkeep: Upkeep, hand: Hand) -> None:
    ran: queue.SimpleQueue[str] = queue.SimpleQueue()
    upkeep.schedule("a", 1.0, lambda: ran.put("old"))
    upkeep.schedule("a", 2.0, lambda: ran.put("new"))
    upkeep.schedule("b", 1.0, lambda: ran.put("cancelled"))
    upkeep.cancel("b")
    upkeep.schedule("last", 3.0, lambda: ran.put("last"))
    advance(upkeep, hand, 5.0)
    assert [ran.get(timeout=PATIENCE), ran.get(timeout=PATIENCE)] == ["new", "last"]


def test_an_action_that_was_scheduled_anew_while_it_ran_keeps_the_new_time(upkeep: Upkeep, hand: Hand) -> None:
    ran: queue.SimpleQueue[str] = queue.SimpleQueue()

    def first() -> float:
        upkeep.schedule("a", 5.0, lambda: ran.put("second"))
        ran.put("first")
        return 100.0

    upkeep.schedule("a", 0.0, first)
    assert ran.get(timeout=PATIENCE) == "first"
    advance(upkeep, hand, 5.0)
    assert ran.get(timeout=PATIENCE) == "second"


def test_a_bug_in_an_action_is_logged_and_does_not_end_the_thread(
    upkeep: Upkeep, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    ran = threading.Event()
    upkeep.schedule("broken", 0.0, lambda: 1 / 0)
    upkeep.schedule("fine", 1.0, ran.set)
    advance(upkeep, hand, 1.0)
    assert ran.wait(PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_due_at_the_end_of_time_does_not_end_the_thread(upkeep: Upkeep, hand: Hand) -> None:
    ran = threading.Event()
    upkeep.schedule("never", float("inf"), lambda: None)
    upkeep.schedule("first", 0.0, ran.set)
    assert ran.wait(PATIENCE)
    ran.clear()
    upkeep.schedule("then", 1.0, ran.set)
    advance(upkeep, hand, 1.0)
    assert ran.wait(PATIENCE)


def test_after_stop_nothing_runs_and_the_thread_is_gone(upkeep: Upkeep) -> None:
    upkeep.schedule("a", 100.0, lambda: None)
    upkeep.stop(5)
    upkeep.schedule("b", 0.0, lambda: None)
    assert upkeep._thread is not None
    assert not upkeep._thread.is_alive()
