"""What a server's parts stand on: the store and the clock, ids and conduct, links; laid first, and taken up last.

What is built on it is the business of `app`.
"""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from video_translation_server.clock import Clock, ClockState, FollowingClock, VirtualClock
from video_translation_server.conduct import Conduct
from video_translation_server.ids import Ids, Names
from video_translation_server.links import Links
from video_translation_server.outbound import AddressPolicy
from video_translation_server.parts import make_links
from video_translation_server.probe import Probe
from video_translation_server.settings import Settings
from video_translation_server.store import Store, open_store

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part may ask for.

    Attributes:
        policy: Where may be sent to, and fetched from.
        names: Makes ids and secrets; `ids` makes ids only, and may be a test's own.
    """

    settings: Settings
    policy: AddressPolicy
    names: Names
    store: Store
    ids: Ids
    conduct: Conduct
    clock: Clock
    links: Links


async def lay(
    settings: Settings, closing: AsyncExitStack, *, url: str | None, clock: Clock | None, ids: Ids | None, probe: Probe
) -> Ground:
    """Open the store, until `closing` ends, and go on from where its clock stood, unless another clock is given.

    Raises:
        StoreError: The store cannot be opened.
        InvalidError: A network in `allow_targets` is none, or the scenario cannot be read.
    """
    policy = AddressPolicy.from_settings(settings.allow_targets, loopback=settings.is_loopback)
    names = Names(keeps_secrets=not settings.is_loopback)
    store = await open_store(
        settings.store,
        ids=ids or names.apart("store"),
        disable_after=settings.disable_after,
        lease=settings.lease,
        probe=probe,
    )
    closing.push_async_callback(store.close)
    conduct = Conduct(settings, store, names)
    await conduct.sow(settings.seed)
    return Ground(
        settings=settings,
        policy=policy,
        names=names,
        store=store,
        ids=ids or names,
        conduct=conduct,
        clock=clock or await _clock_of(store, settings),
        links=await make_links(settings, store, url, names),
    )


async def _clock_of(store: Store, settings: Settings) -> Clock:
    if not store.is_shared:
        return await _kept_clock(store, settings)
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
