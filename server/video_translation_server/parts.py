"""The parts of a server, each made from settings.

How they are put together, started and stopped is `app`'s business; what may change while it runs is `conduct`'s.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from video_translation_server.chance import Chance
from video_translation_server.clock import Clock
from video_translation_server.delivery.attempt import Attempter
from video_translation_server.delivery.courier import Carrier, Courier
from video_translation_server.delivery.detour import Detour
from video_translation_server.delivery.faulty import FaultyCourier
from video_translation_server.delivery.worker import Worker
from video_translation_server.faults import Faults
from video_translation_server.ids import Ids, Names, ordinal
from video_translation_server.links import Links
from video_translation_server.media.gallery import Gallery
from video_translation_server.media.studio import Studio
from video_translation_server.model import Claim, Workers
from video_translation_server.outbound import AddressPolicy, Fetcher, Http1Sender
from video_translation_server.probe import Probe
from video_translation_server.retry import RetryPolicy
from video_translation_server.settings import Settings
from video_translation_server.shelf import Shelf
from video_translation_server.simulation.inspection import Inspector
from video_translation_server.simulation.mover import Mover
from video_translation_server.simulation.preflight import Inspect
from video_translation_server.store import Retention, Store
from video_translation_server.upkeep import Upkeep

log = structlog.get_logger("app")

ABANDONED = 3600.0
"""Seconds after which an unfinished file in a folder that several servers share is nobody's any more."""

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (told, not bound)

FILMS = "films"
"""The folder of made files, in that of uploaded ones."""


@dataclass(frozen=True, slots=True)
class Media:
    """Where files lie, and who reads and makes them."""

    shelf: Shelf
    studio: Studio
    gallery: Gallery


async def make_media(settings: Settings, closing: AsyncExitStack) -> Media:
    """The folders, rid of what a killed server left, and who works on them until `closing` ends."""
    shelf, studio = Shelf(settings.shelf), Studio()
    closing.callback(studio.close)
    gallery = Gallery(settings.shelf / FILMS, studio)
    closing.push_async_callback(gallery.close)
    untouched_for = ABANDONED if settings.is_shared else 0.0
    await asyncio.to_thread(shelf.tidy, untouched_for)
    await asyncio.to_thread(gallery.tidy, untouched_for)
    return Media(shelf, studio, gallery)


def make_inspector(settings: Settings, policy: AddressPolicy, media: Media, closing: AsyncExitStack) -> Inspect:
    """How one looks at a video at a URL."""
    fetcher = Fetcher(
        policy,
        max_bytes=settings.max_fetch_bytes,
        connect_timeout=settings.connect_timeout,
        ca_file=ca_file_of(settings),
    )
    closing.push_async_callback(fetcher.close)
    return Inspector(fetcher, media.shelf, media.studio, deadline=settings.fetch_timeout).inspect


def workers_of(settings: Settings) -> Workers:
    """How many jobs run at once."""
    return Workers(main=settings.workers, fast=settings.fast_workers)


def make_mover(settings: Settings, store: Store, clock: Clock, ids: Ids, links: Links) -> Mover:
    """Who moves jobs as their time comes."""
    return Mover(
        store,
        clock,
        ids,
        links=links,
        poll_interval=settings.poll_interval,
        workers=workers_of(settings),
    )


def make_upkeep(settings: Settings, store: Store, media: Media, clock: Clock) -> Upkeep:
    """Who deletes what is kept no longer."""
    retention = Retention(
        delivered=settings.keep_delivered,
        dead=settings.keep_dead,
        bodies=settings.keep_bodies,
        assets=settings.keep_assets,
        films=settings.keep_films,
        film_bytes=settings.max_film_bytes,
    )
    return Upkeep(store, media.shelf, media.gallery, clock, retention, interval=settings.poll_interval)


def make_carrier(
    settings: Settings, policy: AddressPolicy, clock: Clock, faults: Faults, closing: AsyncExitStack
) -> tuple[Carrier, Detour]:
    """Who carries deliveries out, and where those wait that are held back on order."""
    sender = Http1Sender(policy, connect_timeout=settings.connect_timeout, ca_file=ca_file_of(settings))
    closing.push_async_callback(sender.close)
    courier = Courier(sender, settings.attempt_timeout)
    detour = Detour(clock, courier.send)
    closing.push_async_callback(detour.clear)
    return (FaultyCourier(courier, faults, detour) if settings.simulator else courier), detour


def make_attempter(settings: Settings, carrier: Carrier, clock: Clock, chance: Chance) -> Attempter:
    """Who makes attempts."""
    retries = RetryPolicy(
        delays=settings.retry_delays, jitter=settings.retry_jitter, max_retry_after=settings.max_retry_after
    )

    def jitter(claim: Claim) -> float:
        return chance("jitter", ordinal(claim.event_id), ordinal(claim.endpoint_id), claim.attempt)

    return Attempter(carrier=carrier, policy=retries, clock=clock, chance=jitter)


def make_worker(settings: Settings, store: Store, attempter: Attempter, clock: Clock, probe: Probe) -> Worker:
    """Who delivers."""
    return Worker(
        store,
        attempter,
        clock,
        concurrency=settings.concurrency,
        per_endpoint=settings.max_in_flight,
        lease=settings.lease,
        poll_interval=settings.poll_interval,
        drain_timeout=settings.drain_timeout,
        probe=probe,
    )


async def make_links(settings: Settings, store: Store, url: str | None, names: Names) -> Links:
    """What makes the URLs of files."""
    if settings.public_url is None and settings.host in WILDCARDS:
        log.warning("the URLs of files name no host that others can reach; give --public-url", host=settings.host)
    return Links(
        base=settings.public_url or url or f"http://{settings.host}:{settings.port}",
        key=await store.file_key(names.token("files", 32)),
        lifetime=settings.file_url_ttl,
    )


def ca_file_of(settings: Settings) -> str | None:
    """Where the roots of a private CA are, as text."""
    return None if settings.ca_file is None else str(settings.ca_file)
