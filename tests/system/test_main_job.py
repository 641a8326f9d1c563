"""The main job between real processes: transitions are pushed, signed, in order, once, whatever dies meanwhile."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from examples.local_server import LocalServer
from tests.waiting import PATIENCE, until
from video_translation_client import Event, Job, JobFailedError, VideoTranslationClient

VIDEO = "https://example.com/talk.mp4"


class Seen:
    """A callback that keeps what came, and can be waited on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.events) >= count, PATIENCE)
        assert came, f"{len(self.events)} of {count} events came: {self.events}"

    def of(self, job: Job) -> list[tuple[int | None, str]]:
        return [(event.job.sequence, event.job.status) for event in self.events if event.job.id == job.id]


def logged(server: LocalServer) -> list[str]:
    answer = httpx.get(f"{server.url}/v3/webhooks/events", params={"after": "cur_0", "limit": 100})
    return [event["event_id"] for event in answer.json()["data"] if event["event_type"] != "endpoint.test"]


def test_each_transition_arrives_once_in_order_and_wakes_everyone(own_server: LocalServer) -> None:
    seen = Seen()
    with VideoTranslationClient(own_server.url) as client:
        registration = client.register_webhook(seen)
        good, bad = client.translate(VIDEO, ["French"], simulation={"duration_seconds": 0.5}) + client.translate(
            VIDEO,
            ["German"],
            simulation={"duration_seconds": 0.5, "outcome": "failed", "error_message": "no audio"},
        )
        snapshot = good.result(timeout=PATIENCE)
        with pytest.raises(JobFailedError, match="no audio"):
            bad.result(timeout=PATIENCE)
        error = registration.wait_for("error", timeout=PATIENCE)
        seen.wait_for(6)
        metrics = client.metrics()
    assert snapshot.result == "completed"
    assert error is not None
    assert error.id == bad.id
    assert seen.of(good) == [(1, "pending"), (2, "running"), (3, "completed")]
    assert seen.of(bad) == [(1, "pending"), (2, "running"), (3, "failed")]
    assert {event.id for event in seen.events} == set(logged(own_server))
    assert (metrics.pushes_received, metrics.duplicates_dropped, metrics.out_of_order) == (6, 0, 0)
    assert metrics.status_calls == 1


def test_closing_the_client_deletes_its_endpoint(server: LocalServer) -> None:
    with VideoTranslationClient(server.url) as client:
        client.register_webhook()
        assert len(httpx.get(f"{server.url}/v3/webhooks/endpoints").json()["data"]) == 1
    assert httpx.get(f"{server.url}/v3/webhooks/endpoints").json()["data"] == []


def test_a_self_started_job_is_known_without_a_request_for_it(make_server: Callable[..., LocalServer]) -> None:
    server = make_server("--start-job", "true", "--translation-time", "0.2")
    server.start()
    with VideoTranslationClient(server.url) as client:
        snapshot = client.register_webhook().wait_for("completed", timeout=PATIENCE)
    assert snapshot is not None
    assert snapshot.title == "Self-started job"


@contextmanager
def service(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """A user's own FastAPI service, in a thread."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        running.should_exit = True
        thread.join()


def test_a_receiver_that_comes_up_late_gets_everything_in_order(own_server: LocalServer) -> None:
    seen, app = Seen(), FastAPI()
    with socket.socket() as listening, VideoTranslationClient(own_server.url) as client:
        listening.bind(("127.0.0.1", 0))  # bound, not listening yet: connections are refused
        port = listening.getsockname()[1]
        app.include_router(client.webhook_router("/hooks"))
        client.register_webhook(seen, url=f"http://127.0.0.1:{port}/hooks")
        (job,) = client.translate(VIDEO, ["French"], simulation={"duration_seconds": 0.3})
        # The job ends while nobody listens.
        until(lambda: len(logged(own_server)) == 3)
        with service(app, listening):
            seen.wait_for(3)
            assert job.result(timeout=PATIENCE).status == "completed"
    assert seen.of(job) == [(1, "pending"), (2, "running"), (3, "completed")]


def test_two_clients_of_one_server_both_see_every_job(server: LocalServer) -> None:
    first_seen, second_seen = Seen(), Seen()
    with VideoTranslationClient(server.url) as first, VideoTranslationClient(server.url) as second:
        first.register_webhook(first_seen)
        second.register_webhook(second_seen)
        mine = first.translate(VIDEO, ["French"], simulation={"duration_seconds": 0.2})
        theirs = second.translate(VIDEO, ["German"], simulation={"duration_seconds": 0.2})
        for job in mine + theirs:
            job.result(timeout=PATIENCE)
        for seen in (first_seen, second_seen):
            seen.wait_for(6)
            for job in mine + theirs:
                assert seen.of(job) == [(1, "pending"), (2, "running"), (3, "completed")]


def test_a_killed_and_restarted_server_goes_on_where_it_stopped(own_server: LocalServer) -> None:
    seen = Seen()
    with VideoTranslationClient(own_server.url) as client:
        client.register_webhook(seen)
        jobs = client.translate(VIDEO, ["French", "German", "Hindi"], simulation={"duration_seconds": 1.5})
        seen.wait_for(6)  # pending and running of all three: now they are in mid-job
        own_server.kill()
        own_server.start()
        for job in jobs:
            assert job.result(timeout=PATIENCE).status == "completed"
        seen.wait_for(9)
        assert len(seen.events) == len(logged(own_server)) == 9
    for job in jobs:
        assert seen.of(job) == [(1, "pending"), (2, "running"), (3, "completed")]


def test_a_server_killed_again_and_again_loses_nothing(own_server: LocalServer) -> None:
    seen = Seen()
    with VideoTranslationClient(own_server.url) as client:
        client.register_webhook(seen)
        jobs = client.translate(VIDEO, ["French", "German", "Hindi", "Czech"], simulation={"duration_seconds": 1})
        for count in (2, 5, 9):
            seen.wait_for(count)
            own_server.kill()
            own_server.start()
        seen.wait_for(12)
        assert {event.id for event in seen.events} == set(logged(own_server))
    for job in jobs:
        assert seen.of(job) == [(1, "pending"), (2, "running"), (3, "completed")]


REGISTER_AND_WAIT = """
import sys
from video_translation_client import VideoTranslationClient
client = VideoTranslationClient(sys.argv[1], webhook_port=int(sys.argv[2]))
print(client.register_webhook().endpoint_id, flush=True)
sys.stdin.read()
"""


def test_a_run_after_a_killed_one_replaces_its_endpoint(server: LocalServer, unused_port: int) -> None:
    command = [sys.executable, "-c", REGISTER_AND_WAIT, server.url, str(unused_port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        orphan = killed.stdout.readline().strip()
        killed.kill()
    assert orphan.startswith("ep_")
    with VideoTranslationClient(server.url, webhook_port=unused_port) as client:
        registration = client.register_webhook()
        endpoints = httpx.get(f"{server.url}/v3/webhooks/endpoints").json()["data"]
    assert [endpoint["endpoint_id"] for endpoint in endpoints] == [registration.endpoint_id]
    assert registration.endpoint_id != orphan


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_ctrl_c_ends_with_an_attempt_under_way_and_the_next_start_goes_on(
    make_server: Callable[..., LocalServer],
) -> None:
    server = make_server("--attempt-timeout", "20")
    server.start()
    with hanging_receiver() as url:
        httpx.post(f"{server.url}/v3/webhooks/endpoints", json={"url": url}).raise_for_status()
        body = {"video": {"type": "url", "url": VIDEO}, "output_languages": ["French"]}
        httpx.post(f"{server.url}/v3/video-translations", json=body).raise_for_status()
        url_is_called.wait(PATIENCE)
        os.kill(server.pid, signal.SIGINT)
        code = server.stop(timeout=10.0)  # far less than the attempt would take
        assert code == 0
        url_is_called.clear()
        server.start()
        # The attempt that was aborted is due again at once: its lease was given back.
        assert url_is_called.wait(PATIENCE)


url_is_called = threading.Event()


@contextmanager
def hanging_receiver() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                taken.append(connection)
                url_is_called.set()

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()
