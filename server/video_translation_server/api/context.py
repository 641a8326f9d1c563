"""What the API works with, given by `app`: the store, time, ids, and ports to what it must drive elsewhere."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Request

from video_translation_server.api.polls import Polls
from video_translation_server.api.tail import Tail
from video_translation_server.api.waiters import Waiters
from video_translation_server.clock import Clock
from video_translation_server.faults import Faults
from video_translation_server.ids import Ids, random_key
from video_translation_server.links import Links
from video_translation_server.media.gallery import Gallery
from video_translation_server.media.studio import Studio
from video_translation_server.model import Job, Plan, Subject, Workers
from video_translation_server.shelf import Shelf
from video_translation_server.store import UNLIMITED, Store
from video_translation_server.wire.scripts import Script


class Planner(Protocol):
    """Port: decides a new job's fate."""

    def plan(self, script: Script, subject: Subject) -> Plan:
        """The plan for one job: what its request asks for, and what is known of it."""
        ...

    def failure_text(self, message: str) -> str:
        """The text of a preset, or the message itself where it names none."""
        ...


class PacedClock(Protocol):
    """Port: a clock that says how fast it goes."""

    @property
    def speed(self) -> float:
        """Its seconds per real second; 0: it stands still."""
        ...

    def now(self) -> float:
        """What it shows, Unix seconds."""
        ...


class Timeline(Protocol):
    """Port: the hand on the clock (decision 0013)."""

    async def run(self, speed: float) -> None:
        """Pass `speed` virtual seconds per real second from here on; 0 stands still."""
        ...

    async def advance(self, seconds: float) -> None:
        """Set the clock forward; return when all that was due on the way has happened."""
        ...

    async def advance_to_next(self) -> None:
        """Set the clock to the next instant at which anything is due."""
        ...

    async def next_due(self) -> float | None:
        """The next instant at which anything is due, Unix seconds of the clock."""
        ...


class Control(Protocol):
    """Port: moves jobs at once, whatever their plans say.

    Those that move a job raise NotFoundError where there is none, ConflictError for one that has ended.
    """

    async def complete(self, job_id: str) -> Job:
        """Complete a job."""
        ...

    async def fail(self, job_id: str, message: str) -> Job:
        """Let a job fail."""
        ...

    async def advance(self, job_id: str) -> Job:
        """Make the next move of a job's own plan."""
        ...

    async def stall(self, job_id: str) -> Job:
        """Let a job stand still until it is moved by hand."""
        ...

    async def reset(self, job_id: str) -> Job:
        """Put a job, also one that has ended, back to the beginning of its plan."""
        ...

    async def erase(self) -> None:
        """Delete everything but workspaces, keys and the clock."""
        ...


class Conduct(Protocol):
    """Port: how the simulation behaves, where that may be changed while it runs."""

    @property
    def seed(self) -> int | None:
        """The seed in force."""
        ...

    def config(self) -> dict[str, Any]:
        """The settings that may be changed, by name."""
        ...

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change some of them, for the jobs to come.

        Raises:
            InvalidError: A value cannot be, by itself or together with the others; nothing is changed.
        """
        ...

    async def sow(self, seed: int | None) -> None:
        """Draw and name with another seed from here on; None: different every time."""
        ...


@dataclass(frozen=True, slots=True)
class Simulator:
    """What the doors under `/_sim` drive."""

    clock: PacedClock
    timeline: Timeline
    control: Control
    conduct: Conduct
    faults: Faults


@dataclass(frozen=True, slots=True)
class Context:
    """The API's surroundings.

    Attributes:
        check_target: Raises InvalidError for a webhook URL that may not be called.
        key_digests: SHA-256 of each configured key.
        admin_digest: SHA-256 of the admin key; without one, everybody may administer an open server.
        is_open: No key is needed.
        new_key: Makes a key.
        new_secret: Makes a signing secret, `new_private_key` the private half of a key pair.
        is_ready: True while every loop of the server runs.
        is_answering: False on a server that only moves jobs and delivers: it tells of its health, and nothing else.
        shelf: Where uploaded files lie.
        studio: Looks into files.
        gallery: Where made files lie.
        is_fetching: Videos at URLs are fetched and looked at before their jobs begin.
        video_length: Seconds that a video lasts of which nothing is known.
        longest_film: Seconds after which a made film ends.
        is_lenient: Unknown fields of a body are passed over.
        concurrent_jobs: Jobs of a workspace that may go on at once; None does not limit them.
        tail: Follows the log for the event streams and the waiters; it must be run.
        waiters: Who waits for a job to move.
        polls: Counts the polls of jobs that are moved by them.
        links: Makes and checks the URLs of files.
        workers: How many jobs run at once.
        stopping: Set when the server stops: what goes on for long shall end.
        stream_heartbeat: Seconds without an event after which a stream gets a comment.
        stream_stall: Seconds after which a stream that takes nothing is cut.
        simulator: What `/_sim` drives; None: there is no `/_sim`.
    """

    store: Store
    clock: Clock
    ids: Ids
    planner: Planner
    check_target: Callable[[str], None]
    new_secret: Callable[[], str]
    new_private_key: Callable[[], str]
    is_ready: Callable[[], bool]
    tail: Tail
    waiters: Waiters
    polls: Polls
    links: Links
    shelf: Shelf
    studio: Studio
    gallery: Gallery
    workers: Workers = UNLIMITED
    is_answering: bool = True
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    key_digests: frozenset[bytes] = frozenset()
    admin_digest: bytes | None = None
    is_open: bool = True
    new_key: Callable[[], str] = random_key
    max_request_bytes: int = 1024 * 1024
    concurrent_jobs: int | None = None
    is_lenient: bool = False
    max_asset_bytes: int = 32 * 1024 * 1024
    is_fetching: bool = False
    video_length: float = 60
    longest_film: float = 4 * 3600
    stream_heartbeat: float = 15.0
    stream_stall: float = 10.0
    simulator: Simulator | None = None


def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


Surroundings = Annotated[Context, Depends(_context)]
"""Parameter type of a route that needs the context."""
