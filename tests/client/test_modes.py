from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from tests.client.conftest import FAST, MakeClient
from tests.client.fake_server import Answer, FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import Health, ServerError, VideoTranslationClient

HOOK = "http://127.0.0.1:9/hook"


def hurried(client: VideoTranslationClient, monkeypatch: pytest.MonkeyPatch) -> VideoTranslationClient:
    monkeypatch.setattr(client._engine.modes._probe, "_looks", (0.02, 0.02, 0.02))
    monkeypatch.setattr("video_translation_client._modes._START_UP", 0.0)
    return client


def test_a_mode_that_there_is_not_is_refused_with_those_that_there_are(make_client: MakeClient) -> None:
    with pytest.raises(ValueError, match="auto, webhook, stream, poll"):
        make_client("http://localhost:1", mode="carrier pigeon")


def test_an_idle_client_has_asked_nobody(server: FakeServer, make_client: MakeClient) -> None:
    health = make_client().health()
    assert (health.mode, health.connected, health.registered, health.waiting) == ("idle", False, False, 0)
    assert (health.last_event_at, health.last_error, health.cursor) == (None, None, None)
    assert server.requests.total() == 0


def test_webhook_mode_registers_by_itself_when_the_first_job_is_followed(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client(mode="webhook")
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    assert client.health().registered
    server.move(job.id, "completed")
    server.push(*server.log)
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(2)
    assert (server.count("job"), server.count("stream"), server.count("test_endpoint")) == (0, 0, 0)


def test_webhook_mode_fails_loudly_where_it_cannot_register(server: FakeServer, make_client: MakeClient) -> None:
    server.overrides["create_endpoint"] = lambda: error(500, "internal_error", "the disk is full")
    with pytest.raises(ServerError, match="disk is full"):
        make_client(mode="webhook", max_retries=0).translate("https://v", ["French"])
    assert server.count("translate") == 0


def test_stream_and_poll_are_what_they_say(server: FakeServer, make_client: MakeClient) -> None:
    server.streams = True
    polling, streaming = make_client(mode="poll", poll=FAST), make_client(mode="stream")
    for client in (polling, streaming):
        (job,) = client.translate("https://v", ["French"])
        server.move(job.id, "completed")
        assert job.result(PATIENCE).status == "completed"
    assert [(c.health().mode, c.health().reason) for c in (polling, streaming)] == [
        ("poll", "as asked for"),
        ("stream", "as asked for"),
    ]
    until(lambda: server.count("stream"))  # the job may have ended before the thread of the stream began
    assert server.count("stream") == 1


def test_the_test_delivery_proves_the_way_and_is_nobodys_event(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tests = "refused"
    client = hurried(make_client(), monkeypatch)
    server.overrides["test_endpoint"] = lambda: _deliver_at_once(server)
    client.register_webhook(recorder)
    until(lambda: client.health().reason == "the test delivery arrived")
    server.push(server.log[-1])  # a repetition is no news either
    client._engine.reconciler.catch_up()
    (job,) = client.translate("https://v", ["French"])
    server.push(server.log[-1])
    recorder.wait_for(1)
    client.close()
    assert [event.job.id for event in recorder.events] == [job.id]
    metrics = client.metrics()
    assert (metrics.pushes_received, metrics.events, metrics.duplicates_dropped) == (1, 1, 0)
    assert (server.count("delivery"), server.count("stream")) == (0, 0)
    assert client.health().last_push_at is not None


def _deliver_at_once(server: FakeServer) -> tuple[int, dict[str, object]]:
    """Deliver, and repeat it, before the answer that tells the client which event it asked for."""
    with server.lock:
        answer = server._test_endpoint(next(iter(server.endpoints)), {}, None)
        event = server.log[-1]
    assert server.push(event, event) == [204, 204]
    return answer


@pytest.mark.parametrize(
    "answer",
    [lambda server: server._test_endpoint("ep_1", {}, None), lambda _: error(404, "gone")],
    ids=["made", "gone"],
)
def test_an_answer_that_concerns_the_registration_before_leaves_the_test_of_the_next_one_alone(
    server: FakeServer,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[FakeServer], Answer],
) -> None:
    server.tests = "refused"
    client = hurried(make_client(), monkeypatch)
    asked, next_one = threading.Event(), threading.Event()

    def first() -> Answer:
        server.overrides["test_endpoint"] = lambda: _deliver_at_once(server)
        asked.set()
        assert next_one.wait(PATIENCE)
        return answer(server)

    server.overrides["test_endpoint"] = first
    registration = client.register_webhook(url=HOOK)
    assert asked.wait(PATIENCE)
    registration.close()
    client.register_webhook()
    next_one.set()
    until(lambda: client.health().reason == "the test delivery arrived")
    assert (server.count("test_endpoint"), server.count("delivery")) == (2, 0)


@pytest.mark.parametrize(
    ("outcome", "told"), [("refused", "refused (nobody there)"), ("delivered", "something else answers")]
)
def test_where_the_service_cannot_reach_us_the_stream_takes_over_and_no_event_is_lost(  # noqa: PLR0917 - fixtures
    server: FakeServer,
    make_client: MakeClient,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    outcome: str,
    told: str,
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    server.streams, server.tests = True, outcome
    client = hurried(make_client(), monkeypatch)
    with client.register_webhook(recorder, url=HOOK) as registration:
        (job,) = client.translate("https://v", ["French"])  # before anybody knows
        server.move(job.id, "running")
        until(lambda: client.health().mode == "stream")
        server.move(job.id, "completed")
        assert registration.wait_for("completed", PATIENCE, job_id=job.id) is not None
        recorder.wait_for(3)
        assert recorder.sequences(job.id) == [1, 2, 3]
        health = client.health()
        assert health.registered
        assert health.connected
        assert told in health.reason
        assert told in (health.last_error or "")
    assert f"mode stream: the service cannot reach {HOOK}: {told}" in caplog.text
    assert server.count("job") == 0


def test_without_a_stream_an_unreachable_receiver_means_polling(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tests = "read_timeout"
    client = hurried(make_client(poll=FAST), monkeypatch)
    registration = client.register_webhook(recorder, url=HOOK)
    (job,) = client.translate("https://v", ["French"])
    until(lambda: client.health().mode == "poll")
    server.move(job.id, "completed")
    assert registration.wait_for("completed", PATIENCE) is not None
    recorder.wait_for(2)
    assert recorder.sequences(job.id) == [1, 2]


def test_a_delivery_that_was_not_even_tried_counts_as_one_that_does_not_come(
    server: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.streams, server.tests = True, ""
    client = hurried(make_client(), monkeypatch)
    client.register_webhook(url=HOOK)
    until(lambda: client.health().mode == "stream")
    assert "has not tried to deliver for 0.06 s" in client.health().reason


def test_a_delivery_that_comes_after_all_turns_back_to_webhooks(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.streams, server.tests = True, "refused"
    client = hurried(make_client(), monkeypatch)
    client.register_webhook(recorder)
    until(lambda: client.health().mode == "stream" and client.health().connected)
    (job,) = client.translate("https://v", ["French"])
    recorder.wait_for(1)
    server.push(server.log[-1])
    until(lambda: client.health().mode == "webhook")
    server.push(server.move(job.id, "completed"))
    recorder.wait_for(2)
    assert recorder.sequences(job.id) == [1, 2]
    assert client.metrics().duplicates_dropped == 0
    until(lambda: not client._engine.modes._stream.is_open)


def test_a_stream_hands_over_to_a_registration_and_takes_over_when_it_ends(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    server.streams = True
    client = make_client()
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    recorder.wait_for(1)
    registration = client.register_webhook()
    until(lambda: not client._engine.modes._stream.is_running)
    assert client.health().mode == "webhook"
    server.move(job.id, "running")  # lost on its way
    registration.close()
    server.move(job.id, "completed")
    recorder.wait_for(3)
    assert client.health().mode == "stream"
    assert recorder.sequences(job.id) == [1, 2, 3]


def test_a_service_that_was_away_at_first_is_followed_once_it_is_there(
    server: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_translation_client._modes.JOB_POLL", FAST)
    server.streams = True
    job_id = server.new_job()
    server.overrides["events"] = lambda: error(503, "internal_error")
    client = make_client(max_retries=0)
    job = client.job(job_id)
    assert client.health().mode == "idle"
    server.overrides.clear()
    until(lambda: client.health().mode == "stream")
    until(lambda: client.health().connected)
    server.move(job_id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_health_tells_of_gaps_events_and_who_waits(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    (job, _) = client.translate("https://v", ["French", "German"])
    server.move(job.id, "running")
    server.push(server.log[0], server.move(job.id, "completed"))
    recorder.wait_for(3)
    job.result(PATIENCE)
    until(lambda: client.health().gaps_filled == 1)
    before = server.requests.total()
    health = client.health()
    assert server.requests.total() == before
    assert isinstance(health, Health)
    assert (health.mode, health.gaps_found, health.waiting) == ("webhook", 1, 1)
    assert health.last_event_at is not None
    assert abs(health.last_event_at - time.time()) < 60
    assert health.cursor is not None
    with pytest.raises(AttributeError):
        health.mode = "poll"  # type: ignore[misc]
