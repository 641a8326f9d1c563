"""A handle made by `client.job(id)` for a job that is older than its client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.client.conftest import FAST, MakeClient
from tests.client.fake_server import FakeServer, error
from tests.client.test_job_events import WAY, Port, event, names, state
from tests.waiting import PATIENCE
from video_translation_client import ClientClosedError, Event, WaitTimeoutError
from video_translation_client._jobs import JobRegistry


def test_a_handle_that_comes_late_begins_with_what_the_log_holds() -> None:
    port = Port(told=True)
    registry = JobRegistry(port)
    job = registry.attach("vt_1", late=True)
    registry.observe(state("running", 2))
    registry.record(event("completed", 3))
    registry.observe(state("completed", 3), by_event=True)
    earlier = [event("pending", 1), event("running", 2), event("completed", 3)]
    port.on_beginning = lambda: registry.begin("vt_1", earlier)
    assert [[item.id for item in job.events(timeout=PATIENCE)] for _ in range(2)] == [["evt_1", "evt_2", "evt_3"]] * 2
    assert (port.beginnings, port.sought) == (["vt_1"], 0)


def test_the_beginning_is_not_looked_for_where_the_first_event_came_by_itself() -> None:
    port = Port(told=True)
    registry = JobRegistry(port)
    for number, status in enumerate(WAY, start=1):
        registry.record(event(status, number))
    assert names(registry.attach("vt_1", late=True).events(timeout=PATIENCE)) == list(WAY)
    later = registry.attach("vt_2", late=True)
    for number, status in enumerate(WAY, start=1):
        registry.record(Event(f"evt_{number}", "x", None, replace(state(status, number), id="vt_2"), raw={}))
    registry.begin("vt_2", [event("pending", 1)])
    assert names(later.events(timeout=PATIENCE)) == list(WAY)
    assert port.beginnings == []


def test_closing_ends_the_search_for_the_beginning() -> None:
    registry = JobRegistry(Port(told=True))
    waiting, ended = registry.attach("vt_1", late=True), registry.attach("vt_2", late=True)
    registry.observe(replace(state("failed"), id="vt_2"))
    registry.record(Event("evt_9", "x", None, replace(state("failed"), id="vt_2"), raw={}))
    streams = [job.events(timeout=0) for job in (waiting, ended)]
    for stream in streams:
        with pytest.raises(WaitTimeoutError):
            next(stream)
    registry.close(ClientClosedError("closed"))
    assert names(streams[1]) == ["failed"]
    with pytest.raises(ClientClosedError):
        next(streams[0])


def test_a_handle_of_a_second_client_begins_with_the_jobs_first_event(
    server: FakeServer, make_client: MakeClient
) -> None:
    (job,) = make_client().translate("https://v", ["French"])
    server.move(job.id, "running")
    client = make_client()
    stream = client.job(job.id).events(timeout=PATIENCE)
    assert [next(stream).job.status for _ in range(2)] == ["pending", "running"]
    server.push(server.move(job.id, "completed"))
    client.job(job.id).refresh()
    assert names(stream) == ["completed"]
    assert [item.id for item in client.job(job.id).events(timeout=PATIENCE)] == [
        item["event_id"] for item in server.log
    ]
    late = make_client()
    handle = late.job(job.id)
    assert handle.result(timeout=PATIENCE).status == "completed"
    late.close()
    assert names(handle.events(timeout=PATIENCE))[-1:] == ["completed"]


def test_where_the_log_is_away_for_a_while_the_reader_waits_for_it(server: FakeServer, make_client: MakeClient) -> None:
    (job,) = make_client().translate("https://v", ["French"])
    server.move(job.id, "completed")
    server.overrides["events"] = lambda: error(503, "unavailable")
    handle = make_client(max_retries=0).job(job.id)
    stream = handle.events(timeout=PATIENCE)
    assert handle.result(timeout=PATIENCE).status == "completed"
    with pytest.raises(WaitTimeoutError):
        next(handle.events(timeout=0))
    del server.overrides["events"]
    assert names(stream) == ["pending", "completed"]


def test_a_service_without_a_log_tells_what_was_asked_for(plain_server: FakeServer, make_client: MakeClient) -> None:
    (job,) = make_client(plain_server.url).translate("https://v", ["French"])
    plain_server.move(job.id, "completed")
    handle = make_client(plain_server.url, poll=FAST).job(job.id)
    assert names(handle.events(timeout=PATIENCE))[-1:] == ["completed"]
