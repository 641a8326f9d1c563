"""Export a client's metrics to Prometheus: `register(client)` once, then serve as you serve your other metrics.

The counting is done in `_metrics`; this module only names things the way Prometheus wants them. It needs the
package prometheus-client: `pip install "video-translation-client[prometheus]"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from video_translation_client._metrics import Durations, Meter, Metrics

try:
    from prometheus_client.core import (
        REGISTRY,
        CollectorRegistry,
        CounterMetricFamily,
        GaugeMetricFamily,
        Metric,
        SummaryMetricFamily,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "video_translation_client.prometheus needs the package prometheus-client, which is not installed: "
        'pip install "video-translation-client[prometheus]"'
    ) from error

PREFIX: Final = "video_translation_client_"
_COUNTERS: Final = {
    "retries": "Requests that repeated one that had failed.",
    "pushes_received": "Deliveries that arrived and were proven genuine, repeats included.",
    "pushes_refused": "Deliveries that were answered with an error.",
    "events": "Events accepted, each once.",
    "duplicates_dropped": "Pushed deliveries of an event that had been pushed before.",
    "out_of_order": "Pushed deliveries that came late or ahead of a gap.",
    "gaps_found": "Times that a sequence jumped.",
    "gaps_filled": "Gaps of which the event log held the missing events.",
    "events_lost": "Transitions that are missing and that the event log no longer holds.",
    "log_breaks": "Times that the event log no longer went back to this client's place.",
    "callback_errors": "User callbacks that raised.",
}
_QUANTILES: Final = (50, 99)


class Measured(Protocol):
    """What has metrics: a client, blocking or async."""

    def metrics(self) -> Metrics:
        """Return the counts as they are now."""


class ClientCollector(Collector):
    """Reads the client's metrics whenever Prometheus asks; holds nothing itself.

    Labels are bounded: `operation` (the names of the API's calls), `outcome` and `quantile`.

    Args:
        client: whose `metrics()` to read.
    """

    def __init__(self, client: Measured) -> None:
        self._client = client

    def describe(self) -> Iterable[Metric]:
        """Name what will be exported, so that two clients on one registry are refused at once."""
        return _families(Meter().snapshot())

    def collect(self) -> Iterable[Metric]:
        """Yield every metric as it is now."""
        return _families(self._client.metrics())


def register(client: Measured, registry: CollectorRegistry = REGISTRY) -> ClientCollector:
    """Export this client's metrics on `registry`, and return what was registered, for `unregister`.

    Raises:
        ValueError: the registry exports another client already; give each client a registry of its own.
    """
    collector = ClientCollector(client)
    registry.register(collector)
    return collector


def _families(metrics: Metrics) -> Iterator[Metric]:
    yield _by_operation(metrics)
    yield _outcomes(metrics)
    yield _response_times(metrics)
    for name, meaning in _COUNTERS.items():
        yield CounterMetricFamily(PREFIX + name, meaning, value=getattr(metrics, name))
    jobs = CounterMetricFamily(PREFIX + "jobs_ended", "Jobs seen ending, by how.", labels=["outcome"])
    jobs.add_metric(["completed"], metrics.jobs_completed)
    jobs.add_metric(["failed"], metrics.jobs_failed)
    yield jobs
    yield _quantiles("push_latency_seconds", "From an event to its first push arriving.", metrics.push_latency)
    yield _quantiles("completion_delay_seconds", "From a job's end to this client knowing.", metrics.completion_delay)


def _by_operation(metrics: Metrics) -> Metric:
    family = CounterMetricFamily(PREFIX + "requests", "HTTP requests sent, retries included.", labels=["operation"])
    for operation, count in sorted(metrics.requests.items()):
        family.add_metric([operation], count)
    return family


def _outcomes(metrics: Metrics) -> Metric:
    family = CounterMetricFamily(PREFIX + "responses", "Requests ended, by how.", labels=["operation", "outcome"])
    for operation, ended in sorted(metrics.responses.items()):
        family.add_metric([operation, "ok"], ended.answered - ended.refused)
        family.add_metric([operation, "refused"], ended.refused)
        family.add_metric([operation, "unanswered"], ended.unanswered)
    return family


def _response_times(metrics: Metrics) -> Metric:
    family = SummaryMetricFamily(PREFIX + "response_seconds", "Time that answers took.", labels=["operation"])
    for operation, ended in sorted(metrics.responses.items()):
        family.add_metric([operation], count_value=ended.answered, sum_value=ended.seconds)
    return family


def _quantiles(name: str, meaning: str, durations: Durations) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, f"{meaning} Of the newest 10,000.", labels=["quantile"])
    for percent in _QUANTILES:
        value = durations.percentile(percent)
        if value is not None:
            family.add_metric([f"{percent / 100:g}"], value)
    return family
