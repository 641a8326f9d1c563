"""`make bench-start`: how soon a server is up inside a test, beside a bare one; and how long a day of retries takes it.

Up means that it answers: our server with a store of its own (`TranslationServer`), the bare one an empty FastAPI
application under uvicorn, each on a thread, modules loaded. The day is one delivery to a receiver that answers 500,
from the call that moves the clock to its return: 11 attempts over real HTTP.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from benchmarks.report import finish, option, options, table
from video_translation_server.testing import TranslationServer

DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    rounds: int = option(15, "starts of each kind, and days")
    results: str = option("", "folder for the result instead of benchmarks/results")


class _Started(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.answers.set()


@contextmanager
def bare() -> Iterator[None]:
    """An empty application, answering."""
    server = _Started(uvicorn.Config(FastAPI(), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    server.answers.wait(30)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name that http.server asks for
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the result is the last line."""


def up(start: Callable[[], AbstractContextManager[object]]) -> tuple[float, float]:
    """Seconds until it answers, and seconds of CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    with start():
        return time.perf_counter() - began, time.process_time() - cpu


def day(folder: Path, url: str) -> float:
    """Seconds that a day of retries takes; a delivery that has not had all its attempts is an error."""
    with TranslationServer(folder) as server, httpx.Client(base_url=server.url, trust_env=False) as http:
        http.post("/v3/webhooks/endpoints", json={"url": url, "events": ["video_translate.success"]}).raise_for_status()
        order = {"video": {"type": "url", "url": "https://example.com/a.mp4"}, "output_languages": ["German"]}
        http.post("/v3/video-translations", json=order).raise_for_status()
        server.advance(60)
        began = time.perf_counter()
        server.advance(1.2 * DAY)
        seconds = time.perf_counter() - began
        [delivery] = [one for one in server.deliveries if one.job_id is not None]
        if (str(delivery.state), delivery.attempts) != ("dead", 11):
            raise RuntimeError(f"{delivery.state} after {delivery.attempts} attempts: the day is not over")
        return seconds


def measure(rounds: int, folder: Path) -> dict[str, Any]:
    """Medians over rounds in which each has its turn; the first start of each, which warms up, is not counted."""
    told: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    for number in range(rounds + 1):
        (place := folder / f"up-{number}").mkdir()
        told["bare"].append(up(bare))
        told["ours"].append(up(lambda place=place: TranslationServer(place)))  # type: ignore[misc]
    result: dict[str, Any] = {
        kind: {
            "up_ms": median(wall for wall, _ in found[1:]) * 1000,
            "cpu_ms": median(cpu for _, cpu in found[1:]) * 1000,
        }
        for kind, found in told.items()
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, args=(0.01,), daemon=True).start()
        days = []
        for number in range(rounds):
            (place := folder / f"day-{number}").mkdir()
            days.append(day(place, f"http://127.0.0.1:{refusing.server_port}/hook"))
        refusing.shutdown()
    ratio = result["ours"]["up_ms"] / result["bare"]["up_ms"]
    return {"ratio_up": ratio, "day_of_retries_s": median(days)} | result


def main() -> int:
    """Measure, show, and end with the result's line."""
    chosen = options(Options, "how soon a server is up inside a test")
    with tempfile.TemporaryDirectory() as folder:
        result = asdict(chosen) | measure(chosen.rounds, Path(folder))
    rows = [[kind, *(f"{result[kind][name]:.0f}" for name in ("up_ms", "cpu_ms"))] for kind in ("bare", "ours")]
    table("until it answers, medians", ["server", "ms", "ms of CPU"], rows)
    finish("start", result, chosen.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
