"""Show running jobs as they change: bars or a table on a terminal, one line per change elsewhere.

The only module that knows rich; which changes there are is found out by `following`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from video_translation_client._models import JobSnapshot
from video_translation_client.cli.output import harmless
from video_translation_client.cli.records import COLOURS, share_done, time_left


class Display(Protocol):
    """Shows one change, or with None only the passing of time."""

    def __call__(self, job: JobSnapshot | None, /) -> None:
        """Show it."""


@contextmanager
def bars(console: Console) -> Iterator[Display]:
    """Show a bar per job, with its language, status, time passed and time left."""
    progress = Progress(
        TextColumn("{task.fields[language]}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
    )
    tasks: dict[str, tuple[TaskID, JobSnapshot]] = {}

    def show(job: JobSnapshot | None) -> None:
        if job is not None:
            known = tasks.get(job.id)
            task = known[0] if known else progress.add_task("", total=None, language="", status="", left="")
            tasks[job.id] = task, job
        for task, latest in tasks.values():
            _move(progress, task, latest)

    with progress:
        yield show


@contextmanager
def table(console: Console) -> Iterator[Display]:
    """Show a table with a row per job."""
    jobs: dict[str, JobSnapshot] = {}
    with Live(console=console, get_renderable=lambda: _rows(jobs.values()), auto_refresh=True) as live:

        def show(job: JobSnapshot | None) -> None:
            if job is not None:
                jobs[job.id] = job
                live.refresh()

        yield show


def _move(progress: Progress, task: TaskID, job: JobSnapshot) -> None:
    done = share_done(job, time.time())
    progress.update(
        task,
        total=None if done is None else 100.0,  # a bar that nobody can measure runs to and fro
        completed=done or 0.0,
        language=harmless(job.output_language or job.id),
        status=harmless(job.status),
        left=_left(job),
    )
    if job.terminal:
        progress.stop_task(task)


def _rows(jobs: Iterable[JobSnapshot]) -> Table:
    found, now = list(jobs), time.time()
    rows = Table(box=None, pad_edge=False)
    rows.add_column("id", no_wrap=True, min_width=max((len(job.id) for job in found), default=0))
    for name in ("language", "status", "progress", "left", "result"):
        rows.add_column(name, no_wrap=True)
    for job in found:
        done = share_done(job, now)
        rows.add_row(
            Text(harmless(job.id)),
            Text(harmless(job.output_language or "-")),
            Text(harmless(job.status), style=COLOURS.get(job.status, "")),
            "-" if done is None else f"{done:.0f} %",
            _left(job),
            Text(harmless(job.video_url or job.failure_message or "")),
        )
    return rows


def _left(job: JobSnapshot) -> str:
    seconds = time_left(job, time.time())
    return "" if seconds is None else f"{seconds:.0f} s left"
