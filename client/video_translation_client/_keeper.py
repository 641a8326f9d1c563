"""The one thread per client that writes to a durable inbox: what comes in while it writes is written together.

What is stored, and what that makes of an event, is decided by the intake; how, by the storage.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from video_translation_client._errors import ClientClosedError, InboxError
from video_translation_client._models import Event
from video_translation_client._storage import InboxState, InboxStorage

logger = logging.getLogger("video_translation_client")

_MOST_AT_ONCE: Final = 512
_TRY_AGAIN: Final = 1.0
_BEGINNING_DEADLINE: Final = 10.0

OnKept = Callable[[Event], None]


@dataclass(slots=True)
class _Batch:
    """What one call of the storage writes."""

    keep: list[tuple[Event, OnKept, Future[None]]] = field(default_factory=list)
    done: list[Event] = field(default_factory=list)
    cursor: str | None = None
    begun: list[Future[None]] = field(default_factory=list)
    last: bool = False

    def __bool__(self) -> bool:
        return bool(self.keep or self.done or self.cursor)


class Keeper:
    """Feeds a storage from one thread, in the order of the calls."""

    def __init__(self, storage: InboxStorage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Callable[[_Batch], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._failing = False
        self._owed = _Batch()  # what could not be written; it can wait, because a crash only repeats it

    def load(self) -> InboxState:
        """Return where the inbox stood."""
        return self._storage.load()

    def begin(self, cursor: str) -> None:
        """Store the log's place from which this inbox begins, before anything is answered that lies behind it.

        Raises:
            InboxError: it could not be stored.
        """
        future: Future[None] = Future()

        def ask(batch: _Batch) -> None:
            batch.cursor = cursor
            batch.begun.append(future)

        if not self._put(ask):
            raise ClientClosedError("the client is closed: make a new one")
        try:
            future.result(_BEGINNING_DEADLINE)
        except Exception as error:
            raise InboxError(f"the durable inbox cannot be written ({type(error).__name__}: {error})") from error

    def keep(self, event: Event, on_kept: OnKept) -> Future[None]:
        """Store an event, then call `on_kept(event)` on the keeper's thread.

        Returns:
            A future of both; it raises what the storage raised.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # whoever stops waiting for it does not undo it
        if not self._put(lambda batch: batch.keep.append((event, on_kept, future))):
            future.set_exception(ClientClosedError("the client is closed: the event was not taken in"))
        return future

    def done(self, event: Event) -> None:
        """Note that an event was handled; returns at once."""
        self._put(lambda batch: batch.done.append(event))

    def move_cursor(self, cursor: str) -> None:
        """Note that the log was handled up to here; returns at once."""
        self._put(lambda batch: setattr(batch, "cursor", cursor))

    def stop(self, timeout: float) -> None:
        """Write what was asked for, at most for `timeout` seconds, and close the storage."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._enqueue(lambda batch: setattr(batch, "last", True))
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():
                logger.warning("the durable inbox still writes after %.1f s", timeout)

    def turn(self, *, block: bool = True) -> bool:
        """Write what has gathered; return whether there may be more.

        Raises:
            queue.Empty: there is nothing, and `block` is false.
        """
        batch, self._owed = self._owed, _Batch()
        try:
            self._queue.get(block, _TRY_AGAIN if batch else None)(batch)
        except queue.Empty:
            if not block:
                self._owed = batch
                raise
        while len(batch.keep) + len(batch.done) < _MOST_AT_ONCE and not batch.last and not self._queue.empty():
            self._queue.get()(batch)
        if batch:
            self._write(batch)
        if batch.last:
            self._close()
        return not batch.last

    def _put(self, ask: Callable[[_Batch], None]) -> bool:
        with self._lock:
            if not self._closed:
                self._enqueue(ask)
            return not self._closed

    def _enqueue(self, ask: Callable[[_Batch], None]) -> None:
        self._queue.put(ask)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="video-translation-inbox", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while self.turn():
            pass

    def _write(self, batch: _Batch) -> None:
        error = self._save(batch)
        if error is not None:
            marks = _Batch(done=batch.done, cursor=batch.cursor)
            apart = self._save(marks) if batch.keep and marks else error
            self._owed = marks if apart else _Batch()
        for future in batch.begun:
            _settle(future, functools.partial(_raise, error))
        for entry in batch.keep:
            event, on_kept, future = entry
            # One event that cannot be stored must not take the others with it.
            alone = self._save(_Batch(keep=[entry])) if error is not None and len(batch.keep) > 1 else error
            if alone is None:
                _settle(future, functools.partial(on_kept, event))
            else:
                future.set_exception(alone)

    def _save(self, batch: _Batch) -> Exception | None:
        try:
            self._storage.save(keep=[event for event, _, _ in batch.keep], done=batch.done, cursor=batch.cursor)
        except Exception as error:
            logger.error(  # noqa: TRY400 - the first of a row has its traceback
                "the durable inbox could not be written (%s): %d deliveries are not taken in, %d handled events are "
                "not marked yet",
                error,
                len(batch.keep),
                len(batch.done),
                exc_info=not self._failing,
            )
            self._failing = True
            return error
        self._failing = False
        return None

    def _close(self) -> None:
        try:
            self._storage.close()
        except Exception:
            logger.exception("the durable inbox could not be closed")


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _settle(future: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whoever waits for the future is told
        future.set_exception(error)
    else:
        future.set_result(None)
