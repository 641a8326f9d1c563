"""The composition root: puts the parts, the loops and the API together, starts and stops them in order."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from fastapi import FastAPI

from video_translation_server import lifecycle
from video_translation_server.api import Context, Polls, Simulator, Tail, Waiters, create_api
from video_translation_server.clock import Clock, ClockState, FollowingClock, VirtualClock
from video_translation_server.conduct import Conduct
from video_translation_server.delivery.courier import Courier
from video_translation_server.delivery.detour import Detour
from video_translation_server.delivery.faulty import FaultyCourier
from video_translation_server.errors import InProgressError
from video_translation_server.ids import Ids, Names
from video_translation_server.loops import Loops
from video_translation_server.model import DEFAULT_WORKSPACE, Change, Mark
from video_translation_server.outbound import AddressPolicy, Http1Sender, check_url
from video_translation_server.parts import (
    ca_file_of,
    make_attempter,
    make_inspector,
    make_links,
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
from video_translation_server.simulation.planner import Planner
from video_translation_server.simulation.preflight import Preflight
from video_translation_server.simulation.timeline import SharedTimeline, Timeline
from video_translation_server.store import Store, open_store
from video_translation_server.transitions import record
from video_translation_server.upkeep import Sweeping, Upkeep
from video_translation_server.wire.scripts import Script

log = structlog.get_logger("app")


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
    policy = AddressPolicy.from_settings(settings.allow_targets, loopback=settings.is_loopback)
    names = Names(keeps_secrets=not settings.is_loopback)
    async with AsyncExitStack() as closing:
        store = await open_store(
            settings.store,
            ids=ids or names.apart("store"),
            disable_after=settings.disable_after,
            lease=settings.lease,
            probe=probe,
        )
        closing.push_async_callback(store.close)
        ids, conduct = ids or names, Conduct(settings, store, names)
        await conduct.sow(settings.seed)
        followed = await _followed_clock(store)
        clock = clock or followed or await _kept_clock(store, settings)
        sender = Http1Sender(policy, connect_timeout=settings.connect_timeout, ca_file=ca_file_of(settings))
        closing.push_async_callback(sender.close)
        links = await make_links(settings, store, url, names)
        courier = Courier(sender, settings.attempt_timeout)
        detour = Detour(clock, courier.send)
        closing.push_async_callback(detour.clear)
        carrier = FaultyCourier(courier, conduct.faults, detour) if settings.simulator else courier
        # Before the loops, so that they end first: a look that the end cuts off says nothing of its file.
        media = await make_media(settings, closing)
        inspect = make_inspector(settings, policy, media, closing) if settings.fetch_videos else None
        loops = Loops()
        closing.push_async_callback(loops.stop)
        if followed is not None:
            loops.start("clock", followed.run)
        is_working = settings.role != "api"
        if settings.start_job and is_working:
            await _start_first_job(store, conduct.planner, clock, ids)
        preflight = Preflight(
            store,
            clock,
            ids,
            conduct.planner,
            inspect=inspect,
            links=links,
            poll_interval=settings.poll_interval,
        )
        attempter = make_attempter(settings, carrier, clock, conduct.chance)
        upkeep, sweeping = (
            make_upkeep(settings, store, media, clock),
            Sweeping(store, clock, interval=settings.poll_interval),
        )
        if is_working:
            loops.start("preflight", preflight.run)
            loops.start("simulation", make_mover(settings, store, clock, ids, links).run)
            loops.start("delivery", make_worker(settings, store, attempter, clock, probe).run)
            loops.start("upkeep", upkeep.run)
            loops.start("sweeping", sweeping.run)
        control = Control(store, clock, ids, links=links, restart=partial(conduct.restart, detour))
        tail = Tail(store, limit=settings.stream_limit, interval=settings.poll_interval)
        loops.start("streams", tail.run)
        context = Context(
            store=store,
            clock=clock,
            ids=ids,
            planner=conduct.planner,
            check_target=partial(check_url, policy=policy),
            new_secret=partial(new_secret, partial(names.token, "whsec")),
            new_private_key=partial(new_private_key, partial(names.token, "whsk")),
            is_ready=loops.are_running,
            is_answering=settings.role != "worker",
            tail=tail,
            waiters=Waiters(tail),
            polls=Polls(store, clock, ids, links=links),
            links=links,
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
            simulator=_simulator(settings, store, clock, (upkeep, sweeping, detour), (control, conduct)),
        )
        yield Application(create_api(context), store, context.stopping, context.simulator)


async def _followed_clock(store: Store) -> FollowingClock | None:
    """The database's time, where the store is shared."""
    if not store.is_shared:
        return None
    clock = FollowingClock(store.real_now)
    await clock.look()
    return clock


async def _kept_clock(store: Store, settings: Settings) -> Clock:
    """The clock goes on where the store's last server left it, also where nobody may set it any more."""
    state = await store.clock()
    if state is not None and not settings.simulator:
        log.warning("the clock was set by a simulator; start with --simulator true to change it", speed=state.speed)
    if state is None and settings.frozen_at is not None:
        state = ClockState(virtual_at=settings.frozen_at.timestamp(), real_at=time.time(), speed=0)
        await store.keep_clock(state)
    return VirtualClock(state)


def _simulator(
    settings: Settings,
    store: Store,
    clock: Clock,
    chored: tuple[Upkeep, Sweeping, Detour],
    hands: tuple[Control, Conduct],
) -> Simulator | None:
    """The doors under `/_sim`, where they are wanted, and unless the clock is a test's own."""
    upkeep, sweeping, detour = chored
    control, conduct = hands
    if settings.simulator and isinstance(clock, FollowingClock):
        shared = SharedTimeline(store, clock, due=detour.next_due)
        return Simulator(clock, shared, control, conduct, conduct.faults)
    if not settings.simulator or not isinstance(clock, VirtualClock):
        return None

    async def chores() -> None:
        await upkeep.expire()
        while await sweeping.step():
            pass
        await detour.settle()

    timeline = Timeline(
        store, clock, chores=chores, upkeep=upkeep.tick, due=detour.next_due, workers=workers_of(settings)
    )
    return Simulator(clock, timeline, control, conduct, conduct.faults)


async def _start_first_job(store: Store, planner: Planner, clock: Clock, ids: Ids) -> None:
    """On an empty store, one job begins by itself, so that `/status` lives at once; one server sees to it."""
    try:
        mark = await store.start_request(DEFAULT_WORKSPACE, "start", "first job", now=clock.now(), lease=10)
    except InProgressError:
        return
    assert isinstance(mark, Mark)  # noqa: S101  (no answer is ever kept for it)
    try:
        if await store.newest_job(DEFAULT_WORKSPACE) is None:
            await record(store, [_first_job(planner, clock, ids)])
    finally:
        await store.drop_request(mark)


def _first_job(planner: Planner, clock: Clock, ids: Ids) -> Change:
    return lifecycle.create(
        job_id=ids("vt"),
        workspace_id=DEFAULT_WORKSPACE,
        output_language="English",
        request={"video": {"type": "url", "url": "https://example.com/video.mp4"}, "title": "Self-started job"},
        plan=planner.plan(Script()),
        event_id=ids("evt"),
        now=clock.now(),
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
