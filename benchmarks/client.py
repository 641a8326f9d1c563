"""`make bench-client`: what receiving costs beside a bare ASGI app, how fast a handle wakes, what asking would cost.

Receiving: the same signed deliveries, sent over raw connections, to the client's listener (verified, deduplicated,
ordered, called back) and to a bare ASGI app that answers 204 unread, both under uvicorn; CPU per delivery of the whole
process decides, and the ratio is the median of the rounds'. Waking: from the bytes of a job's last event to `result()`
returning on another thread. Requests: the same jobs on a real server, once followed by pushes, once polled by
`poll_status` (1 s, x2, up to 30 s); the shared reads of the safety net are counted per client and stated beside.
"""

import concurrent.futures
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import Child, call
from benchmarks.report import console, finish, option, options, percentile, table
from benchmarks.server import serving
from benchmarks.traffic import Shape, endpoints
from video_translation_client import CLASSIC_POLL, VideoTranslationClient

NET = ("list_events", "get_statuses")
"""The reads that all jobs of a client share."""
PATIENCE = 120.0
"""Seconds until a part that does not end is a failure."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    deliveries: int = option(20_000, "deliveries per contestant and round")
    in_flight: int = option(64, "connections, each with one delivery under way")
    rounds: int = option(5, "rounds; each has both contestants once")
    wakes: int = option(300, "jobs whose end wakes a thread")
    starts: int = option(20, "listeners that are started, one after the other")
    handles: int = option(10_000, "waiting handles whose memory is measured")
    jobs: int = option(20, "jobs of each length that are followed and polled")
    short: float = option(1.0, "seconds that a short job lasts")
    long: float = option(10.0, "seconds that a long job lasts")
    seed: int = option(1, "seed of ids, secrets and bodies")
    results: str = option("", "folder for the result instead of benchmarks/results")


def received(listener: str, shape: Shape, in_flight: int) -> float:
    """CPU seconds per delivery of one of `benchmarks.listeners`."""
    secret = endpoints(shape, 0)[0].secret
    with Child(f"benchmarks.listeners:{listener}", secret=secret) as child:
        here = replace(shape, port=child.hear()["port"])
        before = child.ask({"until": 0})
        call("benchmarks.contestants:flood", timeout=PATIENCE, shape=asdict(here), in_flight=in_flight)
        after = child.ask({"until": shape.deliveries})
    if after["count"] != shape.deliveries:
        raise RuntimeError(f"{listener}: {after['count']} of {shape.deliveries} deliveries were dealt with")
    return float(after["cpu"] - before["cpu"]) / shape.deliveries


def receiving(chosen: Options) -> dict[str, float]:
    """Deliveries per CPU second of both, and the ratio."""
    shape = Shape(deliveries=chosen.deliveries, endpoints=1, fan_out=1, port=1, seed=chosen.seed)
    rounds = [
        {name: received(name, shape, chosen.in_flight) for name in ("bare", "client")} for _ in range(chosen.rounds)
    ]
    return {
        "receiver_per_core": 1 / median(each["client"] for each in rounds),
        "bare_per_core": 1 / median(each["bare"] for each in rounds),
        "ratio_receiver": median(each["bare"] / each["client"] for each in rounds),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests per job of one client, and its reads of the safety net in all."""

    per_job: float
    net_reads: int


def followed(url: str, jobs: int, seconds: float) -> tuple[Asked, Asked]:
    """The same jobs, each created by a request of its own: followed by pushes, and at the same time polled."""
    script = {"outcome": "completed", "duration_seconds": seconds}
    with VideoTranslationClient(url) as pushed, VideoTranslationClient(url, mode="poll", auto_poll=False) as polling:
        pushed.register_webhook()
        made = [pushed.translate("https://example.com/v.mp4", ["German"], simulation=script)[0] for _ in range(jobs)]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda job: polling.poll_status(job.id, policy=CLASSIC_POLL), made))
        for job in made:
            job.result(PATIENCE)
        requests, polls = pushed.metrics().requests, polling.metrics().requests
    net = sum(requests.get(name, 0) for name in NET)
    # Whoever polls has to create the jobs too.
    return Asked((sum(requests.values()) - net) / jobs, net), Asked(1 + sum(polls.values()) / jobs, 0)


def asking(chosen: Options) -> dict[str, Any]:
    """Requests per job, by pushes and by polling, for short jobs and for long ones."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        for name, seconds in (("short", chosen.short), ("long", chosen.long)):
            by_push, by_poll = followed(url, chosen.jobs, seconds)
            found |= {
                f"requests_per_job_push_{name}": by_push.per_job,
                f"net_reads_{name}": by_push.net_reads,
                f"requests_per_job_polling_{name}": by_poll.per_job,
            }
    return found | {
        "requests_per_job_push": found["requests_per_job_push_long"],
        "requests_per_job_polling": found["requests_per_job_polling_long"],
    }


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    result: dict[str, Any] = dict(receiving(chosen))
    late = call("benchmarks.listeners:wakes", timeout=PATIENCE, count=chosen.wakes, seed=chosen.seed)["wakes"]
    result |= {"wake_p50_ms": percentile(late, 50) * 1000, "wake_p99_ms": percentile(late, 99) * 1000}
    up = call("benchmarks.listeners:starts", timeout=PATIENCE, count=chosen.starts)["starts"]
    # The first one loads FastAPI and uvicorn, once per process.
    result |= {"receiver_up_first_ms": up[0] * 1000, "receiver_up_ms": percentile(up[1:], 50) * 1000}
    memory = call("benchmarks.listeners:handles", timeout=PATIENCE, count=chosen.handles)
    result |= {"bytes_per_handle": memory["bytes_per_handle"], "threads_of_handles": memory["threads"]}
    result |= asking(chosen)
    table("Client", ("", "figure"), [(name, value) for name, value in result.items()])
    console.print("requests per job count registering, creating and leaving; the reads of the shared net stand beside")
    finish("client", asdict(chosen) | result, chosen.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
