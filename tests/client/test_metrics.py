"""The counts and rates of a client, as values, as JSON and as Prometheus reads them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.client.conftest import FAST, MakeClient
from tests.client.fake_server import FakeServer
from tests.waiting import PATIENCE
from video_translation_client import NotFoundError, ServerUnreachableError
from video_translation_client._metrics import Meter, Metrics, Responses
from video_translation_client.prometheus import register


class Client:
    """Anything that has metrics."""

    def __init__(self, meter: Meter) -> None:
        self.metrics = meter.snapshot


def busy_meter() -> Meter:
    meter = Meter()
    for _ in range(3):
        meter.request("get_job")
    meter.response("get_job", 0.1, ok=True)
    meter.response("get_job", 0.3, ok=False)
    meter.no_response("get_job")
    meter.request("get_status")
    meter.response("get_status", 0.2, ok=True)
    meter.count("retries")
    meter.count("pushes_received", 4)
    for completed in (True, True, True, False):
        meter.job_ended(completed=completed)
    meter.completion_delay(0.5)
    return meter


def test_rates_and_averages() -> None:
    metrics = busy_meter().snapshot()
    assert metrics.responses["get_job"] == Responses(answered=2, refused=1, unanswered=1, seconds=0.4)
    assert metrics.responses["get_job"].average == pytest.approx(0.2)
    assert metrics.responses["get_job"].success_rate == pytest.approx(1 / 3)
    assert metrics.average_response_time == pytest.approx(0.2)
    assert metrics.all_responses.success_rate == pytest.approx(0.5)
    assert (metrics.job_success_rate, metrics.job_failure_rate) == (0.75, 0.25)


def test_before_anything_happened_there_are_no_rates() -> None:
    metrics = Meter().snapshot()
    assert metrics.average_response_time is None
    assert metrics.all_responses.success_rate is None
    assert (metrics.job_success_rate, metrics.job_failure_rate) == (None, None)
    assert json.loads(json.dumps(metrics.as_dict()))["responses"]["answered"] == 0


def test_the_dictionary_is_json_and_complete() -> None:
    read = json.loads(json.dumps(busy_meter().snapshot().as_dict()))
    assert read["requests"] == {"get_job": 3, "get_status": 1}
    assert (read["retries"], read["pushes_received"], read["jobs_completed"], read["jobs_failed"]) == (1, 4, 3, 1)
    assert read["completion_delay_seconds"] == {"count": 1, "p50": 0.5, "p99": 0.5, "max": 0.5}
    assert read["responses_by_operation"]["get_job"]["unanswered"] == 1
    covered = {name.removesuffix("_seconds") for name in read} | {"responses"}
    assert set(Metrics.__dataclass_fields__) <= covered


def test_a_client_counts_how_its_jobs_ended(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(poll=FAST)
    good, bad = client.translate("https://v", ["French", "German"])
    server.move(good.id, "completed")
    server.move(bad.id, "failed", failure_message="no")
    assert good.wait(PATIENCE)
    assert bad.wait(PATIENCE)
    metrics = client.metrics()
    assert (metrics.jobs_completed, metrics.jobs_failed, metrics.job_success_rate) == (1, 1, 0.5)
    assert metrics.completion_delay.count == 2


def test_a_client_measures_its_requests(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client(max_retries=0)
    client.get_job(server.new_job())
    with pytest.raises(NotFoundError):
        client.get_job("nope")
    server.stop()
    with pytest.raises(ServerUnreachableError):
        client.get_job("vt_1")
    asked = client.metrics().responses["get_job"]
    assert (asked.answered, asked.refused, asked.unanswered) == (2, 1, 1)
    assert 0 < (asked.average or 0) < 10


def test_prometheus_reads_what_is_exported() -> None:
    registry = CollectorRegistry()
    register(Client(busy_meter()), registry)
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert all(name.startswith("video_translation_client_") for name in families)
    assert samples[("video_translation_client_requests_total", "get_job")] == 3
    assert samples[("video_translation_client_responses_total", "get_job", "unanswered")] == 1
    assert samples[("video_translation_client_response_seconds_count", "get_job")] == 2
    assert samples[("video_translation_client_response_seconds_sum", "get_job")] == pytest.approx(0.4)
    assert samples[("video_translation_client_retries_total",)] == 1
    assert samples[("video_translation_client_jobs_ended_total", "completed")] == 3
    assert samples[("video_translation_client_completion_delay_seconds", "0.5")] == 0.5
    assert ("video_translation_client_push_latency_seconds", "0.5") not in samples


def test_the_stricter_openmetrics_format_is_valid_too() -> None:
    registry = CollectorRegistry()
    register(Client(busy_meter()), registry)
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    assert len(list(read_openmetrics(text))) == 17  # type: ignore[no-untyped-call]


def test_two_clients_on_one_registry_are_refused_and_one_can_leave() -> None:
    registry = CollectorRegistry()
    first = register(Client(Meter()), registry)
    with pytest.raises(ValueError, match="Duplicated"):
        register(Client(Meter()), registry)
    registry.unregister(first)
    register(Client(Meter()), registry)


def test_without_the_package_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; import video_translation_client.prometheus"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert 'pip install "video-translation-client[prometheus]"' in done.stderr.splitlines()[-1]
