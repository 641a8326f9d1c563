"""What is delivered, the same for every contestant: endpoints, jobs in their transitions, the signed requests.

Everything comes from a seed, built by the server's own pure functions (`lifecycle`, `signing`); nothing here sends.
Ids grow with time as the server's own do (UUID version 7): of ids without any order, an index costs a page each.
"""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from video_translation_server import lifecycle
from video_translation_server.delivery.courier import HEADERS
from video_translation_server.links import Links
from video_translation_server.model import Change, Endpoint, Job, Plan
from video_translation_server.signing import SECRET_PREFIX, signature_headers

TRANSITIONS = 3
BLOCK = 1000
"""Jobs that make each of their transitions together, so that one job's come some way apart, as in life."""
NEVER = Plan(pending_seconds=1e8, running_seconds=1e8)
"""The simulation leaves these jobs alone; the benchmark moves them."""
LINKS = Links(base="https://translations.example.com", key=bytes(32), lifetime=7 * 86400)
REQUEST = {"video": {"type": "url", "url": "https://example.com/keynote.mp4"}, "title": "Opening keynote, main stage"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much goes where.

    Attributes:
        fan_out: Endpoints that get each event. Endpoints of one workspace share its events, so there are
            `endpoints / fan_out` workspaces.
        port: The receiver's, on 127.0.0.1.
    """

    deliveries: int
    endpoints: int
    fan_out: int
    port: int
    seed: int

    @property
    def events(self) -> int:
        """How many events make that many deliveries."""
        return self.deliveries // self.fan_out

    @property
    def workspaces(self) -> int:
        """How many workspaces share the endpoints."""
        return self.endpoints // self.fan_out


class Ids:
    """Makes ids as the server does, a quarter of a millisecond apart, of a seed (RFC 9562, section 5.7)."""

    def __init__(self, chance: random.Random, begin: float) -> None:
        """The first one is of the instant `begin`, in Unix seconds."""
        self._chance = chance
        self._instants = count(begin, 0.00025)

    def __call__(self, prefix: str) -> str:
        """A new id."""
        milliseconds, noise = int(next(self._instants) * 1e3), self._chance.getrandbits(74)
        number = milliseconds << 80 | 0x7 << 76 | (noise >> 62) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
        return f"{prefix}_{number:032x}"


def endpoints(shape: Shape, now: float) -> list[Endpoint]:
    """The endpoints, each a path of its own on the receiver."""
    chance = random.Random(shape.seed)
    ids = Ids(chance, now)
    return [
        Endpoint(
            id=ids("ep"),
            workspace_id=workspace(number % shape.workspaces),
            url=f"http://127.0.0.1:{shape.port}/hooks/{number}",
            created_at=now,
            secret=SECRET_PREFIX + base64.b64encode(chance.randbytes(32)).decode(),
        )
        for number in range(shape.endpoints)
    ]


def workspace(number: int) -> str:
    """The id of a workspace."""
    return f"ws_{number:04}"


def changes(shape: Shape, now: float) -> Iterator[Change]:
    """One change per event, workspaces in turn; every job is created, runs and completes."""
    ids = Ids(random.Random(shape.seed + 1), now)
    return islice(_endless(shape, ids, now), shape.events)


def _endless(shape: Shape, ids: Ids, now: float) -> Iterator[Change]:
    block = min(BLOCK, -(-shape.events // TRANSITIONS))
    while True:
        jobs: list[Job] = []
        for number in range(block):
            created = create(ids, workspace(number % shape.workspaces), now)
            jobs.append(created.job)
            yield created
        for _ in range(TRANSITIONS - 1):
            moves = [_advance(ids, job, now) for job in jobs]
            yield from moves
            jobs = [moved.job for moved in moves]


def create(ids: Ids, workspace_id: str, now: float) -> Change:
    """A job's first transition."""
    return lifecycle.create(
        job_id=ids("vt"),
        workspace_id=workspace_id,
        output_language="Spanish (Spain)",
        request=REQUEST,
        plan=NEVER,
        event_id=ids("evt"),
        now=now,
    )


def _advance(ids: Ids, job: Job, now: float) -> Change:
    return lifecycle.advance(job, event_id=ids("evt"), now=now, links=LINKS)


@dataclass(frozen=True, slots=True)
class Post:
    """One request as the engine would send it."""

    url: str
    headers: dict[str, str]
    body: bytes


def posts(shape: Shape, now: float) -> list[Post]:
    """The same deliveries as ready requests, signed beforehand."""
    targets: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints(shape, now):
        targets.setdefault(endpoint.workspace_id, []).append(endpoint)
    return [
        Post(endpoint.url, _headers(endpoint, change, int(now)), change.event.body)
        for change in changes(shape, now)
        for endpoint in targets[change.event.workspace_id]
    ]


def _headers(endpoint: Endpoint, change: Change, now: int) -> dict[str, str]:
    signed = signature_headers((endpoint.secret,), event_id=change.event.id, timestamp=now, body=change.event.body)
    return HEADERS | signed | {"Accept-Encoding": "identity"}
