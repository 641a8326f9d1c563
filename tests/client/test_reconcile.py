from __future__ import annotations

import logging
import re
import socket
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.client.conftest import FAST, NEVER, MakeClient
from tests.client.fake_server import FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import (
    AuthenticationError,
    NotFoundError,
    PollPolicy,
    ServerUnreachableError,
    VideoTranslationClient,
    WaitTimeoutError,
)

# --- gaps ---------------------------------------------------------------------------------------------


def test_a_gap_is_filled_from_the_log_and_the_callback_sees_order(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    last = server.move(job.id, "completed")
    server.push(server.log[0], last)  # the second was lost on the way
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(3)
    assert recorder.sequences(job.id) == [1, 2, 3]
    metrics = client.metrics()
    assert (metrics.gaps_found, metrics.gaps_filled, metrics.out_of_order) == (1, 1, 1)
    assert server.count("job") == 0


def test_repeats_and_disorder_on_the_wire_do_not_reach_the_callback(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    server.move(job.id, "completed")
    first, second, third = server.log
    assert server.push(third, first, second, second, first, third) == [204] * 6
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(3)
    client.close()
    assert recorder.sequences(job.id) == [1, 2, 3]
    metrics = client.metrics()
    assert metrics.pushes_received == 6
    assert metrics.duplicates_dropped == 3
    assert metrics.out_of_order == 2


def test_a_handle_does_not_wait_for_a_gap_that_cannot_be_filled_yet(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setattr(client._engine.reconciler, "_policies", _with_gap(client, FAST))
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    last = server.move(job.id, "completed")
    server.overrides["events"] = lambda: error(500, "internal_error")
    server.push(server.log[0], last)
    assert job.result(PATIENCE).status == "completed"
    asked = server.count("events")
    server.wait_for(lambda: server.count("events") >= asked + 3)  # it keeps trying
    assert recorder.sequences(job.id) == [1]
    server.overrides.clear()
    recorder.wait_for(3)
    assert recorder.sequences(job.id) == [1, 2, 3]


def test_what_the_log_does_not_hold_is_stepped_over(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    job_id = server.new_job()
    server.new_job()  # the one that `/status` tells of
    client = make_client()
    client.register_webhook(recorder)
    running = server.move(job_id, "running")
    server.push(running)  # the job began before the registration
    recorder.wait_for(1)
    client.close()
    assert recorder.sequences(job_id) == [2]
    assert "0 events found, 1 are not in the log" in caplog.text
    metrics = client.metrics()
    assert (metrics.out_of_order, metrics.gaps_found, metrics.gaps_filled) == (0, 0, 0)


def test_the_job_that_status_told_of_goes_on_from_there(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    job_id = server.new_job()
    make_client().register_webhook(recorder)
    server.move(job_id, "running")
    server.push(server.log[-1])
    recorder.wait_for(1)
    assert recorder.sequences(job_id) == [2]
    assert server.count("events") == 1  # the catch-up, and no gap to look into


def test_a_job_met_in_its_middle_gets_what_the_log_still_holds(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    job_id = server.new_job()
    server.push(server.move(job_id, "running"))
    recorder.wait_for(2)
    client.close()
    assert recorder.sequences(job_id) == [1, 2]
    assert (client.metrics().gaps_found, client.metrics().gaps_filled) == (1, 1)


def test_a_log_that_forgot_the_place_is_read_on_from_its_end(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "running")
    server.push(server.log[0])
    recorder.wait_for(1)
    last = server.move(job.id, "running")
    refused = iter([error(410, "gone")])
    server.overrides["events"] = lambda: next(refused, None)
    server.push(last)
    recorder.wait_for(2)
    assert recorder.sequences(job.id) == [1, 3]
    assert "cannot be read on" in caplog.text
    server.wait_for(lambda: server.count("job") == 1)  # what the handle missed is asked for


def test_a_pruned_log_is_read_on_from_the_oldest_that_it_still_has(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.push(server.log[0])
    recorder.wait_for(1)
    with server.lock:
        server.pruned = 3
        for status in ("running", "running", "running", "completed"):
            last = server.move(job.id, status)
    server.push(last)  # it shows a gap, into which the client looks
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(3)
    client.close()
    assert recorder.sequences(job.id) == [1, 4, 5]
    assert "cannot be read on from cur_0" in caplog.text
    assert "reading on from cur_3: events between them are lost" in caplog.text
    metrics = client.metrics()
    assert (metrics.log_breaks, metrics.events_lost) == (1, 2)


# --- the safety net -----------------------------------------------------------------------------------


def test_lost_pushes_are_found_by_one_read_for_all_jobs(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client(safety_net=FAST)
    client.register_webhook(recorder)
    jobs = client.translate("https://v", ["French", "German", "Italian"])
    for job in jobs:
        server.move(job.id, "completed")
    assert [job.result(PATIENCE).status for job in jobs] == ["completed"] * 3
    recorder.wait_for(6)
    assert all(recorder.sequences(job.id) == [1, 2] for job in jobs)
    assert server.count("job") == 0
    assert client.metrics().pushes_received == 0
    assert client.metrics().completion_delay.count == 3
    server.push(*server.log)  # too late, and once only: not the wire's fault
    assert client.metrics().duplicates_dropped == 0


def test_the_safety_net_outlives_a_server_that_is_away(
    server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    client = make_client(safety_net=FAST, max_retries=0)
    client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    failures = iter([error(500, "internal_error"), error(503, "internal_error")])
    server.overrides["events"] = lambda: next(failures, None)
    server.wait_for(lambda: server.count("events") > 3)
    server.move(job.id, "completed")
    assert job.result(PATIENCE).terminal
    assert re.search(r"safety net attempt \d+: could not read \(.*503.*\); next in 0\.0 s", caplog.text)
    told = re.compile(r"safety net attempt \d+: \d events had not been pushed; next in 0\.0 s")
    until(lambda: told.search(caplog.text) is not None)


def test_the_safety_net_slows_down_while_pushes_arrive(
    server: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(safety_net=PollPolicy(first=100.0, factor=2.0, cap=400.0, jitter=0.0))
    client.register_webhook()
    net = Net(client, server, monkeypatch)
    assert net.reads(100) == 1
    net.push()
    assert net.reads(100) == 1  # a push came: the next pause is doubled
    gaps = []
    for _ in range(3):
        gaps.append(0)
        while True:
            net.push()
            gaps[-1] += 100
            if net.reads(100):
                break
    assert gaps == [200, 400, 400]
    server.new_job()  # not pushed: the net finds it, and looks sooner again
    while not net.reads(100, push=True):
        pass
    assert net.reads(100, push=True) == 1


def test_a_silence_while_jobs_are_waited_for_is_looked_into_at_once(
    server: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(safety_net=PollPolicy(first=100.0, factor=2.0, cap=6400.0, jitter=0.0))
    client.register_webhook()
    net = Net(client, server, monkeypatch)
    client.translate("https://v", ["French"])
    while net.reads(100, push=True) or net.pause < 1600:
        pass
    assert net.reads(100) == 1  # nothing came for once


class Net:
    """The safety net under a clock of the test's own."""

    def __init__(self, client: VideoTranslationClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reconciler = client._engine.reconciler
        self._server = server
        self._now = 0.0
        monkeypatch.setattr(self._reconciler, "_clock", lambda: self._now)
        monkeypatch.setattr(self._reconciler, "_net_due", 100.0)

    @property
    def pause(self) -> float:
        return self._reconciler._net_due - self._now

    def push(self) -> None:
        self._server.new_job()
        self._server.push(self._server.log[-1])

    def reads(self, seconds: float, *, push: bool = False) -> int:
        """Let time pass, and say how often the log was read then."""
        if push:
            self.push()
        self._now += seconds
        before = self._server.count("events")
        assert 0 < self._reconciler._net() <= 100
        return self._server.count("events") - before


def test_without_a_readable_log_the_net_asks_for_each_job(plain_server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(plain_server.url, safety_net=FAST)
    client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    plain_server.wait_for(lambda: plain_server.count("job") >= 2)
    plain_server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


# --- polling ------------------------------------------------------------------------------------------


def test_without_a_registration_one_read_of_the_log_covers_every_job(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    client = make_client(poll=FAST, mode="poll")
    client.on_event(recorder)
    jobs = client.translate("https://v", ["French", "German"])
    for job in jobs:
        server.move(job.id, "running")
        server.move(job.id, "completed", video_url="https://cdn/1")
    assert [job.result(PATIENCE).video_url for job in jobs] == ["https://cdn/1"] * 2
    recorder.wait_for(6)
    assert all(recorder.sequences(job.id) == [1, 2, 3] for job in jobs)
    line = r"poll attempt \d+: the event log was read: \d (pending|running|completed|ended)"
    until(lambda: re.search(line, caplog.text))
    assert server.count("job") == server.count("bulk_statuses") == 0


def test_without_a_log_a_job_is_polled(
    plain_server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    client = make_client(plain_server.url, poll=FAST)
    (job,) = client.translate("https://v", ["French"])
    plain_server.wait_for(lambda: plain_server.count("job") >= 2)
    plain_server.move(job.id, "running")
    plain_server.move(job.id, "completed", video_url="https://cdn/1")
    assert job.result().video_url == "https://cdn/1"
    assert f"poll attempt 1: job {job.id} is pending; next in 0.0 s" in caplog.text
    assert "mode poll: the service has no event log that could be followed" in caplog.text
    client.close()
    assert client.metrics().status_calls == plain_server.count("job")


def test_bulk_statuses_cover_all_waiting_jobs_and_only_what_has_ended_is_read(
    plain_server: FakeServer, make_client: MakeClient
) -> None:
    plain_server.bulk = True
    client = make_client(plain_server.url, poll=PollPolicy(first=0.2, factor=1.0, cap=0.2, jitter=0.0))
    jobs = client.translate("https://v", ["French", "German", "Italian"])
    plain_server.wait_for(lambda: plain_server.count("bulk_statuses") >= 3)
    assert plain_server.count("job") == 0
    plain_server.move(jobs[0].id, "running")
    until(lambda: jobs[0].status() == "running")
    plain_server.move(jobs[0].id, "completed", video_url="https://cdn/1")
    plain_server.move(jobs[1].id, "failed", failure_message="no audio")
    assert jobs[0].result(PATIENCE).video_url == "https://cdn/1"
    assert "no audio" in str(jobs[1].exception(10))
    assert plain_server.count("job") == 2
    plain_server.move(jobs[2].id, "completed")
    assert jobs[2].result(PATIENCE).status == "completed"


def test_a_poll_outlives_errors_and_heeds_the_services_hint(
    plain_server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(plain_server.url, poll=FAST, max_retries=0)
    (job,) = client.translate("https://v", ["French"])
    failures = iter([error(500, "internal_error"), error(429, "rate_limit_exceeded")])
    plain_server.overrides["job"] = lambda: next(failures, None)
    plain_server.wait_for(lambda: plain_server.count("job") > 3)
    assert "poll attempt 1" in caplog.text
    plain_server.retry_after = 77
    plain_server.wait_for(lambda: plain_server.count("job") > 4)
    until(lambda: (client._engine.reconciler.poller._turns.next_in() or 0) > 70)
    asked = plain_server.count("job")
    assert (client._engine.reconciler.poller._turns.wake(job.id) or 0) > 70  # not even a new wait is a reason
    plain_server.move(job.id, "failed")
    assert job.refresh().status == "failed"
    assert plain_server.count("job") == asked + 1


def test_a_new_wait_makes_an_old_job_young_again(plain_server: FakeServer, make_client: MakeClient) -> None:
    slow = PollPolicy(first=0.01, factor=100.0, cap=3600.0, jitter=0.0)
    client = make_client(plain_server.url, poll=slow)
    (job,) = client.translate("https://v", ["French"])
    turns = client._engine.reconciler.poller._turns
    until(lambda: (turns.next_in() or 0) > 50)
    plain_server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_nothing_is_asked_without_auto_poll(plain_server: FakeServer, make_client: MakeClient) -> None:
    ended = plain_server.new_job()
    plain_server.move(ended, "completed")
    client = make_client(plain_server.url, poll=FAST, safety_net=FAST, auto_poll=False)
    assert client.job(ended).result(PATIENCE).status == "completed"  # one look is no poll
    client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    with pytest.raises(WaitTimeoutError):
        job.result(0.1)
    assert plain_server.count("job") == 1
    assert job.refresh().status == "pending"


def test_a_job_that_can_never_be_read_fails_instead_of_waiting_for_ever(
    server: FakeServer, make_client: MakeClient
) -> None:
    client = make_client(poll=FAST)
    with pytest.raises(NotFoundError, match="vt_none"):
        client.job("vt_none").result(PATIENCE)
    server.overrides["job"] = lambda: error(401, "unauthorized")
    with pytest.raises(AuthenticationError):
        client.job("vt_other").result(PATIENCE)


def test_a_hook_of_the_users_that_raises_does_not_make_a_job_forgotten(
    plain_server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[str] = []

    def hook(request: httpx.Request) -> None:
        if request.url.path.startswith("/v3/video-translations/vt_") and not raised:
            raised.append(request.url.path)
            raise ZeroDivisionError("on purpose")

    with httpx.Client(event_hooks={"request": [hook]}) as http:
        client = make_client(plain_server.url, poll=FAST, http_client=http)
        (job,) = client.translate("https://v", ["French"])
        plain_server.move(job.id, "completed")
        assert job.result(PATIENCE).status == "completed"
        client.close()
    assert raised
    assert "Traceback" in caplog.text
    assert client.health().last_error == "on purpose"


@pytest.mark.parametrize("job_id", ["", None, 7])
def test_what_is_no_job_id_is_refused_at_once(make_client: MakeClient, job_id: Any) -> None:
    client = make_client("http://localhost:1")
    for call in (client.job, client.get_job, client.cancel):
        with pytest.raises(ValueError, match="job_id must be a job's id"):
            call(job_id)
    with pytest.raises(ValueError, match="job_id"):
        client.poll_status("")  # None is the newest


def test_a_job_is_found_again_by_its_id(server: FakeServer, make_client: MakeClient) -> None:
    job_id = server.new_job()
    server.move(job_id, "completed")
    server.new_job()  # the one that `/status` tells of
    client = make_client()
    client.register_webhook()
    job = client.job(job_id)
    assert client.job(job_id) is job
    assert job.result(PATIENCE).status == "completed"
    assert client.job(job_id) is job
    assert server.count("job") == 1
    assert client.metrics().completion_delay.count == 0  # it had ended before anybody looked


def test_closing_the_registration_turns_to_polling(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(poll=FAST)
    registration = client.register_webhook()
    (job,) = client.translate("https://v", ["French"])
    registration.close()
    server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_a_job_created_while_the_registration_ended_is_polled(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(poll=FAST)
    registration = client.register_webhook()
    server.overrides["translate"] = registration.close  # in the middle of the request
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_a_timeout_while_the_server_is_away_is_a_timeout(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    client = make_client(url, poll=FAST, max_retries=0)
    job = client.job("vt_1")
    with pytest.raises(WaitTimeoutError, match="unknown"):
        job.result(timeout=0.05)
    with pytest.raises(ServerUnreachableError):
        job.refresh()


def test_nothing_is_asked_in_push_mode(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(poll=FAST, safety_net=NEVER)
    client.register_webhook()
    jobs = client.translate("https://v", ["French", "German"])
    for job in jobs:
        server.move(job.id, "completed")
    server.push(*server.log)
    for job in jobs:
        job.result(PATIENCE)
    assert (server.count("job"), server.count("status"), client.metrics().status_calls) == (0, 1, 1)


def _with_gap(client: object, policy: PollPolicy) -> object:
    return replace(client._engine.reconciler._policies, gap=policy)  # type: ignore[attr-defined]
