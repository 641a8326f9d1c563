from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_translation_client._inbox import Gap, Inbox, Verdict
from video_translation_client._models import Event, JobSnapshot

STATUSES = ("pending", "running", "completed")


def event(job: str, sequence: int | None, *, kind: str = "video_translate.running", tag: str = "") -> Event:
    status = STATUSES[min(sequence or 2, 3) - 1]
    return Event(f"evt_{job}_{sequence}{tag}", kind, None, JobSnapshot(job, status, "pending", sequence=sequence), {})


class Box:
    """An inbox and what it let through."""

    def __init__(self, *, readable: bool = True, **options: Any) -> None:
        self.released: list[Event] = []
        self.inbox = Inbox(self.released.append, **options)
        self.inbox.use_log(readable=readable)

    def push(self, *sequences: int, job: str = "a") -> list[Verdict]:
        return [self.inbox.offer(event(job, number), pushed=True).verdict for number in sequences]

    def read(self, *sequences: int, job: str = "a") -> list[Verdict]:
        return [self.inbox.offer(event(job, number), pushed=False).verdict for number in sequences]

    def seen(self, job: str = "a") -> list[int | None]:
        return [item.job.sequence for item in self.released if item.job.id == job]


def test_what_comes_in_order_goes_straight_through() -> None:
    box = Box()
    assert box.push(1, 2, 3) == [Verdict.RELEASED] * 3
    assert box.seen() == [1, 2, 3]


def test_a_second_push_is_a_duplicate_and_a_second_reading_is_not() -> None:
    box = Box()
    assert box.push(1, 1) == [Verdict.RELEASED, Verdict.DUPLICATE]
    assert box.read(1, 2) == [Verdict.KNOWN, Verdict.RELEASED]
    assert box.push(2) == [Verdict.KNOWN]  # its first push: the log was quicker
    assert box.push(2) == [Verdict.DUPLICATE]
    assert box.seen() == [1, 2]


def end(job: str, sequence: int, *, tag: str = "") -> Event:
    state = JobSnapshot(job, "failed", "error", sequence=sequence)
    return Event(f"evt_{job}_{sequence}_end{tag}", "video_translate.fail", None, state, {})


@pytest.mark.parametrize("readable", [True, False])
def test_an_end_with_a_sequence_at_which_the_job_went_on_is_news_once(*, readable: bool) -> None:
    """A service that was restored to an earlier point gives sequences anew, and nothing follows an end."""
    box = Box(readable=readable)
    box.push(1, 2)
    assert not box.inbox.knows(end("a", 2))
    assert box.inbox.offer(end("a", 2), pushed=True).verdict is Verdict.RELEASED
    assert box.inbox.knows(end("a", 2, tag="again"))
    assert box.inbox.offer(end("a", 2, tag="again"), pushed=True).verdict is Verdict.DUPLICATE
    assert box.inbox.offer(end("a", 1), pushed=True).verdict is Verdict.STALE, "one of before the last is old"
    assert box.push(2) == [Verdict.DUPLICATE]
    assert [item.job.status for item in box.released] == ["pending", "running", "failed"]
    assert not box.inbox.gaps()


def test_a_restored_inbox_knows_which_jobs_had_not_ended() -> None:
    box = Box()
    box.inbox.restore({"a": 2, "b": 2}, (), going_on={"a"})
    box.inbox.start_after("c", 2)
    told = [box.inbox.offer(end(job, 2), pushed=True).verdict for job in "abc"]
    assert told == [Verdict.RELEASED, Verdict.DUPLICATE, Verdict.DUPLICATE]


def test_the_same_transition_under_another_id_is_a_duplicate() -> None:
    box = Box()
    box.push(1)
    assert box.inbox.offer(event("a", 1, tag="again"), pushed=True).verdict is Verdict.DUPLICATE
    assert box.inbox.offer(event("a", 1, tag="read"), pushed=False).verdict is Verdict.KNOWN


def test_an_early_arrival_is_parked_until_the_gap_is_filled() -> None:
    box = Box()
    assert box.push(1, 3) == [Verdict.RELEASED, Verdict.PARKED]
    assert box.inbox.gap("a") == Gap("a", after=1, upto=3)
    assert box.inbox.gaps() == ["a"]
    assert box.push(2) == [Verdict.RELEASED]
    assert box.seen() == [1, 2, 3]
    assert box.inbox.gap("a") is None


def test_the_first_event_of_a_job_may_have_others_before_it() -> None:
    box = Box()
    assert box.push(2) == [Verdict.PARKED]
    assert box.inbox.gap("a") == Gap("a", after=0, upto=2)


def test_a_gap_that_the_log_cannot_fill_is_stepped_over_once_it_was_read() -> None:
    box = Box()
    box.push(1, 3)
    gap = box.inbox.gap("a")
    assert gap is not None
    box.push(5)  # arrived during the reading: 4 may be in the log by now
    assert box.inbox.settle(gap) == 1
    assert box.seen() == [1, 3]
    assert box.inbox.gap("a") == Gap("a", after=3, upto=5)
    assert box.push(2) == [Verdict.STALE]
    assert box.inbox.settle(Gap("nobody", 0, 9)) == 0


def test_a_job_can_be_taken_up_in_its_middle() -> None:
    box = Box()
    box.inbox.start_after("a", 2)
    assert box.push(3) == [Verdict.RELEASED]
    box.push(2, job="b")
    box.inbox.start_after("b", 2)  # too late: an event is parked already
    assert box.inbox.gap("b") == Gap("b", after=0, upto=2)


def test_only_the_first_arrival_beyond_a_gap_opens_it() -> None:
    box = Box()
    receipts = [box.inbox.offer(event("a", number), pushed=True) for number in (1, 3, 4)]
    assert [receipt.opens_gap for receipt in receipts] == [False, True, False]


def test_without_a_readable_log_the_newer_state_wins() -> None:
    box = Box(readable=False)
    assert box.push(2, 4, 3) == [Verdict.RELEASED, Verdict.RELEASED, Verdict.STALE]
    assert box.seen() == [2, 4]


def test_losing_the_log_lets_go_of_what_was_parked() -> None:
    box = Box()
    box.push(1, 3, 6)
    box.inbox.use_log(readable=False)
    assert box.seen() == [1, 3, 6]


def test_out_of_order_counts_what_the_wire_showed() -> None:
    box = Box()
    disorder = [box.inbox.offer(event("a", n), pushed=True).out_of_order for n in (1, 3, 2, 2, 4)]
    assert disorder == [False, True, True, False, False]
    box.read(5)
    assert not box.inbox.offer(event("a", 5), pushed=True).out_of_order
    assert not box.inbox.offer(event("b", 4), pushed=True).out_of_order  # began before this client did


def test_progress_passes_without_advancing_and_never_after_its_time() -> None:
    box = Box()
    box.push(1, 2)
    progress = event("a", 2, kind="video_translate.progress", tag="p1")
    assert box.inbox.offer(progress, pushed=True).verdict is Verdict.RELEASED
    assert box.inbox.offer(progress, pushed=True).verdict is Verdict.DUPLICATE
    assert box.push(3) == [Verdict.RELEASED]
    late = event("a", 2, kind="video_translate.progress", tag="p2")
    assert box.inbox.knows(late)
    assert not box.inbox.knows(event("a", 3, kind="video_translate.progress", tag="p3"))
    assert not box.inbox.knows(event("b", 1, kind="video_translate.progress", tag="p4"))
    assert box.inbox.offer(late, pushed=True).verdict is Verdict.STALE


def test_events_without_a_sequence_pass_once() -> None:
    box = Box()
    plain = event("a", None)
    assert box.inbox.offer(plain, pushed=True).verdict is Verdict.RELEASED
    assert box.inbox.offer(plain, pushed=True).verdict is Verdict.DUPLICATE
    nameless = Event("", "batch.finished", None, JobSnapshot("", "unknown", "pending"), {})
    assert box.inbox.offer(nameless, pushed=True).verdict is Verdict.RELEASED


def test_memory_is_bounded_and_a_jobs_place_outlives_its_event_ids() -> None:
    box = Box(remember_events=3, remember_jobs=2)
    for job in "abcd":
        box.push(1, 2, 3, job=job)
    assert box.push(3, job="c") == [Verdict.DUPLICATE]
    assert len(box.inbox._ids) == 3
    assert set(box.inbox._tracks) == {"c", "d"}


@pytest.mark.parametrize("pushed", [True, False])
def test_a_job_that_goes_on_after_its_end_is_not_forgotten_as_ended(pushed: bool) -> None:
    box = Box(remember_jobs=1)
    box.push(1, 2, 3)
    again = Event("evt_again", "x", None, JobSnapshot("a", "pending", "pending", sequence=4), {})
    box.inbox.offer(again, pushed=pushed)
    box.push(1, 2, 3, job="b")
    assert set(box.inbox._tracks) == {"a", "b"}


@st.composite
def wire(draw: st.DrawFn) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """Jobs with their lengths, and what the wire made of their pushes: lost, repeated, in any order."""
    jobs = {f"j{n}": length for n, length in enumerate(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))}
    everything = [(job, sequence) for job, length in jobs.items() for sequence in range(1, length + 1)]
    kept = [item for item in everything for _ in range(draw(st.integers(0, 3)))]
    return jobs, draw(st.permutations(kept))


@settings(max_examples=300)
@given(wire=wire(), chance=st.randoms(use_true_random=False))
def test_each_transition_reaches_the_callback_once_and_in_order(
    wire: tuple[dict[str, int], list[tuple[str, int]]], chance: random.Random
) -> None:
    jobs, arrivals = wire
    box = Box(remember_events=4)  # so few that (job, sequence) has to do the work
    for job, sequence in arrivals:
        box.push(sequence, job=job)
        if chance.random() < 0.3:
            fill(box, job, jobs[job])
    for job in [*box.inbox.gaps(), *jobs]:
        fill(box, job, jobs[job])
    for job, length in jobs.items():  # the safety net
        box.read(*range(1, length + 1), job=job)
        assert box.seen(job) == list(range(1, length + 1))
    assert box.inbox.gaps() == []


@settings(max_examples=200)
@given(wire=wire(), first=st.integers(1, 4))
def test_what_the_log_no_longer_holds_is_stepped_over_and_the_rest_stays_in_order(
    wire: tuple[dict[str, int], list[tuple[str, int]]], first: int
) -> None:
    jobs, arrivals = wire
    box = Box()
    for job, sequence in arrivals:
        box.push(sequence, job=job)
        fill(box, job, jobs[job], first=first)
    for job in jobs:
        seen = [number for number in box.seen(job) if number is not None]
        assert seen == sorted(set(seen))
    assert box.inbox.gaps() == []


def fill(box: Box, job: str, length: int, first: int = 1) -> None:
    """Read the log as the reconciler does: until no gap is left."""
    while (gap := box.inbox.gap(job)) is not None:
        box.read(*range(first, length + 1), job=job)
        box.inbox.settle(gap)
