"""`make integration-test`: server and client side by side, with the log lines of both as they happen.

At the end: requests per job, and the delay from a job's completion to the client knowing. Exit code 0 when
every job's end was known.
"""

# ruff: noqa: T201  (a script whose output is its purpose)

import logging
import sys
import tempfile
import threading
from pathlib import Path

from examples.local_server import LocalServer
from tests.waiting import PATIENCE
from video_translation_client import JobFailedError, VideoTranslationClient

JOBS = ["Spanish (Spain)", "German", "Japanese", "Hindi"]
FLAGS = ["--start-job", "false", "--translation-time", "1-3", "--error-rate", "0.25", "--seed", "7"]

_printing = threading.Lock()


def show(who: str, line: str) -> None:
    """One log line of one side; the two sides never mix within a line."""
    with _printing:
        print(f"{who} | {line}", flush=True)


class ShownLog(logging.Handler):
    """The client's log lines, readable as `time - LEVEL - message`."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Show one line."""
        show("client", self.format(record))


def main() -> int:
    """Run it."""
    logger = logging.getLogger("video_translation_client")
    logger.setLevel(logging.INFO)
    logger.addHandler(ShownLog())
    with tempfile.TemporaryDirectory() as folder:
        server = LocalServer(Path(folder) / "jobs.db", *FLAGS, on_log=lambda line: show("server", line))
        with server, VideoTranslationClient(server.url) as client:
            client.register_webhook()
            jobs = client.translate("https://example.com/lecture.mp4", JOBS)
            endings = []
            for job in jobs:
                try:
                    endings.append(job.result(timeout=PATIENCE).result)
                except JobFailedError:
                    endings.append("error")
            metrics = client.metrics()
    delays = metrics.completion_delay
    total = sum(metrics.requests.values())
    print(f"\njobs: {len(jobs)}, of which completed: {endings.count('completed')}, error: {endings.count('error')}")
    print(f"requests by kind: {dict(metrics.requests)}")
    print(f"requests per job: {total / len(jobs):.2f} (of which asking for a status: {metrics.status_calls})")
    print(f"completion to the client knowing: p50 {delays.p50 or 0:.4f} s, max {delays.max or 0:.4f} s")
    return 0 if len(endings) == delays.count == len(jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
