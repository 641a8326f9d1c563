"""Group commit: what has gathered is run and committed in one transaction, while the next gathers.

Brief verbs are run in the event loop and only their COMMIT, which waits for the disk, in the writer's thread: two
threads that take turns at the interpreter's lock cost more than they gain (decision 0038). A caller's future resolves
after the COMMIT that holds its verb is on disk (0006). What a verb does is no business of this module.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from video_translation_server.errors import StoreError
from video_translation_server.probe import Probe
from video_translation_server.store.base import Bell
from video_translation_server.store.sqlite.database import BUSY_TIMEOUT
from video_translation_server.store.sqlite.joint import run_together

T = TypeVar("T")

MAX_BATCH = 256
"""Verbs per transaction: bounds how long a caller waits for strangers, and the event loop for verbs."""
STEP = 0.016
"""Seconds that verbs may keep the event loop at a time: what of a batch would take longer is left to the thread."""
LOT = 16
"""Verbs that are run before anything is known of how long those of a batch take; fewer where that was too many."""
PATIENCE = 0.25
"""Seconds in the event loop after which the disk is taken to be slow, so that all verbs are left to the thread."""
IMPATIENT_FOR = 10.0
"""Seconds until they are tried in the event loop again."""


@dataclass(slots=True, eq=False)
class _Call:
    verb: Callable[[apsw.Connection], Any]
    future: asyncio.Future[Any]
    bells: tuple[Bell, ...]
    durable: bool
    brief: bool
    heard: Callable[[Any], None] | None
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Batch:
    """Calls that are committed together; of which `run` were run, in a transaction that is open where there are any."""

    calls: list[_Call]
    run: int = 0


class Writer:
    """Runs verbs on the write connection, many per transaction."""

    def __init__(
        self, connection: apsw.Connection, probe: Probe, *, elapsed: Callable[[], float] = time.perf_counter
    ) -> None:
        """Start the thread; the connection is the writer's from here on. `elapsed` tells seconds since whenever."""
        self._connection = connection
        self._probe = probe
        self._elapsed = elapsed
        self._is_durable = True
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Call] = deque()
        self._is_at_work = False
        self._closed = False
        self._patient_from = float("-inf")
        self._lot = LOT
        self._handed: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="store-writer", daemon=True)
        self._thread.start()

    async def run(
        self,
        verb: Callable[[apsw.Connection], T],
        *bells: Bell,
        durable: bool = True,
        brief: bool = False,
        heard: Callable[[T | None], None] | None = None,
    ) -> T:
        """Run `verb` in the next transaction; return or raise what it did, after the commit.

        The bells ring in the event loop once it is committed, also for a caller that has gone. What is not
        `durable` does not wait for the disk: a power failure may undo it, a killed process does not. What is `brief`,
        a few milliseconds as a rule, may be run in the event loop itself. `heard` is told what the verb did, in the
        event loop and also for a caller that has gone; None where it failed.
        """
        if self._closed:
            if heard is not None:
                heard(None)
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Call(verb, future, bells, durable, brief, heard))
        if not self._is_at_work:
            self._go_on_soon()
        return await future

    async def close(self) -> None:
        """Commit what was asked for, then end the thread and close the connection."""
        if not self._closed:
            self._closed = True
            if not self._is_at_work:
                self._go_on_soon()
        await asyncio.to_thread(self._thread.join)

    def _go_on_soon(self) -> None:
        """Take up what waits, in a moment: who asks at the same time is to be in the same batch."""
        self._is_at_work = bool(self._waiting)
        if self._waiting:
            self._loop.call_soon(self._go_on)
        elif self._closed:
            self._handed.put(None)

    @property
    def has_waiting(self) -> bool:
        """Whether there is something for the next transaction."""
        return bool(self._waiting)

    @property
    def is_patient(self) -> bool:
        """Whether the disk is fast enough for the event loop to wait for it."""
        return self._elapsed() >= self._patient_from

    def _go_on(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        batch = _Batch(calls)
        try:
            if self.is_patient and all(call.brief for call in calls):
                self._run_here(batch)
        except BaseException:
            batch.run = 0  # the thread finds the transaction open, of which nobody knows what was done, and ends it
            raise
        finally:
            self._handed.put(batch)

    def _run_here(self, batch: _Batch) -> None:
        """Run in the event loop what of a batch takes no longer than a step of it may; the rest is the thread's.

        What goes wrong is left to the thread as well, with the whole batch: it runs it anew.
        """
        began = self._elapsed()
        if not self._begin_at_once(batch.calls):
            return
        lot, spent = self._lot, 0.0
        while lot and batch.run < len(batch.calls):
            calls = batch.calls[batch.run : batch.run + lot]
            if not self._run_together(calls):
                batch.run = 0
                self._roll_back()
                return
            spent = self._elapsed() - began
            if not batch.run:
                self._lot = self._next_lot(spent)
            batch.run += len(calls)
            lot = max(int((STEP - spent) * batch.run / spent), 0) if spent > 0 else MAX_BATCH
        if spent > PATIENCE:
            self._patient_from = began + spent + IMPATIENT_FOR

    def _next_lot(self, spent: float) -> int:
        """How many to begin the next batch with, where these many took so many seconds."""
        if spent > STEP:
            return max(self._lot // 2, 1)
        return min(self._lot * 2, LOT) if spent <= STEP / 2 else self._lot

    def _begin_at_once(self, calls: list[_Call]) -> bool:
        """Begin a transaction, unless another program holds the file: waiting for it is not for the event loop."""
        try:
            self._set_durability(any(call.durable for call in calls))
            self._connection.set_busy_timeout(0)
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error:
            return False
        finally:
            self._connection.set_busy_timeout(BUSY_TIMEOUT)
        return True

    def _main(self) -> None:
        while (batch := self._handed.get()) is not None:
            if self._finish(batch):
                self._commit(batch.calls)
            self._loop.call_soon_threadsafe(self._resolve, batch.calls)
        self._connection.close()

    def _finish(self, batch: _Batch) -> bool:
        """Run what was not run; False where that failed, and everybody is to be told."""
        calls = batch.calls
        try:
            if not batch.run:
                self._set_durability(any(call.durable for call in calls))
                self._connection.execute("BEGIN IMMEDIATE")
            if batch.run < len(calls) and not self._run_together(calls[batch.run :]):
                self._roll_back()
                self._connection.execute("BEGIN IMMEDIATE")
                for call in calls:
                    self._run_alone(call)
        except apsw.Error as error:
            self._fail(calls, error)
            return False
        return True

    def _commit(self, calls: list[_Call]) -> None:
        try:
            self._probe("before commit")
            self._connection.execute("COMMIT")
            self._probe("after commit")
        except apsw.Error as error:
            self._fail(calls, error)

    def _fail(self, calls: list[_Call], error: apsw.Error) -> None:
        """The disk is full or gone: nobody's verb is durable, so everybody is told."""
        with contextlib.suppress(apsw.Error):
            self._roll_back()
        for call in calls:
            call.error = call.error or _as_ours(error)

    def _roll_back(self) -> None:
        # Some errors, as a full disk, have ended the transaction already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _run_together(self, batch: list[_Call]) -> bool:
        """Run every verb; False when one failed, so that the batch is to be run anew, each by itself.

        Nearly every verb succeeds, and a savepoint for each would be a third of all statements.
        """
        try:
            answers = run_together(self._connection, [call.verb for call in batch])
            for call, answer in zip(batch, answers, strict=True):
                call.value = answer
        except Exception:  # noqa: BLE001  (it fails again, and is then handed to its caller)
            return False
        return True

    def _set_durability(self, durable: bool) -> None:
        """Whether the next COMMIT waits for the disk; a later one that does covers all before it."""
        if durable != self._is_durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable

    def _run_alone(self, call: _Call) -> None:
        """One savepoint per verb, so that a failing one fails its caller alone."""
        self._connection.execute("SAVEPOINT verb")
        try:
            call.value = call.verb(self._connection)
        except Exception as error:  # noqa: BLE001  (handed to the caller)
            call.error = _as_ours(error)
            self._connection.execute("ROLLBACK TO verb")
        self._connection.execute("RELEASE verb")

    def _resolve(self, calls: list[_Call]) -> None:
        try:
            for call in calls:
                if call.future.cancelled():
                    continue
                if call.error is not None:
                    call.future.set_exception(call.error)
                else:
                    call.future.set_result(call.value)
            for call in calls:
                if call.heard is not None:
                    call.heard(None if call.error is not None else call.value)
            for bell in {bell for call in calls if call.error is None for bell in call.bells}:
                bell.ring()
        finally:
            self._go_on_soon()


def _as_ours(error: Exception) -> Exception:
    """What callers may know of: the engine's own errors stay behind the seam."""
    if isinstance(error, StopIteration):  # which no future takes
        return RuntimeError(f"a verb has run out: {error!r}")
    return StoreError(f"the database could not commit: {error}") if isinstance(error, apsw.Error) else error
