"""A service and a consumer in one thread, every step in a test's hands: pushes, reads, writes, callbacks, crashes.

The consumer is made of the client's own parts; only its threads and its network are the model's.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from video_translation_client import (
    Event,
    GoneError,
    InboxState,
    InboxStorage,
    JobSnapshot,
    PollPolicy,
    ServerUnreachableError,
)
from video_translation_client._dispatcher import Dispatcher, EventCallback
from video_translation_client._durable import SQLiteInbox
from video_translation_client._inbox import Inbox
from video_translation_client._intake import Intake
from video_translation_client._jobs import JobRegistry
from video_translation_client._keeper import Keeper
from video_translation_client._landing import Wish
from video_translation_client._metrics import Meter
from video_translation_client._operations import EventPage
from video_translation_client._reconcile import Policies, Reconciler
from video_translation_client._upkeep import Action

NOW = PollPolicy(first=1.0, factor=1.0, cap=1.0, jitter=0.0)


class Crash(Exception):  # noqa: N818 - what happened, not a mistake
    """The consumer's process ends in the middle of a callback."""


class Service:
    """Jobs, their log, and the pushes that are on their way."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.on_their_way: list[Event] = []
        self.lengths: dict[str, int] = {}
        self.reachable = True
        self.pruned = 0  # so many of the log's first places are no longer kept

    def move(self, job_id: str, *, last: bool) -> None:
        sequence = self.lengths[job_id] = self.lengths.get(job_id, 0) + 1
        status = "completed" if last else "running"
        data = {"video_translate_id": job_id, "sequence": sequence, "status": status}
        raw = {"event_id": f"evt_{job_id}_{sequence}", "event_type": "video_translate.running", "event_data": data}
        event = Event.from_raw(raw)
        self.log.append(event)
        self.on_their_way.append(event)

    def send(self, operation: Any) -> EventPage:
        """Answer the one question that the consumer's parts ask here: two events of the log at a time."""
        if not self.reachable:
            raise ServerUnreachableError("away on purpose")
        query = operation.query
        place = int(query["after"].removeprefix("cur_"))
        if place < self.pruned:
            raise GoneError(f"pruned; the oldest is cur_{self.pruned}", status=410, code="cursor_expired")
        wanted = [
            (position, event)
            for position, event in enumerate(self.log, 1)
            if position > place and query.get("video_translate_id") in (None, event.job.id)
        ]
        page, more = wanted[:2], len(wanted) > 2
        cursor = page[-1][0] if more else len(self.log)
        return EventPage(tuple(event for _, event in page), more, f"cur_{cursor}")


class Disk(Protocol):
    """What outlives a crash: the effects, and a storage over the same place for each process."""

    effects: list[tuple[str, int]]
    is_full: bool

    def open(self) -> InboxStorage | None: ...
    def handle(self, event: Event) -> None: ...


class Nothing:
    """No inbox: what a callback did is all that stays."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, int]] = []
        self.is_full = False

    def open(self) -> InboxStorage | None:
        return None

    def handle(self, event: Event) -> None:
        assert event.transition is not None
        self.effects.append(event.transition)


class File(Nothing):
    """The durable inbox in its file; its disk may be full."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.marked: set[tuple[str, int]] = set()
        self.repeated: list[tuple[str, int]] = []  # though they were marked when the process began
        self._known: set[tuple[str, int]] = set()

    def handle(self, event: Event) -> None:
        super().handle(event)
        if event.transition in self._known:
            self.repeated.append(self.effects[-1])

    def open(self) -> InboxStorage:
        disk = self
        self._known = set(self.marked)

        class Storage(SQLiteInbox):
            def load(self) -> InboxState:
                state = super().load()
                assert self._opened is not None
                self._opened.execute("PRAGMA synchronous = OFF")  # the model's crashes leave the disk alone
                return state

            def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
                if disk.is_full:
                    raise OSError("full on purpose")
                super().save(keep=keep, done=done, cursor=cursor)
                disk.marked.update(event.transition for event in done if event.transition)

        return Storage(self._path)


class OwnDatabase(Nothing):
    """The user's own database: the effect and the job's sequence in one transaction, the cursor in another."""

    def __init__(self) -> None:
        super().__init__()
        self._sequences: dict[str, int] = {}
        self._cursor: str | None = None

    def open(self) -> InboxStorage:
        return self

    def handle(self, event: Event) -> None:
        super().handle(event)
        self._sequences |= [event.transition or ("", 0)]

    def load(self) -> InboxState:
        return InboxState(self._cursor, dict(self._sequences))

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        del keep, done
        if self.is_full:
            raise OSError("full on purpose")
        self._cursor = cursor or self._cursor

    def close(self) -> None:
        pass


class Consumer:
    """One process of the user's program."""

    def __init__(self, service: Service, disk: Disk, cursor: str | None) -> None:
        self._disk = disk
        self.crash_at: str | None = None
        self.killed = False
        self.upkeep = _Upkeep()
        self.storage = disk.open()
        self.keeper = _Keeper(self.storage) if self.storage else None
        meter = Meter()
        self.dispatcher = _Dispatcher(meter, on_done=self._done if self.keeper else None)
        registry = JobRegistry(self)
        self.inbox = Inbox(self.dispatcher.publish)
        self.intake = Intake(registry, self.inbox, meter, keeper=self.keeper, afterwards=self.dispatcher.afterwards)
        self.intake.restore()
        self.reconciler = Reconciler(
            transport=service,  # type: ignore[arg-type]  # it sends; no more is asked of it
            intake=self.intake,
            inbox=self.inbox,
            registry=registry,
            meter=meter,
            upkeep=self.upkeep,  # type: ignore[arg-type]  # as above
            policies=Policies(NOW, NOW, NOW),
        )
        self.dispatcher.add(self._callback)
        self.reconciler.cover(cursor)

    def push(self, event: Event) -> Future[None]:
        """Take in a delivery; the answer is 204 once the future is done."""
        answer = self.intake.push(event)
        if answer is None:
            answer = Future()
            answer.set_result(None)
        return answer

    def read(self) -> None:
        with suppress(ServerUnreachableError):
            self.reconciler.catch_up()

    def write(self) -> bool:
        """Let the inbox's thread do one piece of work; return whether there was any."""
        return self.keeper is not None and _turn(self.keeper.turn)

    def call_back(self) -> bool:
        """Let the callbacks' thread do one piece of work; return whether there was any.

        Raises:
            Crash: the process was killed in the middle of it.
        """
        busy = _turn(self.dispatcher.turn)
        if self.killed:
            raise Crash
        return busy

    def finish(self) -> None:
        """Do everything that is due, until nothing is."""
        while any([self.write(), self.call_back(), self.upkeep.run()]):
            pass

    def end(self) -> None:
        if self.storage is not None:
            self.storage.close()

    def read_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        raise NotImplementedError

    def cancel_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError

    def events_come(self) -> bool:
        return True

    def wake(self, job_id: str) -> None:
        """Nobody asks for jobs here."""

    def seek_events(self) -> None:
        raise NotImplementedError

    def seek_beginning(self, job_id: str) -> None:
        raise NotImplementedError(job_id)

    def defer(self, work: Callable[[], object]) -> None:
        raise NotImplementedError

    def _done(self, event: Event) -> None:
        if self.keeper is not None and not self.killed:
            self.keeper.done(event)

    def _callback(self, event: Event) -> None:
        crash_at, self.crash_at = self.crash_at, None
        if crash_at is not None:
            self.write()
        if crash_at == "before the effect":
            self.killed = True
            return
        self._disk.handle(event)
        if crash_at == "after the effect":
            self.write()
            self.killed = True


class _Keeper(Keeper):
    def begin(self, cursor: str) -> None:
        self._storage.save(keep=[], done=[], cursor=cursor)

    def _start(self) -> None:
        """Its work is done by hand."""


class _Dispatcher(Dispatcher):
    def _start(self) -> None:
        """Its work is done by hand."""

    def _call(self, callback: EventCallback, event: Event) -> bool:
        """Let a crash of the process pass: unlike whatever else a callback raises, nobody outlives it."""
        crashes: list[Crash] = []

        def run(event: Event) -> None:
            try:
                callback(event)
            except Crash as crash:
                crashes.append(crash)

        handled = super()._call(run, event)
        if crashes:
            raise crashes[0]
        return handled


class _Upkeep:
    def __init__(self) -> None:
        self._due: dict[Any, Action] = {}

    def schedule(self, key: Any, _: float, action: Action) -> None:
        self._due[key] = action

    def run(self) -> bool:
        due, self._due = self._due, {}
        again = {key: action for key, action in due.items() if action() is not None}
        self._due = again | self._due
        return bool(due)


def _turn(turn: Callable[..., bool]) -> bool:
    try:
        return turn(block=False)
    except queue.Empty:
        return False
