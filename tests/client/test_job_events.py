from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.client.conftest import FAST, MakeClient
from tests.client.fake_server import FakeServer
from tests.waiting import PATIENCE
from video_translation_client import ClientClosedError, Event, JobSnapshot, WaitTimeoutError
from video_translation_client._job_events import EventStream
from video_translation_client._jobs import JobRegistry
from video_translation_client._landing import Wish
from video_translation_client._transitions import Transitions


class Port:
    """Says whether events come, and counts how often somebody looks for them."""

    def __init__(self, *, told: bool) -> None:
        self.told = told
        self.sought = 0
        self.on_seek: Callable[[], object] = lambda: None
        self.beginnings: list[str] = []
        self.on_beginning: Callable[[], object] = lambda: None

    def read_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        raise NotImplementedError

    def cancel_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)

    def defer(self, work: Callable[[], object]) -> None:
        work()

    def events_come(self) -> bool:
        return self.told

    def wake(self, job_id: str) -> None:
        """Nobody asks for jobs here."""

    def seek_events(self) -> None:
        self.sought += 1
        self.on_seek()

    def seek_beginning(self, job_id: str) -> None:
        self.beginnings.append(job_id)
        self.on_beginning()


def state(status: str, sequence: int | None = None, **fields: object) -> JobSnapshot:
    return JobSnapshot("vt_1", status, "pending", sequence=sequence, **fields)  # type: ignore[arg-type]


def event(status: str, sequence: int | None = None) -> Event:
    return Event(f"evt_{sequence}", f"video_translate.{status}", None, state(status, sequence), raw={})


WAY = ("pending", "running", "completed")


def names(events: Iterator[Event]) -> list[str]:
    return [item.job.status for item in events]


def test_events_are_read_from_the_first_known_to_the_last() -> None:
    registry = JobRegistry(Port(told=True))
    registry.record(event("pending", 1))
    job = registry.attach("vt_1")
    for number, status in enumerate(WAY[1:], start=2):
        registry.observe(state(status, number), by_event=True)
        registry.record(event(status, number))
    assert names(job.events()) == list(WAY)
    assert [item.id for item in job.events()] == ["evt_1", "evt_2", "evt_3"]
    ended = job.events(timeout=0)
    assert names(ended) == list(WAY)
    assert names(ended) == []


def test_progress_is_no_transition_and_nothing_comes_twice() -> None:
    transitions = Transitions()
    for item in (event("pending", 1), event("progress", 1), event("pending", 1), event("running", 2), event("late", 1)):
        transitions.take(item)
    assert [transitions.at(place)[0] for place in range(3)] == [event("pending", 1), event("running", 2), None]


def test_where_nothing_tells_the_answers_are_the_events() -> None:
    registry = JobRegistry(Port(told=False))
    job = registry.attach("vt_1")
    for status, sequence in (("pending", 1), ("pending", 1), ("dreaming", 2), ("completed", 4)):
        registry.observe(state(status, sequence, updated_at=12.0))
    read = list(job.events())
    assert [item.type.rpartition(".")[2] for item in read] == ["pending", "dreaming", "success"]
    assert [(item.id, dict(item.raw)) for item in read] == [("", {})] * 3
    assert {item.created_at.timestamp() for item in read if item.created_at} == {12.0}


def test_a_service_that_does_not_count_gives_each_status_once() -> None:
    registry = JobRegistry(Port(told=False))
    job = registry.attach("vt_1")
    for status in ("pending", "pending", "running", "running", "pending", "failed"):
        registry.observe(state(status))
    assert names(job.events()) == ["pending", "running", "failed"]


def test_an_answer_does_not_overtake_events_that_are_under_way() -> None:
    port = Port(told=True)
    registry = JobRegistry(port)
    job = registry.attach("vt_1")
    registry.record(event("pending", 1))
    registry.observe(state("completed", 3))
    assert job.done()

    def read_log() -> None:
        registry.record(event("running", 2))
        registry.record(event("completed", 3))

    port.on_seek = read_log
    assert [item.id for item in job.events(timeout=PATIENCE)] == ["evt_1", "evt_2", "evt_3"]
    assert port.sought == 1


def test_a_held_answer_stands_in_for_the_event_that_the_log_does_not_hold() -> None:
    transitions = Transitions()
    transitions.observe(state("running"), hold=True)
    transitions.take(event("completed"))
    assert [transitions.at(place)[0] for place in range(2)] == [
        Event("", "video_translate.running", None, state("running"), raw={}),
        event("completed"),
    ]


def test_a_held_answer_that_nothing_tells_of_is_read_in_the_end() -> None:
    transitions = Transitions()
    transitions.observe(state("completed", 3), hold=True)
    assert transitions.pause(0.0) is not None
    assert transitions.press(1e9) is True
    assert transitions.press(1e9 + 1) is False
    assert transitions.at(0)[0] is None
    assert transitions.press(2e9) is False
    found, _ = transitions.at(0)
    assert found is not None
    assert found.job.sequence == 3


def test_only_the_newest_transitions_are_kept() -> None:
    transitions = Transitions()
    for number in range(1, 201):
        transitions.take(event("dreaming", number))
    first, place = transitions.at(0)
    assert first is not None
    assert (first.job.sequence, place) == (137, 137)


def test_events_of_jobs_that_nobody_asked_for_are_bounded() -> None:
    registry = JobRegistry(Port(told=True))
    for number in range(2_000):
        job = JobSnapshot(f"vt_{number}", "pending", "pending", sequence=1)
        registry.record(Event(f"evt_{number}", "video_translate.pending", None, job, raw={}))
    assert len(registry._unclaimed) == 1_000


def test_a_timeout_says_which_job_and_where_it_stands() -> None:
    registry = JobRegistry(Port(told=True))
    job = registry.attach("vt_1", state("running"))
    with pytest.raises(TimeoutError, match=r"vt_1.*running") as caught:
        next(job.events(timeout=0))
    assert isinstance(caught.value, WaitTimeoutError)
    assert caught.value.job_id == "vt_1"


async def test_async_for_wakes_by_another_thread_and_needs_no_thread_itself() -> None:
    registry = JobRegistry(Port(told=True))
    job = registry.attach("vt_1")
    registry.record(event("pending", 1))

    async def read(stream: AsyncIterator[Event]) -> list[str]:
        return [item.job.status async for item in stream]

    readers = [asyncio.create_task(read(job.events())) for _ in range(50)]
    await asyncio.sleep(0)
    before = threading.active_count()

    def move() -> None:
        for number, status in enumerate(WAY[1:], start=2):
            registry.record(event(status, number))

    assert threading.active_count() == before
    mover = threading.Thread(target=move)
    mover.start()
    assert await asyncio.gather(*readers) == [list(WAY)] * 50
    mover.join()
    assert job._transitions._wakes == ()
    with pytest.raises(WaitTimeoutError):
        await anext(registry.attach("vt_2").events(timeout=0.01))


def test_closing_ends_the_reading_after_what_is_known() -> None:
    registry = JobRegistry(Port(told=True))
    job = registry.attach("vt_1")
    stream = job.events()
    registry.record(event("pending", 1))
    assert next(stream).job.status == "pending"
    closer = threading.Timer(0.01, registry.close, [ClientClosedError("closed")])
    closer.start()
    with pytest.raises(ClientClosedError):
        next(stream)
    closer.join()


def test_many_writers_and_readers_lose_nothing() -> None:
    transitions = Transitions()
    everything = [event("dreaming", number) for number in range(1, 60)] + [event("completed", 60)]
    results: list[list[int | None]] = []

    def read() -> None:
        stream = EventStream(
            transitions,
            seek=lambda: None,
            begin=lambda: None,
            expired=lambda: AssertionError("late"),
            timeout=30,
        )
        results.append([item.job.sequence for item in stream])

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for item in everything:
        transitions.take(item)
    for reader in readers:
        reader.join()
    assert results == [list(range(1, 61))] * 8


def test_pushed_transitions_reach_the_readers_in_order(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    running, completed = server.move(job.id, "running"), server.move(job.id, "completed")
    server.push(completed, running, completed, server.log[0])
    assert [item.id for item in job.events(timeout=PATIENCE)] == [item["event_id"] for item in server.log]


def test_a_refresh_does_not_make_a_reader_miss_what_was_not_pushed(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    server.move(job.id, "completed")
    assert job.refresh().terminal
    assert [item.id for item in job.events(timeout=PATIENCE)] == [item["event_id"] for item in server.log]


def test_polled_transitions_reach_the_readers_too(plain_server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(plain_server.url, poll=FAST)
    (job,) = client.translate("https://v", ["French"])
    stream = job.events(timeout=PATIENCE)
    assert next(stream).type == "video_translate.pending"
    plain_server.move(job.id, "failed")
    assert names(stream) == ["failed"]
