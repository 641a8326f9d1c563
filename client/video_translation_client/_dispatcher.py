"""The one thread per client on which the user's callbacks run, in the order in which events were released.

What is due is decided by the inbox; this thread only runs it, logs what it raises and goes on.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections.abc import Callable

from video_translation_client._metrics import Meter
from video_translation_client._models import Event

logger = logging.getLogger("video_translation_client")

EventCallback = Callable[[Event], object]


class Dispatcher:
    """Runs callbacks one after the other; `publish` and `defer` never block."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._callbacks: tuple[EventCallback, ...] = ()
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._abandoned = threading.Event()

    def add(self, callback: EventCallback) -> None:
        """Call `callback` for every event published from now on."""
        with self._lock:
            self._callbacks = (*self._callbacks, callback)

    def remove(self, callback: EventCallback) -> None:
        """Stop calling `callback` for events published from now on."""
        with self._lock:
            rest = list(self._callbacks)
            if callback in rest:
                rest.remove(callback)
            self._callbacks = tuple(rest)

    def publish(self, event: Event) -> None:
        """Queue the event for the callbacks that are there now."""
        for callback in self._callbacks:
            self._put(functools.partial(self._deliver, callback, event))

    def defer(self, work: Callable[[], object]) -> None:
        """Queue any other work for the callback thread."""
        self._put(functools.partial(self._run, work))

    def stop(self, timeout: float) -> None:
        """Run what is queued, at most for `timeout` seconds; then drop the rest and say so.

        Called from a callback it only stops the queue: a thread cannot wait for itself.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is None or thread is threading.current_thread():
            return
        thread.join(timeout)
        if thread.is_alive():
            self._abandoned.set()
            logger.warning(
                "a callback still runs after %.1f s; %d queued calls are dropped",
                timeout,
                max(0, self._queue.qsize() - 1),
            )

    def _put(self, work: Callable[[], object]) -> None:
        with self._lock:
            if self._closed:
                logger.debug("a callback came too late: the client is closed")
                return
            self._queue.put(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="video-translation-callbacks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            if self._abandoned.is_set():
                return
            work()

    def _deliver(self, callback: EventCallback, event: Event) -> None:
        try:
            callback(event)
        except Exception:
            self._meter.count("callback_errors")
            logger.exception("the callback %r raised on event %s (%s)", callback, event.id, event.type)

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            self._meter.count("callback_errors")
            logger.exception("deferred work %r raised", work)
