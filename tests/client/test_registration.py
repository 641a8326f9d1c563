from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import (
    ClientClosedError,
    Event,
    InvalidRequestError,
    JobFailedError,
    ServerError,
    ServerUnreachableError,
    UnexpectedResponseError,
)

HOOK = "http://127.0.0.1:9/hook"


@contextmanager
def no_receiver_left() -> Iterator[None]:
    before = {thread for thread in threading.enumerate() if thread.name == "video-translation-receiver"}
    yield
    after = {thread for thread in threading.enumerate() if thread.name == "video-translation-receiver"}
    assert after <= before


def test_transitions_are_pushed_to_the_callback_and_wake_every_waiter(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    registration = client.register_webhook(recorder)
    assert registration.status is None
    job, doomed = client.translate("https://example.com/v.mp4", ["French", "German"])
    server.move(job.id, "running")
    server.move(doomed.id, "running")
    server.move(job.id, "completed", video_url="https://cdn/1")
    server.move(doomed.id, "failed", failure_message="no audio")
    assert server.push(*server.log) == [204] * 6

    assert job.result(PATIENCE).video_url == "https://cdn/1"
    with pytest.raises(JobFailedError, match="no audio"):
        doomed.result(PATIENCE)
    assert registration.wait_for("completed", PATIENCE) is not None
    failed = registration.wait_for("error", PATIENCE)
    assert failed is not None
    assert failed.id == doomed.id
    running = registration.wait_for("running", PATIENCE, job_id=job.id)
    assert running is not None
    assert running.sequence == 2
    events = recorder.wait_for(6)
    assert recorder.sequences(job.id) == recorder.sequences(doomed.id) == [1, 2, 3]
    assert [event.id for event in events] == [f"evt_{n}" for n in (1, 2, 3, 4, 5, 6)]
    assert recorder.threads == {"video-translation-callbacks"}

    metrics = client.metrics()
    assert metrics.status_calls == 1
    assert (metrics.pushes_received, metrics.duplicates_dropped, metrics.out_of_order) == (6, 0, 0)
    assert (metrics.events, metrics.gaps_found, metrics.push_latency.count) == (6, 0, 6)
    assert metrics.completion_delay.count == 2
    assert server.count("job") == 0


def test_registering_asks_status_once_and_it_counts(server: FakeServer, make_client: MakeClient) -> None:
    job_id = server.new_job()
    server.move(job_id, "running")
    registration = make_client().register_webhook()
    assert registration.status is not None
    assert (registration.status.id, registration.status.result) == (job_id, "pending")
    assert registration.wait_for("running", 0) == registration.status
    assert registration.wait_for("pending", 0) is None
    assert server.count("status") == 1


def test_what_happens_while_registering_is_caught_up(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    job_id = server.new_job()

    def meanwhile() -> None:
        server.move(job_id, "running")
        server.move(job_id, "completed")

    server.overrides["status"] = meanwhile
    server.page_size = 1
    registration = make_client().register_webhook(recorder)
    # The first transition was before the registration: its time is not ours, and the log is asked in vain.
    recorder.wait_for(2)
    assert recorder.sequences(job_id) == [2, 3]
    assert registration.wait_for("completed", 0) is not None


def test_a_delivery_that_comes_before_the_answer_to_the_registration_is_not_sent_away(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    answers: list[int] = []

    def create() -> tuple[int, dict[str, object]]:
        with server.lock:
            answer = server._create_endpoint("", {}, server.bodies[-1][1])
            server.new_job()
        sender.start()  # delivers while the answer is on its way
        return answer

    sender = threading.Thread(target=lambda: answers.extend(server.push(server.log[0])))
    server.overrides["create_endpoint"] = create
    make_client().register_webhook(recorder)
    sender.join(PATIENCE)
    assert answers == [204]
    assert len(recorder.wait_for(1)) == 1


def test_an_unknown_word_to_wait_for_is_named_with_the_known_ones(make_client: MakeClient) -> None:
    with (
        make_client().register_webhook(url=HOOK) as registration,
        pytest.raises(ValueError, match=r"'done'.*pending, running, completed, failed, error"),
    ):
        registration.wait_for("done")


def test_a_second_call_adds_a_callback_and_no_twin(server: FakeServer, make_client: MakeClient) -> None:
    first, second = Recorder(), Recorder()
    client = make_client()
    registration = client.register_webhook(first)
    assert client.register_webhook(second) is registration
    client.register_webhook(second)
    server.new_job()
    server.push(server.log[0])
    assert (len(first.wait_for(1)), len(second.wait_for(1))) == (1, 1)
    assert len(server.endpoints) == 1
    with pytest.raises(ValueError, match=r"elsewhere"):
        client.register_webhook(url="http://elsewhere/hook")


def test_an_orphan_of_a_killed_run_is_replaced_and_others_are_left_alone(
    server: FakeServer, make_client: MakeClient
) -> None:
    killed = make_client()
    killed.register_webhook(url=HOOK)
    orphan = next(iter(server.endpoints))
    others = []
    for number, description in enumerate((None, "somebody else's")):
        status, created = server.answer(
            "POST",
            "/v3/webhooks/endpoints",
            {},
            b'{"url": "%s", "events": null, "description": %s}'
            % (HOOK.encode(), b'"%s"' % description.encode() if description else b"null"),
        )
        assert status == 201, number
        others.append(created["data"]["endpoint_id"])
    server.page_size = 1  # so that the orphan is not on the last page
    registration = make_client().register_webhook(url=HOOK)
    assert set(server.endpoints) == {*others, registration.endpoint_id}
    assert orphan not in server.endpoints


def test_a_service_without_our_fields_gets_the_request_again_without_them(
    plain_server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client(plain_server.url)
    plain_server.overrides["status"] = lambda: error(404, "resource_not_found")
    registration = client.register_webhook(recorder)
    assert registration.status is None
    endpoint = plain_server.endpoints[registration.endpoint_id]
    assert "description" not in endpoint
    (job,) = client.translate("https://v", ["French"])
    event = {
        "event_id": "evt_real",
        "event_type": "video_translate.success",
        "event_data": {"video_translate_id": job.id, "callback_id": None, "url": "https://cdn/1"},
    }
    assert plain_server.push(event, event) == [204, 204]
    assert job.result(PATIENCE).video_url == "https://cdn/1"
    assert len(recorder.wait_for(1)) == 1
    assert plain_server.count("events") == 0
    make_client(plain_server.url).register_webhook(url=registration.url)
    assert len(plain_server.endpoints) == 1  # without descriptions, who registers a URL anew takes it over


def test_a_refusal_that_names_another_field_is_the_callers_to_see(server: FakeServer, make_client: MakeClient) -> None:
    server.overrides["create_endpoint"] = lambda: error(400, "invalid_parameter", "credentials in the URL", "url")
    with no_receiver_left(), pytest.raises(InvalidRequestError, match="credentials"):
        make_client().register_webhook()
    assert server.count("create_endpoint") == 1


def test_the_secret_is_not_shown(server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    registration = make_client().register_webhook()
    server.new_job()
    server.push(server.log[0])
    secret = registration.secret or ""
    assert secret == server.endpoints[registration.endpoint_id]["secret"]
    assert secret not in repr(registration)
    assert registration.endpoint_id in repr(registration)
    registration.close()
    assert secret not in caplog.text
    assert "registered http" in caplog.text
    assert "event video_translate.pending job=vt_" in caplog.text


@pytest.mark.parametrize("step", ["list_endpoints", "create_endpoint", "status", "events"])
def test_a_failure_in_the_middle_undoes_everything(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, step: str
) -> None:
    client = make_client(max_retries=0)
    server.overrides[step] = lambda: error(500, "internal_error", "the disk is full")
    with no_receiver_left(), pytest.raises(ServerError, match="disk is full"):
        client.register_webhook(recorder)
    assert server.endpoints == {}
    server.overrides.clear()
    server.new_job()
    client.register_webhook()
    server.push(server.log[0])
    assert recorder.events == []


def test_an_endpoint_without_a_secret_is_of_no_use(server: FakeServer, make_client: MakeClient) -> None:
    bare = {"endpoint_id": "ep_bare", "url": HOOK, "events": None}
    server.overrides["create_endpoint"] = lambda: (201, {"data": bare})
    with pytest.raises(UnexpectedResponseError, match="secret"):
        make_client().register_webhook(url=HOOK)
    assert server.count("delete_endpoint") == 1


def test_a_busy_port_is_an_os_error_at_once_and_nothing_is_registered(
    server: FakeServer, make_client: MakeClient
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            make_client(webhook_port=port).register_webhook()
    assert server.requests.total() == 0


def test_an_unreachable_server_is_named_with_the_next_step(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with no_receiver_left(), pytest.raises(ServerUnreachableError, match=rf"{url}.*base_url"):
        make_client(url, max_retries=0).register_webhook()


def test_closing_the_registration_removes_the_endpoint_and_the_receiver(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    with no_receiver_left():
        registration = client.register_webhook(recorder)
        url = registration.url
        registration.close()
        registration.close()
    assert server.endpoints == {}
    assert registration.closed
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    again = client.register_webhook()
    assert again is not registration
    server.new_job()
    server.push(server.log[0])
    assert again.wait_for("pending", PATIENCE) is not None
    assert recorder.events == []


def test_the_endpoint_is_renewed_in_the_background(server: FakeServer, make_client: MakeClient) -> None:
    quick_ttl(server, 0.06)
    registration = make_client().register_webhook(url=HOOK)
    server.wait_for(lambda: server.count("renew_endpoint") >= 3)
    assert list(server.endpoints) == [registration.endpoint_id]


def test_a_lost_endpoint_is_registered_anew_and_what_went_past_is_caught_up(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    quick_ttl(server, 0.06)
    client = make_client()
    registration = client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    old = (registration.endpoint_id, registration.secret)
    with server.lock:  # lost, and the job ends before anybody knows
        server.forget_endpoints()
        server.move(job.id, "running")
        server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(3)
    assert recorder.sequences(job.id) == [1, 2, 3]
    server.wait_for(lambda: len(server.endpoints) == 1)
    assert registration.endpoint_id != old[0]
    assert registration.secret != old[1]
    assert server.count("job") == 0
    server.new_job()
    assert server.push(server.log[-1]) == [204]


def test_a_renewal_that_fails_is_tried_again_and_one_that_is_not_needed_ends(
    server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "video_translation_client")
    quick_ttl(server, 0.06)
    answers = iter([error(503, "internal_error"), error(409, "conflict")])
    server.overrides["renew_endpoint"] = lambda: next(answers)
    made = make_client(max_retries=0).register_webhook(url=HOOK)
    server.wait_for(lambda: server.count("renew_endpoint") == 2)
    made.close()
    assert "was not renewed" in caplog.text
    assert "needs no renewal" in caplog.text


def test_a_lost_endpoint_that_cannot_be_registered_anew_is_tried_again(
    server: FakeServer, make_client: MakeClient
) -> None:
    quick_ttl(server, 0.06)
    registration = make_client().register_webhook(url=HOOK)
    create = server.overrides.pop("create_endpoint")
    failures = iter([error(500, "internal_error"), error(500, "internal_error")])
    server.overrides["create_endpoint"] = lambda: next(failures, None) or create()
    server.forget_endpoints()
    server.wait_for(lambda: len(server.endpoints) == 1)
    server.wait_for(lambda: registration.endpoint_id in server.endpoints)


@pytest.mark.parametrize("ttl", [9, 2_592_001])
def test_a_time_to_live_that_the_service_would_refuse_is_refused_here(make_client: MakeClient, ttl: int) -> None:
    with pytest.raises(ValueError, match="ttl_seconds"):
        make_client("http://localhost:1", ttl_seconds=ttl)


def test_an_endpoint_for_good_is_not_renewed(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(ttl_seconds=None)
    registration = client.register_webhook(url=HOOK)
    assert server.endpoints[registration.endpoint_id]["ttl_seconds"] is None
    assert "renewal" not in client._engine._upkeep._due


def test_a_job_that_was_waited_for_before_registering_is_looked_at_once(
    plain_server: FakeServer, make_client: MakeClient
) -> None:
    client = make_client(plain_server.url)
    ended, going = client.translate("https://v", ["French", "German"])
    plain_server.move(ended.id, "completed")  # before the endpoint: no push will ever tell
    client.register_webhook()
    assert ended.result(PATIENCE).status == "completed"
    plain_server.wait_for(lambda: plain_server.count("job") == 2)
    assert not going.done()


def test_what_happened_before_registering_is_read_from_the_log(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client()
    client.on_event(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    client.register_webhook()
    assert job.result(PATIENCE).status == "completed"
    recorder.wait_for(2)
    assert recorder.sequences(job.id) == [1, 2]
    assert server.count("job") == 0


def test_the_callback_may_wait_for_the_job_it_is_called_for(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    results: list[str] = []
    done = threading.Event()

    def callback(event: Event) -> None:
        if event.job.terminal:
            results.append(client.job(event.job.id).result(PATIENCE).status)
            done.set()

    client.register_webhook(callback)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    server.push(*server.log)
    assert done.wait(PATIENCE)
    assert results == ["completed"]


def test_registering_on_a_closed_client_says_so(make_client: MakeClient) -> None:
    client = make_client("http://localhost:1")
    client.close()
    with pytest.raises(ClientClosedError):
        client.register_webhook()


def quick_ttl(server: FakeServer, seconds: float) -> None:
    """Let the service grant a shorter time to live than anybody may ask for."""

    def create() -> tuple[int, dict[str, object]]:
        with server.lock:
            status, answer = server._create_endpoint("", {}, server.bodies[-1][1])
            answer["data"]["ttl_seconds"] = seconds
            return status, answer

    server.overrides["create_endpoint"] = create
