"""The composition root: builds a client's parts, wires them, and takes them down in order.

It holds no behaviour of its own, so that the blocking client and an async one can be doors to the same parts.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from video_translation_client._base_urls import BaseUrls
from video_translation_client._dispatcher import Dispatcher
from video_translation_client._download import Download, drive
from video_translation_client._durable import SQLiteInbox
from video_translation_client._errors import ClientClosedError, VideoTranslationError
from video_translation_client._exchange import Terms
from video_translation_client._health import Troubles
from video_translation_client._inbox import Inbox
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._keeper import Keeper
from video_translation_client._landing import Wish
from video_translation_client._limiter import Limiter
from video_translation_client._listener import Listener, check_address
from video_translation_client._metrics import Meter
from video_translation_client._models import JobSnapshot
from video_translation_client._modes import Modes
from video_translation_client._operations import cancel_job, get_job
from video_translation_client._options import Options
from video_translation_client._receiver import Receiver
from video_translation_client._reconcile import Policies, Reconciler
from video_translation_client._registrar import Registrar
from video_translation_client._signature import check_secret
from video_translation_client._storage import InboxStorage
from video_translation_client._transport import HttpClient, Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

DEFAULT_BASE_URL: Final = "http://localhost:8000"
_UPKEEP_DEADLINE: Final = 2.0
_STREAM_DEADLINE: Final = 1.0
_EXIT_DEADLINE: Final = 1.0
_INBOX_DEADLINE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a client can be told, resolved."""

    base_urls: tuple[str, ...]
    api_key: str | None = field(repr=False)
    webhook_host: str
    webhook_port: int
    public_url: str | None
    timeout: float
    max_retries: int
    ttl_seconds: int | None
    tolerance: float
    policies: Policies
    mode: str = "auto"
    inbox: str | Path | InboxStorage | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    default_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    rate_limit: float | None = None
    http_client: HttpClient | None = None


def from_environment(value: str | None, *names: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return `value`, or where it is None the first of these environment variables that is set."""
    environ = os.environ if environ is None else environ
    return value if value is not None else next((environ[name] for name in names if environ.get(name)), None)


class Engine:
    """A client's parts. Opens nothing and starts no thread before it is needed."""

    def __init__(self, settings: Settings) -> None:
        check_address(settings.webhook_host, settings.webhook_port, settings.public_url)
        if settings.webhook_secret is not None:
            check_secret("webhook_secret", settings.webhook_secret)
        self.meter = Meter()
        self._keeper = _make_keeper(settings.inbox)
        self.dispatcher = Dispatcher(self.meter, on_done=self._keeper.done if self._keeper else None)
        self.registry = JobRegistry(self)
        self.terms = _make_terms(settings, self.meter)
        self.transport = Transport(self.terms, settings.http_client)
        self.dispatcher.subscribe(self.registry.record)
        self._inbox = Inbox(self.dispatcher.publish)
        self.intake = Intake(
            self.registry, self._inbox, self.meter, keeper=self._keeper, afterwards=self.dispatcher.afterwards
        )
        self.webhook_secret = settings.webhook_secret
        standing = () if settings.webhook_secret is None else (settings.webhook_secret,)
        self.receiver = Receiver(self.intake.push, self.meter, tolerance=settings.tolerance, secrets=standing)
        self._upkeep = Upkeep()
        self._troubles = Troubles()
        self.reconciler = self._make_reconciler(settings)
        self.registrar = self._make_registrar(settings)
        self.modes = self._make_modes(settings)
        self.receiver.is_test = self.modes.takes
        self.intake.restore()
        self._closing = threading.Lock()
        self._closed = False
        _open.add(self)

    def read_job(self, job_id: str) -> JobSnapshot:
        """Ask the service for a job, and let every handle and waiter learn of the answer."""
        return self.refreshed(job_id, self.transport.send(get_job(job_id)))

    def refreshed(self, job_id: str, snapshot: JobSnapshot) -> JobSnapshot:
        """Let every handle and waiter learn of the answer to somebody who asked for a job, and return it."""
        self.intake.learn(snapshot)
        self.reconciler.poller.wake(job_id, asked=True)
        return snapshot

    def wake(self, job_id: str) -> None:
        """Somebody begins to wait for the job: where nothing pushes, ask for it soon."""
        self.reconciler.poller.wake(job_id)

    def cancel_job(self, job_id: str) -> JobSnapshot:
        """Have the service cancel a job, and let every handle and waiter learn of the answer."""
        snapshot = self.transport.send(cancel_job(job_id))
        self.intake.learn(snapshot)
        return snapshot

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        """Bring one of a job's files, and return where it lies."""
        return drive(
            Download(job_id, wish, self.terms).steps(known),
            read=functools.partial(self.read_job, job_id),
            fetch=self.transport.fetch,
            pause=self.transport.pause,
        )

    def events_come(self) -> bool:
        """Whether each transition comes as an event by itself."""
        return self.reconciler.covered or self.reconciler.log.readable

    def seek_events(self) -> None:
        """Have the event log read soon, by another thread."""
        self._upkeep.schedule("readers", 0.0, self._read_for_readers)

    def seek_beginning(self, job_id: str) -> None:
        """Have a job's first events looked for, by another thread."""
        if self._closed:
            self.registry.begin(job_id, ())
        else:
            self.reconciler.look_back(job_id)

    def _read_for_readers(self) -> None:
        try:
            self.reconciler.catch_up()
        except VideoTranslationError as error:
            logger.warning("the event log could not be read for those who iterate over events: %s", error)

    def defer(self, work: Callable[[], object]) -> None:
        """Run `work` soon on the callback thread."""
        self.dispatcher.defer(work)

    def close(self, timeout: float) -> None:
        """Take everything down; safe to call again. `timeout` (seconds) is for queued callbacks."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        _open.discard(self)
        # 1. Nothing new is begun. 2. The service stops pushing, the receiver ends. 3. Waiters learn that
        # nothing will come; before the callbacks drain, because one of them may be such a waiter.
        # 4. What was accepted reaches the callbacks. 5. What they handled is marked in the durable inbox.
        # 6. The connections go.
        self.transport.hurry()
        self.modes.close(_STREAM_DEADLINE)
        self._upkeep.stop(_UPKEEP_DEADLINE)
        self.registrar.close()
        self.registry.close(ClientClosedError("the client was closed before the job ended; the job itself goes on"))
        self.dispatcher.stop(timeout)
        if self._keeper is not None:
            self._keeper.stop(_INBOX_DEADLINE)
        self.transport.close()
        logger.info("client of %s closed", self.transport.base_url)

    def _make_reconciler(self, settings: Settings) -> Reconciler:
        return Reconciler(
            transport=self.transport.in_background(),
            intake=self.intake,
            inbox=self._inbox,
            registry=self.registry,
            meter=self.meter,
            upkeep=self._upkeep,
            policies=settings.policies,
            troubles=self._troubles,
        )

    def _make_modes(self, settings: Settings) -> Modes:
        return Modes(
            settings.mode,
            transport=self.transport.in_background(),
            intake=self.intake,
            registry=self.registry,
            registrar=self.registrar,
            reconciler=self.reconciler,
            meter=self.meter,
            upkeep=self._upkeep,
            troubles=self._troubles,
        )

    def _make_registrar(self, settings: Settings) -> Registrar:
        return Registrar(
            transport=self.transport,
            receiver=self.receiver,
            make_listener=functools.partial(
                Listener,
                self.receiver,
                host=settings.webhook_host,
                port=settings.webhook_port,
                public_url=settings.public_url,
            ),
            registry=self.registry,
            intake=self.intake,
            reconciler=self.reconciler,
            dispatcher=self.dispatcher,
            upkeep=self._upkeep,
            ttl_seconds=settings.ttl_seconds,
        )


def _make_terms(settings: Settings, meter: Meter) -> Terms:
    return Terms(
        urls=BaseUrls(settings.base_urls),
        meter=meter,
        api_key=settings.api_key,
        options=Options(settings.timeout, settings.max_retries, settings.default_headers),
        limiter=Limiter(settings.rate_limit),
    )


def _make_keeper(inbox: str | Path | InboxStorage | None) -> Keeper | None:
    if inbox is None:
        return None
    return Keeper(SQLiteInbox(Path(inbox)) if isinstance(inbox, str | Path) else inbox)


# A program that ends without close() should not leave an endpoint behind to which nobody listens.
_open: weakref.WeakSet[Engine] = weakref.WeakSet()


# A forked child has none of the threads, and its end is not the parent's: it closes nothing that is not its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)


@atexit.register
def _close_forgotten() -> None:
    for engine in list(_open):
        engine.close(_EXIT_DEADLINE)
