from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import pytest

from tests.waiting import PATIENCE
from video_translation_client import ClientClosedError, Event, InboxState, JobSnapshot
from video_translation_client._keeper import Keeper


def event(number: int) -> Event:
    return Event(f"evt_{number}", "x", None, JobSnapshot("vt_1", "running", "pending", sequence=number), {})


class Storage:
    """Remembers what each call wrote; a test can hold it, or make it fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], list[str], str | None]] = []
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.fails: Callable[[list[str]], bool] = lambda _: False
        self.closed = False

    def load(self) -> InboxState:
        return InboxState()

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        self.entered.set()
        assert self.free.wait(PATIENCE)
        if self.fails([item.id for item in keep]):
            raise OSError("no room on purpose")
        self.calls.append(([item.id for item in keep], [item.id for item in done], cursor))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def keeper(storage: Storage) -> Keeper:
    return Keeper(storage)


def test_what_comes_while_it_writes_is_written_together(storage: Storage, keeper: Keeper) -> None:
    storage.free.clear()
    kept: list[str] = []
    futures = [keeper.keep(event(1), lambda item: kept.append(item.id))]
    assert storage.entered.wait(PATIENCE)
    futures += [keeper.keep(event(number), lambda item: kept.append(item.id)) for number in (2, 3, 4)]
    keeper.done(event(1))
    keeper.move_cursor("cur_1")
    keeper.move_cursor("cur_2")
    assert not futures[0].done()
    storage.free.set()
    for future in futures:
        future.result(PATIENCE)
    keeper.stop(10)
    assert storage.calls == [(["evt_1"], [], None), (["evt_2", "evt_3", "evt_4"], ["evt_1"], "cur_2")]
    assert kept == ["evt_1", "evt_2", "evt_3", "evt_4"]
    assert storage.closed


def test_one_event_that_cannot_be_stored_does_not_take_the_others_with_it(
    storage: Storage, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    storage.fails = lambda ids: "evt_2" in ids
    storage.free.clear()
    futures = [keeper.keep(event(number), lambda _: None) for number in (0, 1, 2, 3)]
    keeper.done(event(0))
    storage.free.set()
    keeper.stop(10)
    assert [future.exception(10) is None for future in futures] == [True, True, False, True]
    assert [done for _, done, _ in storage.calls if done] == [["evt_0"]]
    assert "no room on purpose" in caplog.text


def test_marks_that_could_not_be_written_go_with_the_next_write(
    storage: Storage, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_start", lambda: None)
    keeper.done(event(1))
    keeper.move_cursor("cur_1")
    storage.fails = lambda _: True
    assert keeper.turn(block=False)
    with pytest.raises(queue.Empty):
        keeper.turn(block=False)
    storage.fails = lambda _: False
    keeper.done(event(2))
    assert keeper.turn(block=False)
    assert storage.calls == [([], ["evt_1", "evt_2"], "cur_1")]


def test_what_the_taker_raises_is_told_and_the_rest_goes_on(keeper: Keeper) -> None:
    def broken(_: Event) -> None:
        raise ZeroDivisionError("on purpose")

    assert isinstance(keeper.keep(event(1), broken).exception(10), ZeroDivisionError)
    assert keeper.keep(event(2), lambda _: None).result(PATIENCE) is None
    keeper.stop(10)


def test_nothing_is_taken_in_after_the_end(storage: Storage, keeper: Keeper) -> None:
    keeper.stop(10)
    keeper.stop(10)
    assert isinstance(keeper.keep(event(1), lambda _: None).exception(1), ClientClosedError)
    keeper.done(event(1))
    assert (storage.calls, storage.closed) == ([], True)


def test_a_storage_that_is_stuck_does_not_keep_the_client_open(
    storage: Storage, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    storage.free.clear()
    keeper.done(event(1))
    assert storage.entered.wait(PATIENCE)
    keeper.stop(0.01)
    assert "still writes" in caplog.text
    storage.free.set()
