"""The composition root: puts parts, loops and the API together on their ground, starts and stops them in order."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from video_translation_server import lifecycle
from video_translation_server.api import Context, Polls, Simulator, Tail, Waiters, create_api
from video_translation_server.clock import Clock, FollowingClock, VirtualClock
from video_translation_server.delivery.courier import Carrier
from video_translation_server.delivery.detour import Detour
from video_translation_server.delivery.worker import Worker
from video_translation_server.errors import InProgressError
from video_translation_server.ground import Ground, lay
from video_translation_server.ids import Ids
from video_translation_server.loops import Loops
from video_translation_server.model import DEFAULT_WORKSPACE, Change, Mark
from video_translation_server.outbound import check_url
from video_translation_server.parts import (
    Media,
    make_attempter,
    make_carrier,
    make_inspector,
    make_media,
    make_mover,
    make_upkeep,
    make_worker,
    workers_of,
)
from video_translation_server.probe import Probe, unobserved
from video_translation_server.settings import Settings
from video_translation_server.signing import new_private_key, new_secret
from video_translation_server.simulation.control import Control
from video_translation_server.simulation.mover import Mover
from video_translation_server.simulation.preflight import Inspect, Preflight
from video_translation_server.simulation.timeline import SharedTimeline, Timeline
from video_translation_server.store import Store
from video_translation_server.transitions import record
from video_translation_server.upkeep import Sweeping, Upkeep
from video_translation_server.wire.scripts import Script


@dataclass(frozen=True, slots=True)
class Application:
    """A running server without its listening socket; `stopping` ends the requests that go on for long."""

    api: FastAPI
    store: Store
    stopping: asyncio.Event
    simulator: Simulator | None


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    url: str | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    probe: Probe = unobserved,
) -> AsyncIterator[Application]:
    """Run everything behind the API while the block lasts; `url` is where it listens.

    At its end the attempts under way are aborted, their leases given back, and the store closed.

    Raises:
        StoreError: The store cannot be opened.
        InvalidError: A network in `allow_targets` is none, or the scenario cannot be read.
    """
    async with AsyncExitStack() as closing:
        ground = await lay(settings, closing, url=url, clock=clock, ids=ids, probe=probe)
        carrier, detour = make_carrier(settings, ground.policy, ground.clock, ground.conduct.faults, closing)
        # Before the loops, so that they end first: a look that the end cuts off says nothing of its file.
        media = await make_media(settings, closing)
        inspect = make_inspector(settings, ground.policy, media, closing) if settings.fetch_videos else None
        loops = Loops()
        closing.push_async_callback(loops.stop)
        if isinstance(ground.clock, FollowingClock):
            loops.start("clock", ground.clock.run)
        crew = _hire(ground, carrier, media, inspect, probe)
        if settings.role != "api":
            if settings.start_job:
                await _start_first_job(ground)
            crew.start(loops)
        tail = Tail(ground.store, limit=settings.stream_limit, interval=settings.poll_interval)
        loops.start("streams", tail.run)
        context = _context(ground, media, tail, _simulator(ground, crew, detour), loops.are_running)
        yield Application(create_api(context), ground.store, context.stopping, context.simulator)


@dataclass(frozen=True, slots=True)
class _Crew:
    """Who works without being asked."""

    preflight: Preflight
    mover: Mover
    worker: Worker
    upkeep: Upkeep
    sweeping: Sweeping

    def start(self, loops: Loops) -> None:
        """Set them to work."""
        loops.start("preflight", self.preflight.run)
        loops.start("simulation", self.mover.run)
        loops.start("delivery", self.worker.run)
        loops.start("upkeep", self.upkeep.run)
        loops.start("sweeping", self.sweeping.run)


def _hire(ground: Ground, carrier: Carrier, media: Media, inspect: Inspect | None, probe: Probe) -> _Crew:
    settings, store, clock = ground.settings, ground.store, ground.clock
    attempter = make_attempter(settings, carrier, clock, ground.conduct.chance)
    return _Crew(
        preflight=Preflight(
            store,
            clock,
            ground.ids,
            ground.conduct.planner,
            inspect=inspect,
            links=ground.links,
            poll_interval=settings.poll_interval,
        ),
        mover=make_mover(settings, store, clock, ground.ids, ground.links),
        worker=make_worker(settings, store, attempter, clock, probe),
        upkeep=make_upkeep(settings, store, media, clock),
        sweeping=Sweeping(store, clock, interval=settings.poll_interval),
    )


def _context(
    ground: Ground, media: Media, tail: Tail, simulator: Simulator | None, is_ready: Callable[[], bool]
) -> Context:
    """What the API works with."""
    settings, names = ground.settings, ground.names
    return Context(
        store=ground.store,
        clock=ground.clock,
        ids=ground.ids,
        planner=ground.conduct.planner,
        check_target=partial(check_url, policy=ground.policy),
        new_secret=partial(new_secret, partial(names.token, "whsec")),
        new_private_key=partial(new_private_key, partial(names.token, "whsk")),
        is_ready=is_ready,
        is_answering=settings.role != "worker",
        tail=tail,
        waiters=Waiters(tail),
        polls=Polls(ground.store, ground.clock, ground.ids, links=ground.links),
        links=ground.links,
        shelf=media.shelf,
        studio=media.studio,
        gallery=media.gallery,
        is_fetching=settings.fetch_videos,
        video_length=settings.video_length,
        longest_film=settings.longest_film,
        max_asset_bytes=settings.max_asset_bytes,
        workers=workers_of(settings),
        stream_heartbeat=settings.stream_heartbeat,
        stream_stall=settings.stream_stall,
        key_digests=frozenset(map(_digest, settings.api_keys)),
        admin_digest=None if settings.admin_key is None else _digest(settings.admin_key),
        is_open=settings.is_open,
        max_request_bytes=settings.max_request_bytes,
        concurrent_jobs=settings.concurrent_jobs,
        is_lenient=settings.lenient,
        simulator=simulator,
    )


def _simulator(ground: Ground, crew: _Crew, detour: Detour) -> Simulator | None:
    """The doors under `/_sim`, where they are wanted, and unless the clock is a test's own."""
    if not ground.settings.simulator:
        return None
    store, clock, conduct = ground.store, ground.clock, ground.conduct
    control = Control(store, clock, ground.ids, links=ground.links, restart=partial(conduct.restart, detour))
    if isinstance(clock, FollowingClock):
        shared = SharedTimeline(store, clock, due=detour.next_due)
        return Simulator(clock, shared, control, conduct, conduct.faults)
    if not isinstance(clock, VirtualClock):
        return None

    async def chores() -> None:
        await crew.upkeep.expire()
        while await crew.sweeping.step():
            pass
        await detour.settle()

    timeline = Timeline(
        store,
        clock,
        chores=chores,
        upkeep=crew.upkeep.tick,
        due=detour.next_due,
        workers=workers_of(ground.settings),
    )
    return Simulator(clock, timeline, control, conduct, conduct.faults)


async def _start_first_job(ground: Ground) -> None:
    """On an empty store, one job begins by itself, so that `/status` lives at once; one server sees to it."""
    store = ground.store
    try:
        mark = await store.start_request(DEFAULT_WORKSPACE, "start", "first job", now=ground.clock.now(), lease=10)
    except InProgressError:
        return
    assert isinstance(mark, Mark)  # noqa: S101  (no answer is ever kept for it)
    try:
        if await store.newest_job(DEFAULT_WORKSPACE) is None:
            await record(store, [_first_job(ground)])
    finally:
        await store.drop_request(mark)


def _first_job(ground: Ground) -> Change:
    return lifecycle.create(
        job_id=ground.ids("vt"),
        workspace_id=DEFAULT_WORKSPACE,
        output_language="English",
        request={"video": {"type": "url", "url": "https://example.com/video.mp4"}, "title": "Self-started job"},
        plan=ground.conduct.planner.plan(Script()),
        event_id=ground.ids("evt"),
        now=ground.clock.now(),
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
