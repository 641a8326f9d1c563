from __future__ import annotations

import asyncio
import functools
import sys
import threading
from typing import Any

import pytest

from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import ClientClosedError, Event, JobSnapshot, RetryLater
from video_translation_client._dispatcher import Dispatcher
from video_translation_client._metrics import Meter


def event(number: int) -> Event:
    return Event(f"evt_{number}", "x", None, JobSnapshot("vt_1", "running", "pending", sequence=number), {})


def _raise(error: BaseException) -> None:
    raise error


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def dispatcher(meter: Meter) -> Dispatcher:
    return Dispatcher(meter)


def test_callbacks_run_in_order_on_one_thread(dispatcher: Dispatcher, recorder: Recorder) -> None:
    dispatcher.add(recorder)
    for number in range(1, 50):
        dispatcher.publish(event(number))
    dispatcher.stop(5)
    assert recorder.sequences("vt_1") == list(range(1, 50))
    assert recorder.threads == {"video-translation-callbacks"}


def test_what_a_callback_raises_is_logged_and_the_rest_goes_on(
    dispatcher: Dispatcher, meter: Meter, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Event) -> None:
        raise ZeroDivisionError("on purpose")

    dispatcher.add(broken)
    dispatcher.add(recorder)
    dispatcher.publish(event(1))
    dispatcher.defer(lambda: 1 / 0)
    dispatcher.publish(event(2))
    dispatcher.stop(5)
    assert recorder.sequences("vt_1") == [1, 2]
    assert caplog.text.count("Traceback") == 3
    assert "on purpose" in caplog.text
    assert meter.snapshot().callback_errors == 3


@pytest.mark.parametrize("end", [functools.partial(sys.exit, 3), functools.partial(_raise, asyncio.CancelledError())])
def test_a_callback_that_would_end_its_thread_does_not(
    dispatcher: Dispatcher, meter: Meter, recorder: Recorder, end: Any
) -> None:
    dispatcher.add(lambda _: end())
    dispatcher.add(recorder)
    dispatcher.publish(event(1))
    dispatcher.defer(end)
    dispatcher.publish(event(2))
    dispatcher.stop(5)
    assert recorder.sequences("vt_1") == [1, 2]
    assert meter.snapshot().callback_errors == 3


async def _coroutine(_: Event) -> None:
    """What nobody would await."""


class _AsyncCallable:
    async def __call__(self, _: Event) -> None:
        """As above."""


@pytest.mark.parametrize("callback", [_coroutine, functools.partial(_coroutine), _AsyncCallable()])
def test_a_coroutine_function_is_refused_because_nobody_would_await_it(dispatcher: Dispatcher, callback: Any) -> None:
    with pytest.raises(TypeError, match="run_coroutine_threadsafe"):
        dispatcher.add(callback)


def test_a_url_in_the_place_of_the_callback_is_refused_with_the_right_place(dispatcher: Dispatcher) -> None:
    with pytest.raises(TypeError, match="url="):
        dispatcher.add("http://localhost:9000/hook")  # type: ignore[arg-type]


def test_a_callback_gets_what_is_published_while_it_is_there(dispatcher: Dispatcher, recorder: Recorder) -> None:
    late = Recorder()
    dispatcher.add(recorder)
    dispatcher.publish(event(1))
    dispatcher.add(late)
    dispatcher.remove(recorder)
    dispatcher.remove(recorder)
    dispatcher.publish(event(2))
    dispatcher.stop(5)
    assert (recorder.sequences("vt_1"), late.sequences("vt_1")) == ([1], [2])


def test_stop_gives_up_on_a_stuck_callback_and_says_what_is_lost(
    dispatcher: Dispatcher, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def stuck(_: Event) -> None:
        entered.set()
        let_go.wait(PATIENCE)

    dispatcher.add(stuck)
    dispatcher.publish(event(1))
    assert entered.wait(PATIENCE)
    dispatcher.remove(stuck)
    dispatcher.add(recorder)
    dispatcher.publish(event(2))
    dispatcher.publish(event(3))
    dispatcher.stop(0.01)
    assert "2 queued calls are dropped" in caplog.text
    thread = dispatcher._thread
    let_go.set()
    assert thread is not None
    thread.join(PATIENCE)
    assert recorder.events == []


def test_stop_from_a_callback_does_not_wait_for_itself(dispatcher: Dispatcher, recorder: Recorder) -> None:
    stopped = threading.Event()

    def stop(_: Event) -> None:
        dispatcher.stop(60)
        stopped.set()

    dispatcher.add(stop)
    dispatcher.publish(event(1))
    assert stopped.wait(PATIENCE)
    with pytest.raises(ClientClosedError):
        dispatcher.add(recorder)
    dispatcher.publish(event(2))
    dispatcher.stop(5)
    assert recorder.events == []


def test_without_callbacks_there_is_no_thread(dispatcher: Dispatcher) -> None:
    dispatcher.publish(event(1))
    assert dispatcher._thread is None
    dispatcher.stop(1)


def test_subscribers_get_the_same_order_and_do_not_wait_for_callbacks(
    dispatcher: Dispatcher, recorder: Recorder
) -> None:
    let_go = threading.Event()
    taken: list[str] = []
    dispatcher.add(lambda _: let_go.wait(PATIENCE))
    dispatcher.add(recorder)
    dispatcher.subscribe(lambda item: taken.append(item.id))
    for number in (1, 2):
        dispatcher.publish(event(number))
    assert (taken, recorder.events) == (["evt_1", "evt_2"], [])
    let_go.set()
    dispatcher.stop(5)
    assert [item.id for item in recorder.events] == taken


def test_with_an_inbox_events_and_what_follows_them_wait_for_the_first_callback(
    meter: Meter, recorder: Recorder
) -> None:
    done: list[str] = []
    dispatcher = Dispatcher(meter, on_done=lambda item: done.append(item.id))
    dispatcher.publish(event(1))
    dispatcher.afterwards(lambda: done.append("then"))
    assert dispatcher._thread is None
    dispatcher.add(recorder)
    dispatcher.publish(event(2))
    dispatcher.stop(5)
    assert recorder.sequences("vt_1") == [1, 2]
    assert done == ["evt_1", "then", "evt_2"]


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_wish_for_later_that_makes_no_sense_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="RetryLater takes seconds"):
        RetryLater(seconds)


def test_an_endless_wish_for_later_ends_with_the_client_and_its_end_may_take_for_ever(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    dispatcher = Dispatcher(meter, on_done=lambda item: done.append(item.id))
    asked = threading.Event()

    def busy(_: Event) -> None:
        asked.set()
        raise RetryLater(float("inf"))

    dispatcher.add(busy)
    dispatcher.publish(event(1))
    assert asked.wait(PATIENCE)
    dispatcher.stop(float("inf"))
    assert done == []
    assert "was not handled before the client closed" in caplog.text


def test_what_is_dropped_at_the_end_is_not_marked(meter: Meter) -> None:
    done: list[str] = []
    dispatcher = Dispatcher(meter, on_done=lambda item: done.append(item.id))
    asked = threading.Event()

    def busy(_: Event) -> None:
        asked.set()
        raise RetryLater(3600.0)

    dispatcher.add(busy)
    dispatcher.publish(event(1))
    assert asked.wait(PATIENCE)
    dispatcher.stop(5)
    assert done == []
