"""The one thread per client on which the user's callbacks run, in the order in which events were released.

What is due is decided by the inbox; this thread only runs it, logs what it raises and goes on.
"""

from __future__ import annotations

import functools
import inspect
import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

from video_translation_client._errors import ClientClosedError
from video_translation_client._metrics import Meter
from video_translation_client._models import Event

logger = logging.getLogger("video_translation_client")

EventCallback = Callable[[Event], object]

_SECONDS: Final = 1.0


class RetryLater(Exception):  # noqa: N818 - a wish of the callback, not a mistake
    """Raise it in a callback that cannot do its work now: it is called again with the same event.

    No other event reaches a callback before that, so that the order is kept. A callback that raises anything else
    is not called again.

    Args:
        seconds: after how long to try again.

    Raises:
        ValueError: `seconds` is below 0, or not a number.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        if not seconds >= 0:
            raise ValueError(f"RetryLater takes seconds, 0 or more, not {seconds!r}")
        super().__init__(f"to be tried again in {seconds} s")
        self.seconds = seconds


class Dispatcher:
    """Runs callbacks one after the other; `publish`, `afterwards` and `defer` never block.

    Args:
        meter: counts callbacks that raise.
        on_done: called on the callback thread with each event that its callbacks have handled. With it, events
            that are published while there is no callback wait for the first one; without it, they are dropped.
    """

    def __init__(self, meter: Meter, *, on_done: Callable[[Event], None] | None = None) -> None:
        self._meter = meter
        self._on_done = on_done
        self._lock = threading.Lock()
        self._callbacks: tuple[EventCallback, ...] = ()
        self._takers: tuple[Callable[[Event], None], ...] = ()
        self._held: list[Callable[[], object]] = []
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._stopping = threading.Event()
        self._abandoned = threading.Event()

    def add(self, callback: EventCallback) -> None:
        """Call `callback` for every event published from now on, and for those that no callback has had yet.

        Raises:
            TypeError: it cannot be called, or nobody would await what it returns.
            ClientClosedError: no event will come any more.
        """
        check_callback(callback)
        with self._lock:
            if self._closed:
                raise ClientClosedError(
                    "the client is closed, so that no event would reach this callback: make a new one"
                )
            self._callbacks = (*self._callbacks, callback)
            held, self._held = self._held, []
            for work in held:
                self._enqueue(work)

    def remove(self, callback: EventCallback) -> None:
        """Stop calling `callback` for events published from now on."""
        with self._lock:
            rest = list(self._callbacks)
            if callback in rest:
                rest.remove(callback)
            self._callbacks = tuple(rest)

    def subscribe(self, taker: Callable[[Event], None]) -> None:
        """Hand `taker` every event published from now on, in the same order as the callbacks get them.

        It is called by the thread that learned of the event, under the inbox's lock: it must only enqueue, and
        must not raise. It does not wait for callbacks.
        """
        with self._lock:
            self._takers = (*self._takers, taker)

    def publish(self, event: Event) -> None:
        """Queue the event for the callbacks that are there now, and hand it to the subscribers."""
        with self._lock:
            takers = self._takers
            if self._callbacks:
                self._enqueue(functools.partial(self._deliver, self._callbacks, event))
            elif self._on_done is not None:
                self._held.append(functools.partial(self._deliver_late, event))
        for taker in takers:
            taker(event)

    def afterwards(self, work: Callable[[], object]) -> None:
        """Run `work` once every event published before now has been handled."""
        with self._lock:
            task = functools.partial(self._run, work)
            if self._held:
                self._held.append(task)
            else:
                self._enqueue(task)

    def defer(self, work: Callable[[], object]) -> None:
        """Queue any other work for the callback thread."""
        with self._lock:
            self._enqueue(functools.partial(self._run, work))

    def stop(self, timeout: float) -> None:
        """Run what is queued, at most for `timeout` seconds; then drop the rest and say so.

        Called from a callback it only stops the queue: a thread cannot wait for itself.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        self._stopping.set()
        if thread is None or thread is threading.current_thread():
            return
        thread.join(min(timeout, threading.TIMEOUT_MAX))
        if thread.is_alive():
            self._abandoned.set()
            logger.warning(
                "a callback still runs after %.1f s; %d queued calls are %s",
                timeout,
                max(0, self._queue.qsize() - 1),
                "dropped" if self._on_done is None else "left in the inbox for the next start",
            )

    def turn(self, *, block: bool = True) -> bool:
        """Run the next piece of work; return whether there may be more.

        Raises:
            queue.Empty: there is none, and `block` is false.
        """
        work = self._queue.get(block)
        if work is None or self._abandoned.is_set():
            return False
        work()
        return True

    def _enqueue(self, work: Callable[[], object]) -> None:
        """Queue a piece of work; the caller holds the lock."""
        if self._closed:
            logger.debug("a callback came too late: the client is closed")
            return
        self._queue.put(work)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="video-translation-callbacks", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while self.turn():
            pass

    def _deliver_late(self, event: Event) -> None:
        self._deliver(self._callbacks, event)

    def _deliver(self, callbacks: tuple[EventCallback, ...], event: Event) -> None:
        handled = [self._call(callback, event) for callback in callbacks]
        if all(handled) and self._on_done is not None:
            self._on_done(event)

    def _call(self, callback: EventCallback, event: Event) -> bool:
        """Call until the callback is through with the event; return False where the client closes before that."""
        while True:
            try:
                callback(event)
            except RetryLater as wish:
                self._meter.count("callback_errors")
                logger.warning("the callback %r wants event %s (%s) again: %s", callback, event.id, event.type, wish)
                if self._stopping.wait(min(wish.seconds, threading.TIMEOUT_MAX)):
                    logger.warning("event %s (%s) was not handled before the client closed", event.id, event.type)
                    return False
            except BaseException:  # also sys.exit() and a cancellation: they must not end the thread of all others
                self._meter.count("callback_errors")
                logger.exception("the callback %r raised on event %s (%s)", callback, event.id, event.type)
                return True
            else:
                return True

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:  # as above
            self._meter.count("callback_errors")
            logger.exception("deferred work %r raised", work)


def check_callback(callback: Callable[..., object]) -> None:
    """Refuse what could not do its work when it is called back.

    Raises:
        TypeError: it cannot be called, or is a coroutine function: nobody would await what it returns.
    """
    if not callable(callback):
        raise TypeError(f"a callback is a function, not {callback!r}; a URL to register goes into url=")
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
        raise TypeError(
            f"{callback!r} is a coroutine function, which nobody would await: pass a plain function, which may hand on "
            "with asyncio.run_coroutine_threadsafe(), or iterate with `async for event in job.events()`"
        )
