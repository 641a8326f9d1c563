"""What the inbox promises, over any duplication, loss, disorder, delay and restart that a machine comes up with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.inbox_world import Consumer, Crash, Disk, File, Nothing, OwnDatabase, Service
from video_translation_client import Event

Step = tuple[str, int, int]

_WEIGHTS: Final = {
    "move": 8,
    "deliver": 8,
    "write": 5,
    "call_back": 5,
    "lose": 2,
    "read_the_log": 2,
    "look_into_gaps": 2,
    "come_or_go": 1,
    "fill_or_free_the_disk": 2,
    "restart": 1,
    "crash_before_the_effect": 1,
    "crash_after_the_effect": 1,
}
_NAMES: Final = [name for name, weight in _WEIGHTS.items() for _ in range(weight)]
_CRASHES: Final = {"restart", "crash_before_the_effect", "crash_after_the_effect"}


def steps(names: Sequence[str] = _NAMES) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 9), st.integers(0, 2)), min_size=10, max_size=80)


class World:
    """The service moves jobs and pushes; the network does what it likes; the consumer takes one step at a time."""

    def __init__(self, disk: Disk, *, has_log: bool = True) -> None:
        self.service = Service()
        self.disk = disk
        self.has_log = has_log
        self.consumer = self.start()
        self.asked: list[tuple[Event, Future[None]]] = []
        self.answered: set[tuple[str, int]] = set()  # with 204
        self.runs: list[list[tuple[str, int]]] = []  # the effects of each process
        self.ended: set[str] = set()

    def run(self, steps: list[Step]) -> None:
        """Take the steps; then let the service and the disk be well, and everything that is due be done."""
        try:
            for name, place, number in steps:
                step: Callable[[int, int], None] = getattr(self, name)
                step(place, number)
            self.disk.is_full, self.service.reachable = False, True
            self.consumer.finish()
            self.consumer.read()
            self.consumer.finish()
            self.take_answers()
            self.end_run()
            assert not self.consumer.inbox.gaps()
        finally:
            self.consumer.end()

    def sequences(self, effects: list[tuple[str, int]], job_id: str) -> list[int]:
        return [sequence for job, sequence in effects if job == job_id]

    # --- steps ----------------------------------------------------------------------------------------

    def move(self, place: int, number: int) -> None:
        """One of three jobs moves; one time in ten it ends."""
        job_id = "abc"[number]
        if job_id not in self.ended:
            self.service.move(job_id, last=place == 9)
            self.ended |= {job_id} if place == 9 else set()

    def deliver(self, place: int, copies: int) -> None:
        """Any push on its way arrives next, and may arrive again."""
        pushes = self.service.on_their_way
        if pushes:
            event = pushes.pop(place % len(pushes))
            pushes.extend([event] * copies)
            self.asked.append((event, self.consumer.push(event)))
            self.take_answers()

    def lose(self, place: int, _: int) -> None:
        if self.service.on_their_way:
            self.service.on_their_way.pop(place % len(self.service.on_their_way))

    def read_the_log(self, _: int, __: int) -> None:
        self.consumer.read()

    def look_into_gaps(self, _: int, __: int) -> None:
        self.consumer.upkeep.run()

    def write(self, _: int, __: int) -> None:
        self.consumer.write()
        self.take_answers()

    def call_back(self, _: int, __: int) -> None:
        self.consumer.call_back()

    def come_or_go(self, _: int, __: int) -> None:
        self.service.reachable = not self.service.reachable

    def fill_or_free_the_disk(self, _: int, __: int) -> None:
        self.disk.is_full = not self.disk.is_full

    def prune(self, _: int, number: int) -> None:
        self.service.pruned = max(self.service.pruned, len(self.service.log) - number)

    def restart(self, _: int, __: int) -> None:
        self.take_answers()
        self.service.on_their_way += [event for event, _ in self.asked]
        self.asked.clear()
        self.end_run()
        self.consumer.end()
        self.consumer = self.start()

    def crash_before_the_effect(self, place: int, number: int) -> None:
        self.crash("before the effect", place, number)

    def crash_after_the_effect(self, place: int, number: int) -> None:
        self.crash("after the effect", place, number)

    def crash(self, where: str, place: int, number: int) -> None:
        self.consumer.crash_at = where
        try:
            while self.consumer.call_back():
                pass
        except Crash:
            self.restart(place, number)
        self.consumer.crash_at = None

    # --- what happens by itself -----------------------------------------------------------------------

    def start(self) -> Consumer:
        return Consumer(self.service, self.disk, f"cur_{len(self.service.log)}" if self.has_log else None)

    def take_answers(self) -> None:
        """A push that was not answered with 204 is made again."""
        for event, answer in [pair for pair in self.asked if pair[1].done()]:
            self.asked.remove((event, answer))
            if answer.exception() is not None:
                self.service.on_their_way.append(event)
            elif event.transition is not None:
                self.answered.add(event.transition)

    def end_run(self) -> None:
        self.runs.append(self.disk.effects[sum(map(len, self.runs)) :])


@pytest.mark.fuzz
@given(steps=steps([name for name in _NAMES if name not in _CRASHES]))
def test_in_memory_each_transition_comes_once_and_in_order(steps: list[Step]) -> None:
    world = World(Nothing())
    world.run(steps)
    for job_id, length in world.service.lengths.items():
        assert world.sequences(world.disk.effects, job_id) == list(range(1, length + 1))


@pytest.mark.fuzz
@given(steps=steps())
def test_in_the_users_own_transaction_each_transition_takes_effect_exactly_once_over_all_crashes(
    steps: list[Step],
) -> None:
    world = World(OwnDatabase())
    world.run(steps)
    for job_id, length in world.service.lengths.items():
        assert world.sequences(world.disk.effects, job_id) == list(range(1, length + 1))


@pytest.mark.fuzz
@given(steps=steps())
def test_with_an_inbox_file_each_transition_comes_at_least_once_and_in_order_over_all_crashes(
    steps: list[Step],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = File(Path(folder) / "inbox.db")
        world = World(disk)
        world.run(steps)
    assert disk.repeated == []
    for job_id, length in world.service.lengths.items():
        handled = 0
        for run in filter(None, (world.sequences(run, job_id) for run in world.runs)):
            assert all(after == before + 1 for before, after in pairwise(run)), world.runs
            assert run[0] <= handled + 1, world.runs  # it goes back to what was not marked, and leaves nothing out
            handled = max(handled, run[-1])
        assert handled == length, world.runs


@pytest.mark.fuzz
@given(steps=steps([name for name in _NAMES if name != "read_the_log"]))
def test_with_an_inbox_file_and_no_log_whatever_was_answered_is_handled_unless_something_newer_was(
    steps: list[Step],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = File(Path(folder) / "inbox.db")
        world = World(disk, has_log=False)
        world.run(steps)
    assert disk.repeated == []
    for run in world.runs:
        for job_id in world.service.lengths:
            handled = world.sequences(run, job_id)
            assert handled == sorted(set(handled))
    for job_id, sequence in world.answered:
        assert max(world.sequences(world.disk.effects, job_id), default=0) >= sequence


@pytest.mark.fuzz
@given(steps=steps([*_NAMES, "prune", "prune"]))
def test_with_a_pruned_log_what_it_still_has_is_handled_and_nothing_comes_twice_or_too_late(steps: list[Step]) -> None:
    world = World(OwnDatabase())
    world.run(steps)
    effects = world.disk.effects
    for job_id in world.service.lengths:
        handled = world.sequences(effects, job_id)
        assert handled == sorted(set(handled))
    assert {event.transition for event in world.service.log[world.service.pruned :]} <= set(effects)
