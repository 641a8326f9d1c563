"""The kill proof in small: six kills, every named point among them, under misbehaving receivers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.fleet import TROUBLES
from tests.chaos.plan import POINTS

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_kills_at_every_point_lose_nothing_and_repeat_only_what_was_in_flight() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--smoke", "--seed", "20"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert run.returncode == 0, run.stderr
    line = json.loads(run.stdout.splitlines()[-1])
    assert (line["lost"], line["out_of_order"]) == (0, 0)
    assert 0 < line["duplicates"] <= line["duplicates_bound"]
    assert line["kills"] >= 6
    assert line["jobs"] >= 100
    assert line["events"] >= 3 * line["jobs"]
    for point in POINTS:
        assert f"killed at {point}:" in run.stderr


@pytest.mark.timeout(240)
def test_three_servers_on_postgresql_lose_nothing_whatever_befalls_them_or_their_database() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--store",
        "postgresql",
        "--kills",
        "7",
        "--seconds",
        "7",
        "--jobs",
        "35",
    ]
    run = subprocess.run([*command, "--seed", "21"], cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert run.returncode == 0, run.stderr
    line = json.loads(run.stdout.splitlines()[-1])
    assert (line["lost"], line["out_of_order"]) == (0, 0)
    assert line["duplicates"] <= line["duplicates_bound"]
    assert line["kills"] == 7
    assert line["jobs"] >= 10
    for trouble in TROUBLES:
        assert f"{trouble} (server" in run.stderr


def test_too_few_jobs_to_keep_a_server_busy_are_refused() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "100", "--jobs", "50"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "--jobs" in run.stderr
