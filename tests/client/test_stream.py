from __future__ import annotations

import logging
import random
import threading

import httpx
import pytest

from tests.client.conftest import FAST, MakeClient
from tests.client.cutting_proxy import CuttingProxy
from tests.client.fake_server import FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import AsyncVideoTranslationClient, VideoTranslationClient


@pytest.fixture
def streaming(server: FakeServer) -> FakeServer:
    server.streams = True
    return server


def opened(client: VideoTranslationClient) -> bool:
    health = client.health()
    return health.mode == "stream" and health.connected


def stream_threads() -> int:
    return sum(thread.name == "video-translation-stream" for thread in threading.enumerate())


def test_a_job_is_followed_over_the_stream_and_nothing_is_asked(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    client = make_client()
    client.on_event(recorder)
    jobs = client.translate("https://v", ["French", "German"])
    until(lambda: client._engine.reconciler.covered)  # who waits before that has the log read at once
    for job in jobs:
        streaming.move(job.id, "running")
        streaming.move(job.id, "completed", video_url="https://cdn/1")
    assert [job.result(PATIENCE).video_url for job in jobs] == ["https://cdn/1"] * 2
    recorder.wait_for(6)
    assert all(recorder.sequences(job.id) == [1, 2, 3] for job in jobs)
    assert streaming.count("job") == streaming.count("status") == 0
    assert streaming.resumed_from == ["cur_0"]
    assert caplog.text.count("mode stream: nothing is registered, and the service has an event log") == 1
    client.close()
    assert stream_threads() == 0
    metrics = client.metrics()
    assert (metrics.duplicates_dropped, metrics.out_of_order, metrics.gaps_found) == (0, 0, 0)
    assert metrics.events == 6, "by the stream, or where it opened late, by the one read of the log"


def test_what_was_before_the_first_job_is_not_told(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    streaming.new_job()
    client = make_client()
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    recorder.wait_for(1)
    assert [event.job.id for event in recorder.events] == [job.id]


def test_a_stream_that_is_cut_again_and_again_repeats_and_misses_nothing(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setattr(client._engine.modes._stream, "_policy", FAST)
    client.on_event(recorder)
    jobs = client.translate("https://v", ["French", "German", "Italian"])
    for status in ("running", "completed"):
        for job in jobs:
            before = len(streaming.resumed_from)
            streaming.cut_streams()
            streaming.move(job.id, status)
            streaming.wait_for(lambda before=before: len(streaming.resumed_from) > before)  # type: ignore[misc]
    recorder.wait_for(9)
    assert all(recorder.sequences(job.id) == [1, 2, 3] for job in jobs)
    assert [job.result(PATIENCE).status for job in jobs] == ["completed"] * 3
    assert client.metrics().duplicates_dropped == 0


def test_a_silent_peer_is_left_and_the_stream_goes_on(
    streaming: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setattr(client._engine.modes._stream, "_silence", 0.1)
    (job,) = client.translate("https://v", ["French"])
    streaming.wait_for(lambda: len(streaming.resumed_from) >= 3)  # no heartbeat came
    streaming.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_heartbeats_keep_a_stream_and_move_its_place(
    streaming: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    streaming.heartbeat = 0.01
    client = make_client()
    monkeypatch.setattr(client._engine.modes._stream, "_silence", 5.0)
    client.translate("https://v", ["French"])
    until(lambda: client._engine.reconciler._signs > 10)
    assert len(streaming.resumed_from) == 1
    assert client.health().cursor == "cur_1"


def test_a_place_that_the_log_has_forgotten_is_started_over_with_a_look_at_the_jobs(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    client.on_event(recorder)
    (job, other) = client.translate("https://v", ["French", "German"])
    until(lambda: client.health().cursor == "cur_2")
    with streaming.lock:
        streaming.cut_streams()
        streaming.move(job.id, "completed")  # nobody will tell
        streaming.oldest = len(streaming.log)
    assert job.result(PATIENCE).status == "completed"
    streaming.move(other.id, "completed")
    assert other.result(PATIENCE).status == "completed"
    assert "cannot be read on" in caplog.text
    assert streaming.count("job") >= 1


def test_a_service_without_a_stream_is_polled(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    client = make_client(poll=FAST)
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(3)
    until(lambda: client.health().mode == "poll")
    assert "mode poll: the service gives no event stream" in caplog.text
    assert server.count("stream") == 1
    assert "404" in (client.health().last_error or "")


def test_a_stream_that_stays_broken_turns_to_polling_and_back(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(poll=FAST)
    monkeypatch.setattr(client._engine.modes._stream, "_patience", 0.0)
    monkeypatch.setattr(client._engine.modes._stream, "_policy", FAST)
    client.on_event(recorder)
    (job, other) = client.translate("https://v", ["French", "German"])
    until(lambda: opened(client))
    streaming.overrides["stream"] = lambda: error(503, "internal_error")
    streaming.cut_streams()
    until(lambda: client.health().mode == "poll")
    streaming.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"
    streaming.overrides.clear()
    until(lambda: opened(client))
    streaming.move(other.id, "completed")
    recorder.wait_for(4)
    assert recorder.sequences(job.id) == recorder.sequences(other.id) == [1, 2]


def test_what_nobody_can_read_on_the_stream_is_skipped(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    streaming.log.append({"event_id": "evt_odd", "event_type": 3, "event_data": {}})
    streaming.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"
    assert "is skipped" in caplog.text


def test_a_log_that_was_pruned_to_the_last_event_is_followed_from_there(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    gone = (410, {"error": {"code": "cursor_expired", "message": "the oldest is cur_0"}})
    answers = iter([None, gone])
    streaming.overrides["events"] = lambda: next(answers, None)
    client = make_client()
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    streaming.move(job.id, "completed")
    recorder.wait_for(2)
    assert client.health().mode == "stream"


async def test_the_async_client_follows_the_stream_too(streaming: FakeServer, recorder: Recorder) -> None:
    async with AsyncVideoTranslationClient(streaming.url) as client:
        client.on_event(recorder)
        (job,) = await client.translate("https://v", ["French"])
        streaming.move(job.id, "running")
        streaming.move(job.id, "completed", video_url="https://cdn/1")
        assert (await job).video_url == "https://cdn/1"
        recorder.wait_for(3)
        health = client.health()
    assert (health.mode, recorder.sequences(job.id)) == ("stream", [1, 2, 3])
    assert streaming.count("job") == 0


def test_closing_in_the_middle_of_a_silence_is_quick(streaming: FakeServer, make_client: MakeClient) -> None:
    client = make_client(streaming.url)
    client.translate("https://v", ["French"])
    until(lambda: opened(client))
    client.close()
    assert stream_threads() == 0


def test_a_hook_of_the_users_that_raises_does_not_end_the_stream(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[str] = []

    def hook(request: httpx.Request) -> None:
        if request.url.path.endswith("/events/stream") and not raised:
            raised.append(request.url.path)
            raise ZeroDivisionError("on purpose")

    with httpx.Client(event_hooks={"request": [hook]}) as http:
        client = make_client(http_client=http)
        client.on_event(recorder)
        (job,) = client.translate("https://v", ["French"])
        streaming.move(job.id, "running")
        streaming.move(job.id, "completed")
        assert job.result(PATIENCE).status == "completed"
        recorder.wait_for(3)
        client.close()
    assert recorder.sequences(job.id) == [1, 2, 3]
    assert raised
    assert "Traceback" in caplog.text


def test_a_service_sends_nobody_away_for_more_than_ten_minutes(make_client: MakeClient) -> None:
    stream = make_client("http://localhost:1")._engine.modes._stream
    stream._retry = 999_999.0
    assert all(600.0 <= stream._pause(failures) <= 750.0 for failures in (0, 1, 9))  # and a quarter of it at random


def test_an_answer_that_is_no_stream_is_none(
    server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    server.overrides["stream"] = lambda: (200, {"hello": "I am a proxy"})
    client = make_client(poll=FAST)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"
    until(lambda: "what should be the event stream is application/json" in caplog.text)


@pytest.mark.parametrize("seed", range(3))
def test_cuts_at_random_bytes_repeat_and_miss_nothing(
    streaming: FakeServer, make_client: MakeClient, recorder: Recorder, seed: int
) -> None:
    with CuttingProxy(streaming.port, random.Random(seed)) as proxy:
        client = make_client(proxy.url, max_retries=5)
        client.on_event(recorder)
        jobs = client.translate("https://v", ["French", "German", "Italian"])
        for status in ("running", "completed"):
            for job in jobs:
                streaming.move(job.id, status)
        recorder.wait_for(9)
        assert all(recorder.sequences(job.id) == [1, 2, 3] for job in jobs)
        assert [job.result(PATIENCE).status for job in jobs] == ["completed"] * 3
        assert proxy.cuts >= 1
        client.close()
