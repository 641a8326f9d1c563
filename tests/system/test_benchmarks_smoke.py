"""Each benchmark runs with tiny numbers and ends with a line of its shape; never a word about speed."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks import child, server
from tests.forked import forking

LastLine = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
PATIENCE = 150.0
"""Seconds: each starts a dozen processes one after the other, and the machine may be busy."""

pytestmark = pytest.mark.timeout(PATIENCE + 10)


def run(name: str, *flags: str) -> None:
    """A benchmark in this process, its children forked."""
    with mock.patch.object(sys, "argv", [name, *flags]), forking(child, server):
        assert importlib.import_module(f"benchmarks.{name}").main() == 0


@pytest.fixture
def last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> LastLine:
    """Runs a benchmark; what its last line tells."""

    def last_line(name: str, *flags: str) -> dict[str, Any]:
        run(name, "--results", str(tmp_path), *flags)
        return read(capsys.readouterr().out, tmp_path / f"{name}.json")

    return last_line


def read(output: str, results: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert told.items() <= json.loads(results.read_text(encoding="utf-8")).items()
    return told


def are_positive(told: dict[str, Any], *names: str) -> bool:
    return all(isinstance(told[name], int | float) and told[name] > 0 for name in names)


def test_delivery_tells_what_each_contestant_costs(last_line: LastLine) -> None:
    told = last_line("delivery", "--deliveries", "100", "--endpoints", "10", "--naive", "10", "--rounds", "1")
    assert are_positive(told, "ratio_drain", "ratio_steady", "ratio_limit", "ratio_naive_httpx")
    assert are_positive(told["receiver"], "per_second", "cpu_us", "share")
    for contestant in ("baseline", "drain", "steady", "drain_quiet", "steady_quiet", "limit", "naive_httpx"):
        assert are_positive(told[contestant], "per_second", "cpu_us", "rss_mb")
    for part in ("drain", "steady"):
        assert are_positive(told[part], "statements")


def test_delivery_shares_events_among_endpoints_and_is_profiled(capfd: pytest.CaptureFixture[str]) -> None:
    run("delivery", "--profile", "--deliveries", "60", "--endpoints", "6", "--fan-out", "3")
    told = capfd.readouterr().err
    for profiled in ("drain: ", "steady: ", "event-loop: ", "store-writer: "):
        assert profiled in told


def test_backlog_tells_fairness_and_the_cost_of_a_claim(last_line: LastLine) -> None:
    few = ("--backlog", "6000", "--little", "1000", "--crowd", "0", "--claims", "2")
    told = last_line("backlog", *few, "--rounds", "1", "--seconds", "0.5")
    assert are_positive(told, "ratio_backlog_fair", "ratio_backlog_news", "ratio_backlog_claim")
    for state in ("idle", "small", "beside"):
        assert are_positive(told["flows"][state], "news_p50_ms", "news_p95_ms")
    for size in ("little", "backlog"):
        assert are_positive(told["claims"][size], "claim_us", "claimed")


def test_latency_tells_pushes_bare_posts_and_polling(last_line: LastLine) -> None:
    slow = ("--rate", "30", "--jobs", "3", "--shortest", "0.1", "--longest", "0.3")
    told = last_line("latency", *slow, "--burst", "5", "--seconds", "0.3")
    assert are_positive(told, "p50_ms", "p99_ms", "callback_p50_ms", "bare_post_p50_ms", "ratio_p50_to_bare_post")
    assert are_positive(told, "polling_delay_p50_ms", "polling_requests_per_job", "capacity_per_second")
    for phase in ("at_rate", "at_half_capacity"):
        for what in ("socket", "callback", "bare_post"):
            assert are_positive(told[phase][what], "count", "p50_ms", "p99_ms", "max_ms")


def test_fairness_tells_latency_alone_and_beside(last_line: LastLine) -> None:
    told = last_line("fairness", "--rounds", "1", "--seconds", "0.5", "--healthy", "5", "--rate", "50")
    assert are_positive(told, "p99_ms_alone", "p99_ms_beside", "ratio_p99")


def test_client_tells_receiving_waking_memory_and_requests(last_line: LastLine) -> None:
    few = ("--deliveries", "60", "--in-flight", "2", "--rounds", "1", "--wakes", "5")
    told = last_line(
        "client", *few, "--starts", "2", "--handles", "50", "--jobs", "2", "--short", "0.2", "--long", "0.4"
    )
    assert are_positive(
        told, "ratio_receiver", "receiver_per_core", "wake_p50_ms", "receiver_up_ms", "bytes_per_handle"
    )
    assert are_positive(told, "requests_per_job_push", "requests_per_job_polling")
    assert told["threads_of_handles"] == 0


def test_start_tells_how_soon_a_server_is_up_and_how_long_a_day_takes(tmp_path: Path) -> None:
    """Started as its users start it, and all that it starts."""
    command = [sys.executable, "-m", "benchmarks.start", "--rounds", "1", "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    told = read(done.stdout, tmp_path / "start.json")
    assert are_positive(told, "ratio_up", "day_of_retries_s")
    for kind in ("bare", "ours"):
        assert are_positive(told[kind], "up_ms", "cpu_ms")


def test_scale_tells_ratios_memory_and_starts(last_line: LastLine) -> None:
    jobs = ("--few-jobs", "100", "--many-jobs", "2000", "--due", "20", "--workers", "5")
    endpoints = ("--workspaces", "5", "--per-workspace", "10", "--few-backlogs", "4", "--many-backlogs", "16")
    little = ("--claims", "2", "--records", "20", "--requests", "5", "--rounds", "1")
    told = last_line("scale", *jobs, *endpoints, *little)
    assert are_positive(told, "ratio_due_cost", "ratio_due_planned", "ratio_due_in_line")
    for asked in ("get", "get_planned", "get_in_line", "list", "list_by_status", "status", "statuses", "create"):
        assert are_positive(told, f"ratio_{asked}_p50")
    for verb in ("record", "claim", "claim_one", "next_due", "get_p50", "list_p50"):
        assert are_positive(told, f"ratio_endpoints_{verb}")
    assert are_positive(told, "start_s", "start_killed_wal_kb", "endpoints_start_s")
    assert {"rss_bytes_per_job", "rss_bytes_per_endpoint"} <= told.keys()
