"""`make demo`: a server, a client and three jobs, in real processes over real HTTP; every push is shown as it arrives.

The last line is one JSON object, counted from what the client received and what the server's event log holds.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.local_server import LocalServer
from video_translation_client import Event, Job, JobFailedError, VideoTranslationClient

VIDEO = "https://example.com/keynote.mp4"
SUCCEED = {"outcome": "completed", "duration_seconds": 4}
FAIL = {"outcome": "failed", "duration_seconds": 5, "error_message": "The video has no audio track"}
TRANSITIONS_PER_JOB = 3
PATIENCE = 15.0
"""Seconds that the demo waits for anything."""

STYLES = {"pending": "yellow", "running": "blue", "completed": "green", "failed": "red"}


@dataclass(frozen=True)
class Arrival:
    """One event in the client's callback, and when it came (Unix seconds)."""

    event: Event
    at: float

    @property
    def latency_ms(self) -> float:
        """From the transition in the server to the callback."""
        return (self.at - self.event.created_at.timestamp()) * 1000 if self.event.created_at else float("nan")


class Board:
    """What has arrived so far: a webhook callback on one side, a live table on the other."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._changed = threading.Condition()

    def take(self, event: Event) -> None:
        """The callback."""
        with self._changed:
            self.arrivals.append(Arrival(event, time.time()))
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        """True once `count` events have arrived; False when they did not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.arrivals) >= count, timeout=PATIENCE)

    def __rich__(self) -> Table:
        """The table as it stands."""
        table = Table("time", "job", "language", "#", "transition", "push latency", title="Pushed by the server")
        for arrival in list(self.arrivals):
            job = arrival.event.job
            clock = time.strftime("%H:%M:%S", time.localtime(arrival.at))
            status = f"[{STYLES.get(job.status, 'white')}]{job.status}[/]"
            table.add_row(
                clock, job.id[-6:], job.output_language, str(job.sequence), status, f"{arrival.latency_ms:.1f} ms"
            )
        return table


def main() -> int:
    """Run the demo; the exit code is 0 when every transition of every job was pushed once and in order."""
    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer(Path(folder) / "demo.db", "--start-job", "false") as server,
        VideoTranslationClient(server.url) as client,
    ):
        board = Board()
        registration = client.register_webhook(board.take)
        console.print(f"server  {server.url}")
        console.print(f"client  {registration.url} (its own receiver)")
        with Live(board, console=console, refresh_per_second=10):
            jobs = client.translate(VIDEO, ["Spanish (Spain)", "Japanese"], simulation=SUCCEED)
            jobs += client.translate(VIDEO, ["French (France)"], simulation=FAIL)
            board.wait_for(TRANSITIONS_PER_JOB * len(jobs))
        console.print()
        for job in jobs:
            console.print(f"{job.id[-6:]}: {ending_of(job)}", soft_wrap=True)
        summary = summarise(client, board.arrivals, jobs, logged_events(server.url))
    console.print()
    print(json.dumps(summary, separators=(",", ":")))
    return 0 if is_perfect(summary) else 1


def ending_of(job: Job) -> str:
    """How a job ended, in a sentence."""
    try:
        return f"[green]completed[/], video at {job.result(timeout=PATIENCE).video_url}"
    except JobFailedError as error:
        return f"[red]failed[/], as the server was told to: {error}"


def logged_events(url: str) -> list[str]:
    """The ids of all jobs' events in the server's log."""
    answer = httpx.get(f"{url}/v3/webhooks/events", params={"after": "cur_0", "limit": 100})
    events = answer.raise_for_status().json()["data"]
    return [event["event_id"] for event in events if "video_translate_id" in event["event_data"]]


def summarise(
    client: VideoTranslationClient, arrivals: Iterable[Arrival], jobs: Sequence[Job], logged: list[str]
) -> dict[str, object]:
    """Compare what the client received with what the server's log holds."""
    metrics, arrived = client.metrics(), [arrival.event for arrival in arrivals]
    received = {event.id for event in arrived}
    sequences = [[event.job.sequence for event in arrived if event.job.id == job.id] for job in jobs]
    disorder = sum(sequence != sorted(sequence, key=lambda number: number or 0) for sequence in sequences)
    latencies = metrics.push_latency
    return {
        "jobs": len(jobs),
        "events_pushed": metrics.pushes_received,
        "lost": len(set(logged) - received),
        "duplicates": metrics.duplicates_dropped + len(arrived) - len(received),
        "out_of_order": metrics.out_of_order + disorder,
        "push_latency_ms": {
            "p50": round((latencies.p50 or 0) * 1000, 1),
            "max": round((latencies.max or 0) * 1000, 1),
        },
        "status_calls": metrics.status_calls,
    }


def is_perfect(summary: dict[str, object]) -> bool:
    """Nothing lost, nothing twice, nothing out of order, and all of it pushed."""
    flaws = [summary[name] for name in ("lost", "duplicates", "out_of_order")]
    return not any(flaws) and summary["jobs"] == 3 and summary["events_pushed"] == 3 * TRANSITIONS_PER_JOB


if __name__ == "__main__":
    sys.exit(main())
