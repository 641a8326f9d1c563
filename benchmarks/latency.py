"""`make bench-latency`: how long after a transition its push has arrived, beside a bare POST and beside polling.

A real server pushes every transition to a real client (its receiver and callback in this process) and to a raw
receiver in another. `p50_ms`, `p99_ms` and the ratio count from the end of the transition's COMMIT, which a probe in
the server notes, at 10 transitions a second, to the raw receiver's socket. `socket` and `callback` count from the
event's own instant, taken before its commit began, which OVERSTATES our latency by the commit and the way to it;
`ratio_p50_before_commit_to_bare_post` is the same ratio counted so.
The bare POST has an event's bytes, goes to the raw receiver one at a time in the same seconds, and its round trip
includes the answer's way back. Polling is not waited for but replayed: 1 s, x2, up to 30 s from each job's creation,
against the instants at which the same jobs ended, requests taking no time; jobs here last seconds, so real ones, of
minutes, are worse off.
"""

import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.child import Child, call
from benchmarks.receiver import Receiver
from benchmarks.report import console, finish, option, options, percentile, spread_ms, table
from benchmarks.server import Transition, committed, transitions, watched
from benchmarks.traffic import TRANSITIONS, Shape, posts
from video_translation_client import Event, VideoTranslationClient

AT_ONCE = 1e6
"""Jobs per second: as fast as they are taken."""
ARRIVING = 30.0
"""Seconds that transitions may take to arrive, at worst."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    rate: float = option(10.0, "transitions per second of the slow phase")
    jobs: int = option(100, "jobs of the slow phase, each of three transitions")
    shortest: float = option(1.0, "seconds that a job of the slow phase lasts at least")
    longest: float = option(10.0, "seconds that it lasts at most")
    burst: int = option(400, "jobs submitted at once to measure the capacity")
    seconds: float = option(6.0, "seconds of the phase at half the capacity")
    seed: int = option(1, "seed of the jobs' durations")
    results: str = option("", "folder for the result instead of benchmarks/results")


@dataclass(frozen=True)
class Phase:
    """What was submitted together, from when on (Unix seconds), and the bare round trips meanwhile."""

    jobs: frozenset[str]
    began: float
    trips: list[float] = field(default_factory=list)


class Field:
    """The running server with its two listeners, and what has arrived at each."""

    def __init__(self, server_url: str, receiver: Receiver, seed: int) -> None:
        self.callback: dict[str, float] = {}
        self.socket: dict[str, float] = {}
        self._server_url = server_url
        self._receiver = receiver
        self._seed = seed
        self._expected = 0
        self._bare = posts(Shape(deliveries=1, endpoints=1, fan_out=1, port=receiver.port, seed=seed), time.time())[0]

    def take(self, event: Event) -> None:
        """The client's callback."""
        self.callback.setdefault(event.id, time.time())

    def submit(self, jobs: int, per_second: float, duration: tuple[float, float], *, bare: float = 0.0) -> Phase:
        """Submit jobs, wait until all has arrived; meanwhile bare POSTs at that rate, where there is one."""
        seconds = jobs / per_second + duration[1]
        given = {"url": self._server_url, "jobs": jobs, "per_second": per_second, "duration": duration}
        trips: list[float] = []
        if bare:
            paced = {"port": self._receiver.port, "per_second": bare, "seconds": seconds, "seed": self._seed}
            with Child("benchmarks.contestants:bare_posts", **paced) as posting:
                told = self._submit(given, seconds)
                trips = posting.hear(seconds + ARRIVING)["trips"]
        else:
            told = self._submit(given, seconds)
        self._await(len(told["ids"]) * TRANSITIONS)
        return Phase(frozenset(told["ids"]), told["began"], trips)

    def _submit(self, given: dict[str, Any], seconds: float) -> dict[str, Any]:
        return call("benchmarks.submitter:submit", timeout=seconds + ARRIVING, seed=self._seed, **given)

    def _await(self, more: int) -> None:
        self._expected += more
        until = time.monotonic() + ARRIVING
        while min(len(self.callback), len(self.socket)) < self._expected:
            if time.monotonic() > until:
                raise RuntimeError(
                    f"of {self._expected} events {len(self.callback)} came to the callback "
                    f"and {len(self.socket)} to the raw receiver"
                )
            time.sleep(0.05)
            self.socket = self._receiver.arrivals() | self.socket
            self.socket.pop(self._bare.headers["webhook-id"], None)


@contextmanager
def playing(folder: Path, seed: int) -> Iterator[Field]:
    """A server, a raw receiver and a client, registered."""
    with Receiver(noting=True) as receiver, watched(folder) as url, VideoTranslationClient(url) as client:
        found = Field(url, receiver, seed)
        client.register_webhook(found.take)
        body = json.dumps({"url": f"http://127.0.0.1:{receiver.port}/raw"}).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(  # noqa: S310  (our own server)
            urllib.request.Request(f"{url}/v3/webhooks/endpoints", body, headers)  # noqa: S310
        ):
            pass
        yield found


def main() -> int:
    """Run it."""
    chosen = options(Options, str(__doc__).partition("\n")[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with playing(folder, chosen.seed) as field_:
            field_.submit(10, AT_ONCE, (0, 0))  # every part has then been used once
            burst = field_.submit(chosen.burst, AT_ONCE, (0, 0))
            capacity = _capacity(field_, burst)
            console.print(f"capacity: {capacity:,.0f} transitions a second, to both")
            slow = field_.submit(
                chosen.jobs, chosen.rate / TRANSITIONS, (chosen.shortest, chosen.longest), bare=chosen.rate
            )
            per_second = capacity / 2 / TRANSITIONS
            busy = field_.submit(
                max(1, int(per_second * chosen.seconds)), per_second, (0, chosen.seconds / 3), bare=chosen.rate
            )
        log = transitions(folder)
        known = committed(folder, log)
    at_rate, at_half = _latencies(field_, slow, log, known), _latencies(field_, busy, log, known)
    polls = [_polled(first, last) for first, last in _lives(slow, log)]
    result = summary(chosen, capacity, at_rate, at_half, polls)
    show(result)
    finish("latency", result, chosen.results)
    return 0


def _capacity(found: Field, burst: Phase) -> float:
    """Transitions per second of the burst that just arrived: from its first request to the last arrival at both."""
    last = max(max(arrived.values()) for arrived in (found.callback, found.socket))
    return len(burst.jobs) * TRANSITIONS / (last - burst.began)


def _latencies(found: Field, phase: Phase, log: list[Transition], known: dict[str, float]) -> dict[str, Any]:
    """From the transition to the socket and to the callback, and what there is to compare it with."""
    events = [transition for transition in log if transition.job_id in phase.jobs]

    def spread(arrived: dict[str, float], since: Callable[[Transition], float]) -> dict[str, Any]:
        return spread_ms([arrived[event.event_id] - since(event) for event in events])

    return {
        "transitions_per_second": len(events) / (max(event.at for event in events) - min(event.at for event in events)),
        "socket": spread(found.socket, lambda event: event.at),
        "callback": spread(found.callback, lambda event: event.at),
        "socket_from_commit": spread(found.socket, lambda event: known[event.event_id]),
        "callback_from_commit": spread(found.callback, lambda event: known[event.event_id]),
        "bare_post": spread_ms(phase.trips),
    }


def _lives(phase: Phase, log: list[Transition]) -> Iterator[tuple[float, float]]:
    """Creation and end of each job."""
    created = {event.job_id: event.at for event in log if event.sequence == 1}
    return ((created[event.job_id], event.at) for event in log if event.is_last and event.job_id in phase.jobs)


def _polled(created: float, ended: float) -> tuple[float, int]:
    """How late a poller with exponential backoff learns of a job's end, and its number of requests."""
    wait, at, requests = 1.0, created, 0
    while at < ended or not requests:
        at, requests, wait = at + wait, requests + 1, min(wait * 2, 30.0)
    return at - ended, requests


def summary(
    chosen: Options,
    capacity: float,
    at_rate: dict[str, Any],
    at_half: dict[str, Any],
    polls: Iterable[tuple[float, int]],
) -> dict[str, Any]:
    """What is told at the end."""
    delays, requests = zip(*polls, strict=True)
    socket, callback, bare = (at_rate[name] for name in ("socket_from_commit", "callback_from_commit", "bare_post"))
    given = {name: value for name, value in asdict(chosen).items() if name != "results"}
    return given | {
        "p50_ms": socket["p50_ms"],
        "p99_ms": socket["p99_ms"],
        "max_ms": socket["max_ms"],
        "callback_p50_ms": callback["p50_ms"],
        "callback_p99_ms": callback["p99_ms"],
        "bare_post_p50_ms": bare["p50_ms"],
        "ratio_p50_to_bare_post": socket["p50_ms"] / bare["p50_ms"],
        "ratio_p50_before_commit_to_bare_post": at_rate["socket"]["p50_ms"] / bare["p50_ms"],
        "polling_delay_p50_ms": percentile(delays, 50) * 1000,
        "polling_delay_max_ms": max(delays) * 1000,
        "polling_requests_per_job": fmean(requests),
        "capacity_per_second": capacity,
        "at_rate": at_rate,
        "at_half_capacity": at_half,
    }


def show(result: dict[str, Any]) -> None:
    """The tables."""
    for title, name in ((f"{result['rate']:g} transitions/s", "at_rate"), ("half the capacity", "at_half_capacity")):
        told = result[name]
        rows = [
            [what.replace("_", " "), *(f"{told[what][column]:.2f}" for column in ("p50_ms", "p99_ms", "max_ms"))]
            for what in ("socket", "callback", "socket_from_commit", "callback_from_commit", "bare_post")
        ]
        heading = f"{title} ({told['transitions_per_second']:.1f}/s with its beginning and end)"
        table(heading, ["transition to", "p50 ms", "p99 ms", "max ms"], rows)
    console.print(
        f"polling: {result['polling_delay_p50_ms']:,.0f} ms late (p50), "
        f"{result['polling_requests_per_job']:.1f} requests a job; pushes: {result['p50_ms']:.2f} ms late, "
        f"{result['ratio_p50_to_bare_post']:.1f} times a bare POST's round trip"
    )


if __name__ == "__main__":
    sys.exit(main())
