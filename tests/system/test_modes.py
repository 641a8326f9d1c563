"""No lost webhook, cut stream or stopped server keeps a caller waiting: every event comes once and in order."""

import random
import socket
from collections.abc import Callable

import pytest

from examples.local_server import LocalServer
from tests.client.cutting_proxy import CuttingProxy
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import Job, PollPolicy, VideoTranslationClient

VIDEO = "https://example.com/talk.mp4"
SOON = PollPolicy(first=0.2, factor=1.0, cap=0.2, jitter=0.0)
IN_ORDER = [1, 2, 3]


def translated(client: VideoTranslationClient, *languages: str, seconds: float = 0.5) -> list[Job]:
    return list(client.translate(VIDEO, list(languages), simulation={"duration_seconds": seconds}))


def all_came(seen: Recorder, jobs: list[Job]) -> None:
    for job in jobs:
        assert job.result(timeout=PATIENCE).status == "completed"
    seen.wait_for(3 * len(jobs), timeout=PATIENCE)
    assert [seen.sequences(job.id) for job in jobs] == [IN_ORDER] * len(jobs)
    assert len(seen.events) == 3 * len(jobs)


@pytest.mark.parametrize("mode", ["auto", "webhook", "stream", "poll"])
def test_each_mode_tells_every_transition_once_and_in_order(server: LocalServer, mode: str) -> None:
    seen = Recorder()
    with VideoTranslationClient(server.url, mode=mode, poll=SOON) as client:  # type: ignore[arg-type]
        client.on_event(seen)
        all_came(seen, translated(client, "French", "German"))
        assert client.health().mode == ("stream" if mode == "auto" else mode)
        assert client.metrics().status_calls == (1 if mode == "webhook" else 0)


def test_where_the_service_cannot_reach_the_receiver_the_stream_takes_over(server: LocalServer) -> None:
    seen = Recorder()
    with socket.socket() as unused, VideoTranslationClient(server.url) as client:
        unused.bind(("127.0.0.1", 0))  # and not listening: connections are refused
        registration = client.register_webhook(seen, url=f"http://127.0.0.1:{unused.getsockname()[1]}/hook")
        jobs = translated(client, "French", "German", seconds=2.5)
        all_came(seen, jobs)
        assert registration.wait_for("completed", timeout=PATIENCE, job_id=jobs[0].id) is not None
        health = client.health()
    assert (health.mode, health.registered) == ("stream", True)
    assert "cannot reach" in health.reason
    assert "refused" in health.reason


def test_deliveries_that_are_dropped_on_the_way_are_found_by_the_safety_net(server: LocalServer) -> None:
    seen = Recorder()
    with VideoTranslationClient(server.url, mode="webhook", safety_net=SOON) as client:
        client.register_webhook(seen)
        client._engine.receiver.is_test = lambda _: True  # taken, answered with 204, and lost
        all_came(seen, translated(client, "French", "German"))
        assert client.metrics().pushes_received == 0


def test_a_server_that_is_killed_and_started_again_in_mid_stream_loses_nothing(server: LocalServer) -> None:
    seen = Recorder()
    with VideoTranslationClient(server.url, mode="stream", poll=SOON) as client:
        client.on_event(seen)
        jobs = translated(client, "French", "German", seconds=1.5)
        seen.wait_for(2)
        server.kill()
        server.start()
        all_came(seen, jobs)


def test_a_stream_ends_when_the_server_stops_and_goes_on_when_it_is_back(
    make_server: Callable[..., LocalServer],
) -> None:
    server, seen = make_server(), Recorder()
    server.start()
    with VideoTranslationClient(server.url, mode="stream", poll=SOON) as client:
        client.on_event(seen)
        jobs = translated(client, "French", seconds=1.0)
        seen.wait_for(1)
        assert server.stop(timeout=5.0) == 0
        server.start()
        all_came(seen, jobs)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stream_that_is_cut_at_random_bytes_repeats_and_misses_nothing(server: LocalServer, seed: int) -> None:
    seen = Recorder()
    with CuttingProxy(server.port, random.Random(seed), shortest=1500, longest=6000) as proxy:
        with VideoTranslationClient(proxy.url, mode="stream", poll=SOON, max_retries=5) as client:
            client.on_event(seen)
            all_came(seen, translated(client, "French", "German", "Hindi", "Czech"))
            assert client.metrics().duplicates_dropped == 0
        assert proxy.cuts >= 1
