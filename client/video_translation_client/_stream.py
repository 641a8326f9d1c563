"""The event stream, read on one thread per client: connects, resumes, notices a silent peer, comes back.

It feeds what it reads to the intake, in the log's order. What the client does while there is no stream is the
modes' business.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from video_translation_client._asking import is_passing
from video_translation_client._errors import (
    APIError,
    ClientClosedError,
    GoneError,
    InvalidRequestError,
    UnexpectedResponseError,
    VideoTranslationError,
)
from video_translation_client._event_log import EventLog
from video_translation_client._intake import Intake
from video_translation_client._models import read_event
from video_translation_client._operations import stream_events
from video_translation_client._polling import LONGEST_HINT, PollPolicy
from video_translation_client._sse import Message, SseParser
from video_translation_client._transport import Incoming, Transport

logger = logging.getLogger("video_translation_client")

SILENCE: Final = 45.0
"""Seconds without a byte after which the peer is taken for dead: three heartbeats of the service."""
PATIENCE: Final = 10.0
"""Seconds that a stream may be broken before the jobs are asked for."""
_FIRST_RETRY: Final = 0.1
_STREAM_TYPE: Final = "text/event-stream"


class StreamWatcher(Protocol):
    """Whoever wants to know how the stream does; called on its thread."""

    def stream_opened(self) -> None:
        """It is connected, and goes on where it was."""

    def stream_broke(self, reason: str) -> None:
        """It has been broken for a while; it is tried again."""

    def stream_refused(self, reason: str) -> None:
        """The service has none, or not for us; it is not tried again."""

    def stream_lives(self) -> None:
        """Something came over it, be it a heartbeat."""


class Stream:
    """Reads from `start()` to `stop()`, and may be started again.

    Args:
        log: gives the place to begin at, and is told how far we are.
        retry: when to connect again.
        silence: seconds without a byte after which the peer is taken for dead.
        patience: seconds that it may be broken before the watcher is told.
        rng: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        intake: Intake,
        log: EventLog,
        watcher: StreamWatcher,
        retry: PollPolicy,
        silence: float = SILENCE,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._intake = intake
        self._log = log
        self._watcher = watcher
        self._policy = retry
        self._silence = silence
        self._patience = patience
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._incoming: Incoming | None = None
        self._retry: float | None = None
        self._broken_since: float | None = None
        self._told = False
        self._started_over = False

    @property
    def is_open(self) -> bool:
        """Whether it is connected now."""
        return self._incoming is not None

    @property
    def is_running(self) -> bool:
        """Whether it is connected, or tries to be."""
        return self._thread is not None

    def start(self) -> None:
        """Begin to read from the log's place; does nothing where it runs already."""
        with self._lock:
            if self._thread is not None:
                return
            self._ending = threading.Event()
            self._broken_since, self._told, self._started_over = None, False, False
            self._thread = threading.Thread(
                target=self._work, args=(self._ending,), name="video-translation-stream", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Cut the connection; `timeout` (seconds) waits for the thread's end, None does not."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._ending.set()
            if self._incoming is not None:
                self._incoming.cut()
        if thread is not None and timeout is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _work(self, ending: threading.Event) -> None:
        failures = 0
        while not ending.is_set():
            try:
                opened, reason = self._connect(ending)
            except ClientClosedError:
                return
            except VideoTranslationError as error:
                if not ending.is_set():
                    self._refused(error)
                return
            except Exception as error:
                # For example a hook in an `http_client` of the user's. It must not end the thread.
                logger.exception("the event stream failed in a way that nobody expected")
                opened, reason = False, f"{type(error).__name__}: {error}"
            failures = 0 if opened else failures + 1
            if not ending.is_set():
                pause = self._pause(failures)
                self._note_break(reason, opened=opened, pause=pause)
                ending.wait(pause)

    def _connect(self, ending: threading.Event) -> tuple[bool, str]:
        """Read until the stream breaks; return whether it was open, and why it broke.

        Raises:
            VideoTranslationError: the service has no stream for us.
        """
        opened = False
        try:
            with self._transport.stream(stream_events(), after=self._log.cursor, silence=self._silence) as incoming:
                self._check(incoming)
                opened = self._open(incoming, ending)
                if opened:
                    self._read(incoming, ending)
        except (GoneError, InvalidRequestError) as error:
            if self._started_over:
                raise  # it is not the place that is wrong
            return opened, self._start_over(error)
        except VideoTranslationError as error:
            if not (opened or is_passing(error)):
                raise
            return opened, str(error)
        finally:
            with self._lock:
                self._incoming = None
        return opened, "the service ended the stream"

    def _check(self, incoming: Incoming) -> None:
        kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _STREAM_TYPE:
            raise UnexpectedResponseError(f"what should be the event stream is {kind or 'of no type'}")

    def _open(self, incoming: Incoming, ending: threading.Event) -> bool:
        with self._lock:
            if ending.is_set():
                return False
            self._incoming = incoming
        self._broken_since, self._told, self._started_over = None, False, False
        logger.info("the event stream is open, from %s on", self._log.cursor)
        self._watcher.stream_opened()
        return True

    def _read(self, incoming: Incoming, ending: threading.Event) -> None:
        parser = SseParser()
        for chunk in incoming.chunks():
            if ending.is_set():
                return
            self._watcher.stream_lives()
            for message in parser.feed(chunk):
                self._take(message)
                self._advance(message.id)
            self._advance(parser.last_id)
            self._retry = parser.retry if parser.retry is not None else self._retry

    def _advance(self, place: str) -> None:
        if place and place != self._log.cursor:
            self._log.advance(place)

    def _take(self, message: Message) -> None:
        try:
            event = read_event(json.loads(message.data))
        except (ValueError, RecursionError) as error:
            # One message that nobody can read must not hide all that follow it.
            logger.warning("a message of the event stream (%s, %s) is skipped: %s", message.event, message.id, error)
            return
        self._intake.stream(event)

    def _start_over(self, error: APIError) -> str:
        self._started_over = True
        try:
            self._log.start_over(error)
        except VideoTranslationError as another:
            return str(another)
        return str(error)

    def _refused(self, error: VideoTranslationError) -> None:
        with self._lock:
            self._thread = None
        self._watcher.stream_refused(str(error))

    def _pause(self, failures: int) -> float:
        floor = None if self._retry is None else min(self._retry, LONGEST_HINT) * (1 + self._rng() / 4)
        if failures == 0:
            return max(floor or 0.0, _FIRST_RETRY * self._rng())
        return self._policy.delay(failures, floor=floor)

    def _note_break(self, reason: str, *, opened: bool, pause: float) -> None:
        now = self._clock()
        if opened or self._broken_since is None:
            self._broken_since = now
        logger.info("the event stream broke (%s); next try in %.1f s", reason, pause)
        if not self._told and now + pause - self._broken_since >= self._patience:
            self._told = True
            self._watcher.stream_broke(reason)
