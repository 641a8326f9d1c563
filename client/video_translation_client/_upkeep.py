"""One thread per client for everything that is due later: renewals, the safety net, gap fills, polls.

It knows times and keys only; what an action does, and when it wants to run again, is the action's business.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

logger = logging.getLogger("video_translation_client")

Action = Callable[[], float | None]
"""Returns the seconds until it wants to run again, or None."""

_AFTER_A_BUG: Final = 60.0


class Upkeep:
    """A keyed schedule on a thread that sleeps until something is due.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, tuple[float, int, Action]] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def schedule(self, key: Hashable, delay: float, action: Action) -> None:
        """Run `action` in `delay` seconds; what was scheduled under `key` before is forgotten."""
        with self._changed:
            if self._stopped:
                return
            self._put(key, delay, action)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="video-translation-upkeep", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self, key: Hashable) -> None:
        """Forget what is scheduled under `key`; an action that already runs will not run again."""
        with self._changed:
            self._due.pop(key, None)

    def stop(self, timeout: float) -> None:
        """Forget everything and end the thread, waiting at most `timeout` seconds for a running action."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._heap.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _put(self, key: Hashable, delay: float, action: Action) -> None:
        number = next(self._numbers)
        due = self._clock() + delay
        self._due[key] = (due, number, action)
        heapq.heappush(self._heap, (due, number, key))

    def _work(self) -> None:
        while (task := self._next()) is not None:
            key, number, action = task
            delay = self._run(key, action)
            with self._changed:
                entry = self._due.get(key)
                if entry is None or entry[1] != number:
                    continue  # cancelled, or scheduled anew while it ran
                del self._due[key]
                if delay is not None:
                    self._put(key, delay, action)

    def _next(self) -> tuple[Hashable, int, Action] | None:
        """Wait for the next due action; None once stopped."""
        with self._changed:
            while not self._stopped:
                if not self._heap:
                    self._changed.wait()
                    continue
                due, number, key = self._heap[0]
                entry = self._due.get(key)
                if entry is None or entry[1] != number:
                    heapq.heappop(self._heap)  # replaced or cancelled since
                    continue
                remaining = due - self._clock()
                if remaining <= 0:
                    heapq.heappop(self._heap)
                    return key, number, entry[2]
                self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
            return None

    @staticmethod
    def _run(key: Hashable, action: Action) -> float | None:
        try:
            return action()
        except Exception:
            logger.exception("upkeep %r failed; it runs again in %.0f s", key, _AFTER_A_BUG)
            return _AFTER_A_BUG
