"""What people see of running jobs on a terminal: bars and a table, and the time that is left."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from video_translation_client import JobSnapshot
from video_translation_client.cli import display
from video_translation_client.cli.records import share_done, time_left

NOW = 1_000_000.0


def job(**fields: object) -> JobSnapshot:
    known = {"id": "vt_1", "status": "running", "result": "pending", "output_language": "French", **fields}
    return JobSnapshot(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "left", "done"),
    [
        ({}, None, None),
        ({"extra": {"estimated_completion_at": NOW + 30}, "updated_at": NOW - 10}, 30.0, 25.0),
        ({"extra": {"estimated_completion_at": NOW - 5}, "updated_at": NOW - 10}, 0.0, 99.0),
        ({"progress": 20.0, "updated_at": NOW - 10}, 40.0, 20.0),
        ({"status": "completed", "extra": {"estimated_completion_at": NOW + 30}}, None, 100.0),
        ({"extra": {"estimated_completion_at": "soon"}}, None, None),
    ],
)
def test_what_is_left_and_done(fields: dict[str, object], left: float | None, done: float | None) -> None:
    assert (time_left(job(**fields), NOW), share_done(job(**fields), NOW)) == (left, done)


@pytest.mark.parametrize("form", [display.bars, display.table])
def test_each_job_has_a_line_and_keeps_it(form: object) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with form(console) as show:  # type: ignore[operator]
        show(job())
        show(job(id="vt_2", output_language="\x1b[2JGerman[bold]"))
        show(None)
        show(job(status="completed", video_url="https://v", updated_at=time.time()))
    assert isinstance(console.file, io.StringIO)
    last = [line for line in console.file.getvalue().splitlines() if "French" in line][-1]
    assert "completed" in last
    assert "\\x1b[2JGerman[bold]" in console.file.getvalue()
