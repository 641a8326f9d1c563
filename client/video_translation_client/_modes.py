"""How a client learns of its jobs: by webhooks, over the event stream, or by asking. Chosen here, and changed.

A change hands the log's place on, so that no event is lost; how each way works is its own module's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from video_translation_client._errors import VideoTranslationError
from video_translation_client._health import Health, Troubles
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._metrics import Meter
from video_translation_client._models import Event
from video_translation_client._polling import JOB_POLL, STREAM_RETRY, PollPolicy
from video_translation_client._probe import Probe
from video_translation_client._reconcile import Reconciler
from video_translation_client._registrar import Registrar
from video_translation_client._registration import Standing
from video_translation_client._stream import Stream
from video_translation_client._transport import Transport
from video_translation_client._upkeep import Upkeep

logger = logging.getLogger("video_translation_client")

Mode = Literal["auto", "webhook", "stream", "poll"]
MODES: Final = ("auto", "webhook", "stream", "poll")
IDLE: Final = "idle"
_CHOICE: Final = "choice of a mode"
_START_UP: Final = 1.0
"""Seconds that a service of the user's own gets before a delivery to it is tried."""


class Modes:
    """Keeps exactly one way going.

    Args:
        wanted: what the user wants.
        stream_retry: when a stream that broke is tried again.
        now: the wall clock, unix seconds.

    Raises:
        ValueError: `wanted` is no mode.
    """

    def __init__(
        self,
        wanted: str,
        *,
        transport: Transport,
        intake: Intake,
        registry: JobRegistry,
        registrar: Registrar,
        reconciler: Reconciler,
        meter: Meter,
        upkeep: Upkeep,
        troubles: Troubles,
        stream_retry: PollPolicy = STREAM_RETRY,
        now: Callable[[], float] = time.time,
    ) -> None:
        if wanted not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {wanted!r}")
        self._wanted = wanted
        self._registry = registry
        self._registrar = registrar
        self._reconciler = reconciler
        self._meter = meter
        self._troubles = troubles
        self._upkeep = upkeep
        self._now = now
        self._stream = Stream(transport=transport, intake=intake, log=reconciler.log, watcher=self, retry=stream_retry)
        self._probe = Probe(transport=transport, upkeep=upkeep, on_verdict=self._judge)
        self._lock = threading.RLock()
        self._choosing = threading.Lock()
        self._mode, self._reason, self._since = IDLE, "nothing is followed yet", now()
        self._standing: Standing | None = None
        self._closed = False
        registrar.on_registered = self._registered
        registrar.on_unregistered = self._unregistered

    def ready(self) -> int:
        """See to it that a job that is about to be followed will be heard of; return the era for `watch`.

        Raises:
            VideoTranslationError: `mode="webhook"`, and registering failed.
            OSError: the same, because the receiver's port is taken.
        """
        if self._mode == IDLE:
            with self._choosing:
                if self._mode == IDLE:
                    self._choose()
        return self._reconciler.era

    def ready_soon(self) -> None:
        """The same in the background: whoever asks may not block."""
        if self._mode == IDLE:
            self._upkeep.schedule(_CHOICE, 0.0, self._choose_again)

    def takes(self, event: Event) -> bool:
        """Whether a delivery is our own test of the way here; any delivery proves the way."""
        if self._probe.takes(event):
            return True
        if self._mode != "webhook" and self._standing is not None:
            self._judge(True, "deliveries arrive again")
        return False

    def close(self, timeout: float) -> None:
        """Change nothing any more, and end the stream; `timeout` (seconds) is for its thread."""
        with self._lock:
            self._closed = True
        self._probe.cancel()
        self._stream.stop(timeout)

    def health(self) -> Health:
        """Return how the client stands; asks nobody."""
        with self._lock:
            mode, reason, since, standing = self._mode, self._reason, self._since, self._standing
        error, at = self._troubles.last or (None, None)
        connected = {
            "webhook": standing is not None,
            "stream": self._stream.is_open,
            "poll": self._reconciler.poller.answered,
        }
        return Health(
            mode=mode,
            reason=reason,
            since=since,
            connected=connected.get(mode, False),
            registered=standing is not None,
            last_event_at=self._meter.last("events"),
            last_push_at=self._meter.last("pushes_received"),
            last_error=error,
            last_error_at=at,
            gaps_found=self._meter.value("gaps_found"),
            gaps_filled=self._meter.value("gaps_filled"),
            cursor=self._reconciler.log.cursor,
            waiting=len(self._registry.waiting()),
        )

    # --- choosing -------------------------------------------------------------------------------------

    def _choose(self) -> None:
        if self._wanted == "webhook":
            self._registrar.register(None, None)
            return
        try:
            readable = self._reconciler.log.open_at_end()
        except VideoTranslationError as error:
            # Whoever asked for this sends a request of his own, and hears of it.
            self._troubles.note(str(error))
            self._upkeep.schedule(_CHOICE, JOB_POLL.delay(1), self._choose_again)
            return
        if self._wanted == "poll":
            self._enter("poll", "as asked for")
        elif readable:
            asked = self._wanted == "stream"
            self._follow_stream("as asked for" if asked else "nothing is registered, and the service has an event log")
        else:
            self._enter("poll", "the service has no event log that could be followed")

    def _choose_again(self) -> float | None:
        if not self._registry.waiting():
            return None
        try:
            self.ready()
        except (VideoTranslationError, OSError) as error:
            pause = JOB_POLL.delay(2)
            logger.warning("jobs cannot be followed by webhooks yet (%s); next try in %.1f s", error, pause)
            self._troubles.note(str(error))
            return pause
        return None

    def _follow_stream(self, reason: str) -> None:
        with self._lock:
            if self._closed:
                return
            self._enter("stream", reason)
            self._stream.start()

    def _enter(self, mode: str, reason: str) -> None:
        with self._lock:
            if self._closed:
                return
            if mode != self._mode:
                self._since = self._now()
                logger.info("mode %s: %s", mode, reason)
            self._mode, self._reason = mode, reason

    # --- webhooks -------------------------------------------------------------------------------------

    def _registered(self, standing: Standing, *, embedded: bool) -> None:
        with self._lock:
            self._standing = standing
            self._enter("webhook", f"registered {standing.url}")
            if self._wanted != "auto":
                self._stream.stop()
                return
        # In a service of the user's own this may be said before the service answers.
        self._probe.begin(standing.endpoint.endpoint_id, delay=_START_UP if embedded else 0.0)

    def _unregistered(self) -> None:
        """The endpoint is gone, or was never made: go on in another way where somebody waits."""
        self._probe.cancel()
        with self._lock:
            self._standing = None
            if self._closed:
                return
            if self._stream.is_open:
                self._enter("stream", "the registration ended")
                return
            self._reconciler.uncover()
            if self._mode != "webhook":
                return
            if self._wanted in ("auto", "stream") and self._reconciler.log.readable:
                self._follow_stream("the registration ended")
            else:
                self._enter("poll", "the registration ended")

    def _judge(self, reachable: bool, reason: str) -> None:
        """The probe's verdict, or a delivery that came after one."""
        with self._lock:
            standing = self._standing
            if standing is None or self._closed:
                return
            if reachable:
                self._enter("webhook", reason)
                self._reconciler.cover(standing.endpoint.cursor)
                self._reconciler.begin()
                self._stream.stop()
                return
            why = f"the service cannot reach {standing.url}: {reason}"
            self._troubles.note(why)
            if self._reconciler.log.readable:
                self._follow_stream(why)
            else:
                self._reconciler.uncover()
                self._enter("poll", why)

    # --- the stream -----------------------------------------------------------------------------------

    def stream_opened(self) -> None:
        """See `StreamWatcher`."""
        with self._lock:
            if self._closed:
                return
            if self._mode == "poll":
                self._enter("stream", "the event stream is open again")
            self._reconciler.cover(self._reconciler.log.cursor)
            self._reconciler.begin()

    def stream_broke(self, reason: str) -> None:
        """See `StreamWatcher`."""
        self._troubles.note(reason)
        with self._lock:
            if self._mode == "stream" and not self._closed:
                self._enter("poll", f"the event stream is broken ({reason}); it is tried again")
                self._reconciler.uncover()

    def stream_refused(self, reason: str) -> None:
        """See `StreamWatcher`."""
        self._troubles.note(reason)
        with self._lock:
            if self._mode != "webhook" and not self._closed:
                self._enter("poll", f"the service gives no event stream ({reason})")
                self._reconciler.uncover()

    def stream_lives(self) -> None:
        """See `StreamWatcher`."""
        self._reconciler.sign_of_life()
