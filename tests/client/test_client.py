from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time

import pytest

import video_translation_client
from tests.client.conftest import FAST, MakeClient
from tests.client.fake_server import Answer, FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import (
    ClientClosedError,
    Event,
    InvalidRequestError,
    NotFoundError,
    PollPolicy,
    ServerUnreachableError,
    VideoTranslationClient,
)
from video_translation_client import _engine as engine
from video_translation_client._base_urls import BaseUrls
from video_translation_client._exchange import Terms
from video_translation_client._metrics import Durations, Meter
from video_translation_client._operations import get_status
from video_translation_client._retry import RetryPolicy
from video_translation_client._transport import Transport


def test_the_public_names_are_sorted_and_there() -> None:
    names = video_translation_client.__all__
    assert names == sorted(names)
    assert all(hasattr(video_translation_client, name) for name in names)
    # pytest, which loads the package for its plugin, adds names that are no identifiers.
    public = {name for name in vars(video_translation_client) if name.isidentifier() and not name.startswith("_")}
    modules = {"cli", "integrations", "prometheus", "pytest_plugin", "importlib", "logging"}
    assert public - set(names) <= modules | {"Any", "TYPE_CHECKING"}
    assert video_translation_client.__version__


def test_making_a_client_opens_nothing() -> None:
    before = threading.active_count()
    with VideoTranslationClient("http://localhost:1") as client:
        assert client._engine.transport._pool._client is None
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://localhost:8000"),
        ({"HEYGEN_API_BASE": "https://api.heygen.example/"}, "https://api.heygen.example"),
        ({"HEYGEN_API_BASE": "https://a", "VIDEO_TRANSLATION_BASE_URL": "https://b"}, "https://b"),
    ],
)
def test_the_environment_stands_in_for_the_base_url(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert VideoTranslationClient().base_url == url
    assert VideoTranslationClient("http://given").base_url == "http://given"
    assert url in repr(VideoTranslationClient())


def test_the_key_is_sent_and_never_shown(
    server: FakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HEYGEN_API_KEY", "sk_env")
    server.new_job()
    make_client().get_status()
    client = make_client(api_key="sk_given")
    client.get_status()
    assert [headers["x-api-key"] for headers in server.headers] == ["sk_env", "sk_given"]
    assert server.headers[0]["user-agent"].startswith("video-translation-client/")
    assert "sk_" not in caplog.text + repr(client)
    settings = engine.Settings(("u",), "sk_1", "h", 0, None, 1, 1, None, 1, client._engine.reconciler._policies)
    assert "sk_1" not in repr(settings)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"base_url": "localhost:8000"}, "base_url"),
        ({"webhook_host": "0.0.0.0"}, "public_url"),
        ({"webhook_port": 70000}, "webhook_port"),
        ({"public_url": "ftp://x"}, "public_url"),
    ],
)
def test_arguments_that_make_no_sense_are_named(options: dict[str, str], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        VideoTranslationClient(**options)  # type: ignore[arg-type]


def test_the_languages_may_be_any_iterable_and_a_video_that_is_none_is_refused(
    server: FakeServer, make_client: MakeClient
) -> None:
    client = make_client()
    for languages in ({"French"}, (name for name in ["French"]), {"French": 1}.keys()):
        (job,) = client.translate("https://v", languages)  # type: ignore[arg-type]
        assert client.job(job.id) is job
    assert len(server.jobs) == 3
    for video in (None, 3):
        with pytest.raises(TypeError, match=r"video is a URL, a pathlib.Path or a mapping"):
            client.translate(video, "French")  # type: ignore[arg-type]
    assert len(server.jobs) == 3


def test_status_is_the_missions_door(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(NotFoundError):
        client.get_status()
    first, second = server.new_job(), server.new_job()
    server.move(second, "failed")
    assert (client.get_status().id, client.get_status().result) == (second, "error")
    assert client.get_status(first).result == "pending"
    assert client.metrics().requests == {"get_status": 4}
    assert client.metrics().status_calls == 4


def test_a_status_answer_resolves_a_handle(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    (job,) = client.translate("https://v", "French")
    assert job.status() == "pending"
    server.move(job.id, "completed")
    client.get_status(job.id)
    assert job.done()
    (other,) = client.translate("https://v", ["German"])
    server.move(other.id, "running")
    assert other.refresh().status == other.status() == "running"


def test_a_refused_translation_names_the_field(make_client: MakeClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make_client().translate("https://v", [])
    assert caught.value.param == "output_languages"


def test_on_event_is_a_decorator(server: FakeServer, make_client: MakeClient, recorder: Recorder) -> None:
    client = make_client()

    @client.on_event
    def each(event: Event) -> None:
        recorder(event)

    client.register_webhook()
    server.new_job()
    server.push(server.log[0])
    assert recorder.wait_for(1)[0].type == "video_translate.pending"
    assert callable(each)


def test_a_callback_that_raises_does_no_harm(
    server: FakeServer, make_client: MakeClient, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()

    def broken(_: Event) -> None:
        raise ZeroDivisionError("on purpose")

    client.on_event(broken)
    client.register_webhook(recorder)
    (job,) = client.translate("https://v", ["French"])
    server.move(job.id, "completed")
    assert server.push(*server.log) == [204, 204]
    assert job.result(PATIENCE).terminal
    recorder.wait_for(2)
    client.close()
    assert caplog.text.count("Traceback") == 2
    assert "on purpose" in caplog.text
    assert client.metrics().callback_errors == 2


# --- closing ------------------------------------------------------------------------------------------


def test_close_runs_the_queued_callbacks_and_takes_everything_down(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    release, seen = threading.Event(), Recorder()

    def slow(event: Event) -> None:
        release.wait(PATIENCE)
        seen(event)

    registration = client.register_webhook(slow)
    (job, pending) = client.translate("https://v", ["French", "German"])
    server.move(job.id, "completed")
    server.push(*server.log)
    assert job.result(PATIENCE).terminal
    threading.Timer(0.05, release.set).start()
    client.close()
    client.close()
    assert len(seen.events) == 3
    assert server.endpoints == {}
    assert registration.closed
    with pytest.raises(ClientClosedError):
        pending.result()
    with pytest.raises(ClientClosedError):
        client.get_status()
    with pytest.raises(ClientClosedError, match="no event would reach this callback"):
        client.on_event(seen)
    with pytest.raises(ClientClosedError):
        client.register_webhook(seen)
    names = {"video-translation-receiver", "video-translation-callbacks", "video-translation-upkeep"}
    assert not [thread for thread in threading.enumerate() if thread.name in names]


def test_close_wakes_a_callback_that_waits_for_a_job_that_will_not_come(
    server: FakeServer, make_client: MakeClient
) -> None:
    client = make_client()
    raised: list[BaseException] = []

    def wait(_: Event) -> None:
        entered.set()
        try:
            job.result()
        except ClientClosedError as error:
            raised.append(error)

    entered = threading.Event()
    client.register_webhook(wait)
    (job,) = client.translate("https://v", ["French"])
    server.push(server.log[0])
    assert entered.wait(PATIENCE)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < PATIENCE
    assert len(raised) == 1


def test_close_from_a_callback_works(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    closed = threading.Event()

    def close(_: Event) -> None:
        client.close()
        closed.set()

    client.register_webhook(close)
    server.new_job()
    server.push(server.log[0])
    assert closed.wait(PATIENCE)
    assert server.endpoints == {}


def test_close_on_an_unreachable_server_is_a_warning(
    server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(max_retries=0)
    client.register_webhook()
    server.stop()
    client.close()
    assert "could not be deleted" in caplog.text


def test_a_program_that_forgets_to_close_leaves_no_endpoint_behind(server: FakeServer) -> None:
    program = (
        "import sys; from video_translation_client import VideoTranslationClient as Client;"
        "client = Client(sys.argv[1]); client.register_webhook(print); client.translate('https://v', ['French'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, server.url], capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert server.count("create_endpoint") == 1
    assert server.endpoints == {}


# --- requests -----------------------------------------------------------------------------------------


def test_reads_are_repeated_on_a_connection_error_and_never_silently(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    meter = Meter()
    urls = BaseUrls([f"http://127.0.0.1:{port}"])
    transport = Transport(Terms(urls, meter, policy=RetryPolicy(first=0.01, jitter=lambda: 0.0)))
    with pytest.raises(ServerUnreachableError) as caught:
        transport.send(get_status())
    transport.close()
    assert isinstance(caught.value, ConnectionError)
    assert meter.snapshot().requests == {"get_status": 3}
    assert meter.snapshot().retries == 2
    assert caplog.text.count("attempt") == 2


def test_a_create_is_repeated_under_one_key(server: FakeServer, make_client: MakeClient) -> None:
    answers: list[Answer | None] = [error(503, "internal_error"), error(409, "request_in_progress"), None]
    server.overrides["translate"] = lambda: answers.pop(0)
    client = make_client()
    (job,) = client.translate("https://v", ["French"])
    assert job.id in server.jobs
    keys = [headers["idempotency-key"] for headers in server.headers if "idempotency-key" in headers]
    assert (len(keys), len(set(keys))) == (3, 1)
    answers.append(None)
    client.translate("https://v", ["French"])
    assert server.headers[-1]["idempotency-key"] not in keys


def test_a_silent_server_is_an_unreachable_one(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05, max_retries=0)
        with pytest.raises(ServerUnreachableError, match="ReadTimeout"):
            client.get_status()


def test_an_address_that_is_none_is_unreachable(make_client: MakeClient) -> None:
    with pytest.raises(ServerUnreachableError, match="no URL"):
        make_client("http://[::1", max_retries=0).get_status()


def test_a_connection_error_during_a_poll_is_logged_and_survived(
    server: FakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(poll=FAST, max_retries=0)
    (job,) = client.translate("https://v", ["French"])
    server.stop()
    until(lambda: "no answer from" in caplog.text)
    server.start()
    server.move(job.id, "completed")
    assert job.result(PATIENCE).status == "completed"


def test_a_closing_client_does_not_sit_out_its_retries(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    slow = PollPolicy(first=0.01, factor=1.0, cap=0.01, jitter=0.0)
    client = make_client(f"http://127.0.0.1:{port}", max_retries=50, poll=slow)
    client.job("vt_1")
    until(lambda: client.metrics().retries > 0)
    client.close()
    assert "video-translation-upkeep" not in {thread.name for thread in threading.enumerate()}


def test_durations_know_their_percentiles() -> None:
    durations = Durations(tuple(range(1, 101)))
    assert (durations.p50, durations.p99, durations.max, durations.count) == (50, 99, 100, 100)
    assert (Durations().p50, Durations().p99, Durations().max) == (None, None, None)
    assert Durations((7.0,)).p50 == 7.0
