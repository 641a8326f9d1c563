"""What the inbox promises, over any duplication, loss, disorder, delay and restart that a machine comes up with."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.client.inbox_world import Consumer, Crash, Disk, File, Nothing, OwnDatabase, Service
from video_translation_client import Event

JOBS = st.sampled_from(["a", "b", "c"])
PLACES = st.integers(0, 50)


class Deliveries(RuleBasedStateMachine):
    """The service moves jobs and pushes; the network does what it likes; the consumer takes one step at a time."""

    restarts = True

    def __init__(self) -> None:
        super().__init__()
        self.service = Service()
        self.disk = self.make_disk()
        self.consumer = Consumer(self.service, self.disk, "cur_0")
        self.unanswered: list[tuple[Event, object]] = []
        self.runs: list[list[tuple[str, int]]] = []  # the effects of each process
        self.ended: set[str] = set()

    def make_disk(self) -> Disk:
        raise NotImplementedError

    @rule(job_id=JOBS, last=st.booleans())
    def move(self, job_id: str, last: bool) -> None:
        if job_id not in self.ended:
            self.service.move(job_id, last=last)
            self.ended |= {job_id} if last else set()

    @precondition(lambda self: self.service.on_their_way)
    @rule(place=PLACES, copies=st.integers(0, 2))
    def deliver(self, place: int, copies: int) -> None:
        """Any push on its way arrives next; or nothing does; or it will arrive again."""
        pushes = self.service.on_their_way
        event = pushes.pop(place % len(pushes))
        pushes.extend([event] * copies)
        answer = self.consumer.push(event)
        if not answer.done():
            self.unanswered.append((event, answer))
        elif answer.exception() is not None:
            pushes.append(event)

    @precondition(lambda self: self.service.on_their_way)
    @rule(place=PLACES)
    def lose(self, place: int) -> None:
        self.service.on_their_way.pop(place % len(self.service.on_their_way))

    @rule()
    def read_the_log(self) -> None:
        self.consumer.read()

    @rule()
    def look_into_gaps(self) -> None:
        self.consumer.upkeep.run()

    @rule()
    def write(self) -> None:
        self.consumer.write()

    @rule()
    def call_back(self) -> None:
        self.consumer.call_back()

    @rule(reachable=st.booleans())
    def come_and_go(self, reachable: bool) -> None:
        self.service.reachable = reachable

    @rule(full=st.booleans())
    def fill_the_disk(self, full: bool) -> None:
        self.disk.is_full = full

    @precondition(lambda self: self.restarts)
    @rule()
    def restart(self) -> None:
        self.begin_again()

    @precondition(lambda self: self.restarts)
    @rule(where=st.sampled_from(["before the effect", "after the effect"]))
    def crash_in_a_callback(self, where: str) -> None:
        self.consumer.crash_at = where
        try:
            while self.consumer.call_back():
                pass
        except Crash:
            self.begin_again()
        self.consumer.crash_at = None

    def begin_again(self) -> None:
        # A push that was not answered is made again; one that was, only if there are copies of it.
        self.service.on_their_way += [event for event, _ in self.unanswered]
        self.unanswered.clear()
        self.end_run()
        self.consumer.end()
        self.consumer = Consumer(self.service, self.disk, f"cur_{len(self.service.log)}")

    def end_run(self) -> None:
        self.runs.append(self.disk.effects[sum(map(len, self.runs)) :])

    def teardown(self) -> None:
        try:
            self.disk.is_full, self.service.reachable = False, True
            self.consumer.finish()
            self.consumer.read()
            self.consumer.finish()
            self.end_run()
            assert not self.consumer.inbox.gaps()
            self.judge()
        finally:
            self.consumer.end()

    def judge(self) -> None:
        """Each transition of each job, once and in order."""
        for job_id, length in self.service.lengths.items():
            seen = [sequence for job, sequence in self.disk.effects if job == job_id]
            assert seen == list(range(1, length + 1))


class InMemory(Deliveries):
    """Once per process: there is no restart here."""

    restarts = False

    def make_disk(self) -> Disk:
        return Nothing()


class InTheUsersTransaction(Deliveries):
    """Exactly once, over any number of crashes."""

    def make_disk(self) -> Disk:
        return OwnDatabase()


class InAFile(Deliveries):
    """At least once over a crash, in order; no process handles a transition twice."""

    def make_disk(self) -> Disk:
        self.folder = tempfile.TemporaryDirectory()
        return File(Path(self.folder.name) / "inbox.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()

    def judge(self) -> None:
        for job_id, length in self.service.lengths.items():
            runs = [[sequence for job, sequence in run if job == job_id] for run in self.runs]
            handled = 0
            for run in filter(None, runs):
                assert all(after == before + 1 for before, after in pairwise(run)), runs
                assert run[0] <= handled + 1, runs  # it goes back to what was not marked, and leaves nothing out
                handled = max(handled, run[-1])
            assert handled == length, runs


TestInMemory = pytest.mark.fuzz(InMemory.TestCase)
TestInTheUsersTransaction = pytest.mark.fuzz(InTheUsersTransaction.TestCase)
TestInAFile = pytest.mark.fuzz(InAFile.TestCase)
