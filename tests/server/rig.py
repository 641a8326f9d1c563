"""A whole server inside a test: real store, loops and API; the clock and the sender are in the test's hand.

`serving` runs one; `Rig.advance` moves time and returns when every loop has nothing left to do.
"""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from structlog.testing import capture_logs

from tests.waiting import eventually
from video_translation_server import app, parts
from video_translation_server.clock import ManualClock
from video_translation_server.ids import Ids
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.settings import Settings
from video_translation_server.store import Store

LOOPS = 5
"""Preflight, simulation, delivery, upkeep, sweeping: those that wait on the clock."""

HOOK = "https://receiver.example/hook"
JOBS = "/v3/video-translations"
ENDPOINTS = "/v3/webhooks/endpoints"
EVENTS = "/v3/webhooks/events"
DELIVERIES = "/v3/webhooks/deliveries"
RECOVERIES = "/v3/webhooks/recoveries"
VIDEO = {"type": "url", "url": "https://example.com/talk.mp4"}


def seeded_ids() -> Ids:
    """Ids that are the same in every run: vt_1, vt_2, evt_1, ..."""
    numbers: Counter[str] = Counter()

    def make(prefix: str) -> str:
        numbers[prefix] += 1
        return f"{prefix}_{numbers[prefix]}"

    return make


class SteppedClock(ManualClock):
    """A clock that knows when everybody who uses it has nothing to do but wait."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        super().__init__(start)
        self._waits: list[tuple[asyncio.Event, float | None]] = []

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        entry = (event, until)
        self._waits.append(entry)
        try:
            await super().wait(event, until)
        finally:
            self._waits.remove(entry)

    def resting(self) -> int:
        """How many wait for something that has not come yet."""
        return sum(not event.is_set() and (end is None or end > self.now()) for event, end in self._waits)


@dataclass(frozen=True)
class Post:
    """One POST as the sender got it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    deadline: float
    at: float

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def job(self) -> str:
        return str(self.event["event_data"]["video_translate_id"])

    @property
    def sequence(self) -> int:
        return int(self.event["event_data"]["sequence"])


def answered(status: int = 204, retry_after: str | None = None) -> Outcome:
    return Outcome(kind=OutcomeKind.STATUS, status=status, retry_after=retry_after)


async def never() -> Outcome:
    """A receiver that takes the bytes and says nothing."""
    await asyncio.Event().wait()
    raise AssertionError


class FakeSender:
    """Records every POST and answers as its script says: 204 unless told otherwise."""

    def __init__(self, clock: ManualClock) -> None:
        self.posts: list[Post] = []
        self.answer: Callable[[Post], Outcome | Awaitable[Outcome]] = lambda _: answered()
        self.in_flight: list[Post] = []
        self.peak = 0
        self.aborted = 0
        self.is_closed = False
        self._clock = clock

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> asyncio.Future[Outcome]:
        return asyncio.ensure_future(self._answer(Post(url, dict(headers), body, deadline, self._clock.now())))

    async def _answer(self, post: Post) -> Outcome:
        self.posts.append(post)
        self.in_flight.append(post)
        self.peak = max(self.peak, len(self.in_flight))
        try:
            outcome = self.answer(post)
            return await outcome if inspect.isawaitable(outcome) else outcome
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.in_flight.remove(post)

    async def close(self) -> None:
        self.is_closed = True

    def sequences(self, job: str, url: str = HOOK) -> list[int]:
        """What of one job was sent to one URL, in the order of sending."""
        return [post.sequence for post in self.posts if post.url == url and post.job == job]


@dataclass
class Rig:
    """A running server and what a test needs to drive and watch it."""

    settings: Settings
    clock: SteppedClock
    sender: FakeSender
    store: Store
    http: httpx.AsyncClient
    logs: list[Any]
    application: app.Application
    _posts_before: int = field(default=0)

    def lines(self, event: str) -> list[Any]:
        return [line for line in self.logs if line["event"] == event]

    def is_quiet(self) -> bool:
        answered_posts = len(self.sender.posts) - self._posts_before - len(self.sender.in_flight)
        return self.clock.resting() >= LOOPS and len(self.lines("attempt")) == answered_posts

    async def quiet(self) -> None:
        """Return when every loop waits for time to pass, and every attempt that has an answer is settled."""
        await eventually(self.is_quiet)

    async def advance(self, seconds: float) -> None:
        await self.quiet()  # a loop in the middle of a round would take the new time for that of the old one's end
        self.clock.advance(seconds)
        await self.quiet()

    async def translate(self, *languages: str, **fields: Any) -> list[str]:
        body = {"video": VIDEO, "output_languages": list(languages) or ["English"]} | fields
        answer = await self.http.post(JOBS, json=body)
        assert answer.status_code == 200, answer.text
        ids: list[str] = answer.json()["data"]["video_translation_ids"]
        return ids

    async def register(self, url: str = HOOK, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post(ENDPOINTS, json={"url": url} | fields)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def job(self, job_id: str) -> dict[str, Any]:
        data: dict[str, Any] = (await self.http.get(f"{JOBS}/{job_id}")).json()["data"]
        return data

    async def stored(self) -> tuple[int, int, int]:
        """How many jobs, events and endpoints there are (at most 100 of each)."""
        counts = [len((await self.http.get(path, params={"limit": 100})).json()["data"]) for path in LISTS]
        return counts[0], counts[1], counts[2]


LISTS = (JOBS, EVENTS, ENDPOINTS)

DEFAULTS: dict[str, Any] = {
    "start_job": False,
    "error_rate": 0,
    "retry_jitter": 0,
    "seed": 1,
    "drain_timeout": 0,
}


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    clock: SteppedClock | None = None,
    sender: FakeSender | None = None,
    ids: Ids | None = None,
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A server on the database in `folder`; a second one on the same folder goes on where the first stopped."""
    clock = clock or SteppedClock()
    sender = sender or FakeSender(clock)
    given = Settings.model_validate(DEFAULTS | {"store": str(folder / "server.db")} | settings)
    with mock.patch.object(parts, "Http1Sender", return_value=sender), capture_logs() as logs:
        posts_before = len(sender.posts)
        async with app.running(given, clock=clock, ids=ids or seeded_ids()) as application:
            transport = httpx.ASGITransport(application.api)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=headers, trust_env=False
            ) as http:
                yield Rig(given, clock, sender, application.store, http, logs, application, posts_before)
