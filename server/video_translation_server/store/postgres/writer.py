"""Group commit: what callers ask for while one transaction commits goes into the next one, in few statements.

Knows no SQL but that of transactions; what a verb does is its own business.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from video_translation_server.errors import StoreError
from video_translation_server.probe import Probe
from video_translation_server.store.base import Bell
from video_translation_server.store.postgres.database import (
    ADDRESSING,
    AGAIN,
    FAILURES,
    LOCKS,
    Connection,
    as_ours,
    is_lost,
)
from video_translation_server.store.postgres.days import Days
from video_translation_server.store.postgres.doubt import has_committed
from video_translation_server.store.postgres.session import Session
from video_translation_server.store.postgres.verb import LAST, One, Verb

A = TypeVar("A")
T = TypeVar("T")

MAX_BATCH = 1024
"""Wishes per transaction: bounds how long a caller waits for strangers."""

TRIES = 5
"""How often a transaction is run anew that others got in the way of."""

_BEGIN = "BEGIN"
_BEGIN_LEASING = "BEGIN; SET LOCAL synchronous_commit = off"
# The number by which a commit whose answer is lost can be asked for; and the lock that keeps those who append events
# (shared) apart from those who change whom events are for (decision 0027).
_ENTER = "SELECT pg_current_xact_id()::text, pg_advisory_xact_lock_shared($1, $2)"
_ENTER_ALONE = "SELECT pg_current_xact_id()::text, pg_advisory_xact_lock($1, $2)"


@dataclass(slots=True, eq=False)
class _Call:
    verb: Verb[Any, Any]
    wish: Any
    future: asyncio.Future[Any]
    bells: tuple[Bell, ...]
    settling_at: frozenset[float]
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Runs wishes on one connection, many per transaction."""

    def __init__(self, session: Session, days: Days, probe: Probe) -> None:
        """Start the task; the session is the writer's from here on. Needs a running event loop."""
        self._session = session
        self._days = days
        self._probe = probe
        self._calls: list[_Call] = []
        self._called = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._main(), name="store-writer")

    async def run(self, verb: Verb[A, T], wish: A, *bells: Bell, settling_at: Iterable[float] = ()) -> T:
        """Carry a wish out in the next transaction; return or raise what became of it, after the commit.

        The bells ring once it is committed, also for a caller that has gone. Where it may settle deliveries,
        `settling_at` says when (Unix seconds).
        """
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append(_Call(verb, wish, future, bells, frozenset(settling_at)))
        self._called.set()
        return await future

    async def close(self, *, last: One[Any]) -> None:
        """Commit what was asked for, and `last` where the database can be reached; then end task and connection."""
        if not self._closed:
            with contextlib.suppress(StoreError):
                await self.run(LAST, last)
        self._closed = True
        self._called.set()
        await self._task

    async def _main(self) -> None:
        while self._calls or not self._closed:
            await self._called.wait()
            batch, self._calls = self._calls[:MAX_BATCH], self._calls[MAX_BATCH:]
            batch.sort(key=lambda call: call.verb.goes_last)
            if not self._calls and not self._closed:
                self._called.clear()
            if batch:
                await self._commit(batch)
                _resolve(batch)
        await self._session.close()

    async def _commit(self, batch: list[_Call]) -> None:
        """Carry a batch out once, whatever happens to the connection meanwhile; or tell everybody that it was not.

        1. What it settles finds a partition of its day; after a new connection nothing is taken for known.
        2. Transactions that got in each other's way are run anew.
        3. Where the connection was lost before the commit, nothing has happened: it is run anew, once.
        4. Where it was lost in the commit, the database is asked what became of it.
        """
        error: BaseException = StoreError("the database is too busy; try again")
        losses = 0
        for _ in range(TRIES):
            try:
                connection = await self._session.connection()
                await self._days.cover(frozenset[float]().union(*(call.settling_at for call in batch)))
                await self._transact(connection, batch)
            except AGAIN:
                continue
            except Exception as failure:  # noqa: BLE001  (handed to the callers)
                error = as_ours(failure)
                losses += is_lost(failure)
                if not is_lost(failure) or losses > 1:
                    break
            else:
                return
        for call in batch:
            call.error = error

    async def _transact(self, connection: Connection, batch: list[_Call]) -> None:
        number = None
        try:
            number = await self._begin(connection, batch)
            if not await _run_together(connection, batch):
                await connection.execute("ROLLBACK")
                number = await self._begin(connection, batch)
                for call in batch:
                    await _run_alone(connection, call)
            self._probe("before commit")
        except BaseException as error:
            await self._break_off(connection, error)
            raise
        try:
            await connection.execute("COMMIT")
        except FAILURES as error:
            await self._break_off(connection, error)
            if number is None or not is_lost(error):
                raise
            if not await has_committed(self._session.database, number, self._session.history):
                raise
        self._probe("after commit")

    async def _break_off(self, connection: Connection, error: BaseException) -> None:
        """Leave no transaction open: after an error that was none of the connection's, it goes on being used."""
        if isinstance(error, Exception) and not is_lost(error):
            try:
                await connection.execute("ROLLBACK")
            except FAILURES as failure:
                self._session.drop(failure)
        else:
            self._session.drop(error)

    async def _begin(self, connection: Connection, batch: Sequence[_Call]) -> str | None:
        """Begin a transaction; its number, where it waits for the disk."""
        for call in batch:
            call.value, call.error = None, None
        if not any(call.verb.is_durable for call in batch):
            await connection.execute(_BEGIN_LEASING)
            return None
        await connection.execute(_BEGIN)
        alone = any(call.verb.readdresses for call in batch)
        number: str = await connection.fetchval(_ENTER_ALONE if alone else _ENTER, LOCKS, ADDRESSING)
        return number


def _resolve(batch: Sequence[_Call]) -> None:
    for call in batch:
        if call.future.cancelled():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.value)
    for bell in {bell for call in batch if call.error is None for bell in call.bells}:
        bell.ring()


async def _run_together(connection: Connection, batch: Sequence[_Call]) -> bool:
    """Carry all wishes out, those of one verb together; False when one failed, so that each is to be run by itself."""
    together: dict[int, list[_Call]] = {}
    for call in batch:
        together.setdefault(id(call.verb), []).append(call)
    for calls in together.values():
        try:
            values = await calls[0].verb.carry_out(connection, [call.wish for call in calls])
        except Exception as error:
            if is_lost(error) or isinstance(error, AGAIN):
                raise
            return False
        for call, value in zip(calls, values, strict=True):
            call.value = value
    return True


async def _run_alone(connection: Connection, call: _Call) -> None:
    """One savepoint per wish, so that a failing one fails its caller alone."""
    await connection.execute("SAVEPOINT wish")
    try:
        [call.value] = await call.verb.carry_out(connection, [call.wish])
    except Exception as error:
        if is_lost(error) or isinstance(error, AGAIN):
            raise
        call.error = as_ours(error)
        await connection.execute("ROLLBACK TO SAVEPOINT wish")
    await connection.execute("RELEASE SAVEPOINT wish")
