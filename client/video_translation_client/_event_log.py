"""The service's event log, read forward from one place per client: what was missed is found here.

When it is read, and what else is done about a job, is decided by the poller and the reconciler.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from video_translation_client._errors import APIError, GoneError, InvalidRequestError, VideoTranslationError
from video_translation_client._intake import Intake
from video_translation_client._models import Event
from video_translation_client._operations import EventPage, Operation, list_events
from video_translation_client._operations.events import oldest_cursor
from video_translation_client._options import Options
from video_translation_client._transport import Transport

logger = logging.getLogger("video_translation_client")

_BEGINNING: Final = "cur_0"
_CURSOR: Final = "cur_"
_JUMP: Final = 1_000_000  # what a service skips at its start for each second since the one before


class EventLog:
    """A cursor and the reading from it. Everything before the cursor has been offered to the inbox.

    Args:
        transport: sends.
        intake: is offered what the log holds.
        on_opened: called with whether the log can be read, when that becomes known or changes.
        on_lost: called when the log had to be started over, so that events may have gone past unseen.
        on_jump: called when the log's places have jumped: the service may have been started anew, perhaps on an earlier
            copy of its store, which may lack jobs. A million events of other workspaces look the same.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        intake: Intake,
        on_opened: Callable[[bool], None],
        on_lost: Callable[[], None],
        on_jump: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._intake = intake
        self._on_opened = on_opened
        self._on_lost = on_lost
        self._on_jump = on_jump
        self._cursor: str | None = None
        self._reading = threading.RLock()  # two readers would tear the cursor back and forth
        self._moving = threading.Lock()  # the stream moves it too, and must not wait for a reader

    @property
    def cursor(self) -> str | None:
        """The place up to which everything has been offered; None where the log cannot be read."""
        return self._cursor

    @property
    def readable(self) -> bool:
        """Whether there is a place to read on from."""
        return self._cursor is not None

    def open_at(self, cursor: str | None) -> bool:
        """Read from `cursor` on; a place that is known already is kept, because what lies between was not read.

        Returns:
            Whether the place is new.
        """
        with self._moving:
            if self._cursor is not None:
                return False
            self._cursor = self._intake.begin_at(cursor)
        self._on_opened(cursor is not None)
        self._intake.replay()
        return cursor is not None

    def open_at_end(self) -> bool:
        """Find the log's end and read from there on; return whether this service has a log that can be read.

        Raises:
            VideoTranslationError: the service could not be asked.
        """
        if self._cursor is not None:
            return True
        try:
            newest = self._ask_once(list_events(limit=1))
            place = newest.events[0].id if newest.events else _BEGINNING
            end = self._ask_once(list_events(place, limit=1))
        except APIError as error:
            oldest = oldest_cursor(error)  # an old and silent service: its whole log was pruned
            if oldest is None and not _says_that_there_is_none(error):
                raise
            return oldest is not None and (self.open_at(oldest) or self.readable)
        # Only a service that reads forward says where to read on.
        if not end.forward:
            return False
        self.open_at(place if end.events or end.cursor is None else end.cursor)
        return True

    def give_up(self, error: VideoTranslationError) -> None:
        """Read no more: the service refuses it."""
        logger.warning("the event log cannot be read any more: %s", error)
        with self._moving:
            self._cursor = None
        self._on_opened(False)

    def advance(self, cursor: str) -> None:
        """Note that everything up to `cursor` has been offered."""
        with self._moving:
            if self._cursor is None or _lies_behind(cursor, self._cursor):
                return
            jumped = _is_far(self._cursor, cursor)
            self._cursor = cursor
        self._intake.reached(cursor)
        if jumped:
            self._on_jump()

    def catch_up(self) -> int:
        """Read from the cursor to the log's end; return how many unseen events it held.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        with self._reading:
            if self._cursor is None:
                return 0
            try:
                return self._read_on()
            except (InvalidRequestError, GoneError) as error:
                self.start_over(error)
                return 0

    def read_job(self, job_id: str) -> int:
        """Read one job's events from the cursor on, which stays; return how many unseen ones there were.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        place, found = self._cursor, 0
        while place is not None:
            try:
                page = self._transport.send(list_events(place, job_id=job_id))
            except (InvalidRequestError, GoneError) as error:
                self.start_over(error)
                return found
            found += sum([self._intake.read(event) for event in page.events])
            if not page.has_more or page.cursor in (None, place):
                break
            place = page.cursor
        return found

    def history(self, job_id: str) -> list[Event]:
        """Return the newest events of one job, oldest first; the place stays, and nothing is offered to the inbox.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        page = self._transport.send(list_events(job_id=job_id))
        return [event for event in reversed(page.events) if event.job.id == job_id]

    def start_over(self, error: APIError) -> None:
        """Go on from the oldest place that is left: the log was pruned, or the store behind it is a new one.

        Raises:
            VideoTranslationError: the log could not be read.
        """
        with self._reading:
            place = self._intake.log_broke(self._cursor, error) or self._end()
            with self._moving:
                self._cursor = place
            self._read_on()  # what it still holds, before what is missing is given up
        self._on_lost()

    def _end(self) -> str:
        newest = self._transport.send(list_events(limit=1))
        return newest.events[0].id if newest.events else _BEGINNING

    def _ask_once(self, question: Operation[EventPage]) -> EventPage:
        """Ask without repetition: somebody waits, and does without the answer where none comes."""
        return self._transport.send(question, options=Options(max_retries=0))

    def _read_on(self) -> int:
        found, place = 0, self._cursor
        while place is not None:
            page = self._transport.send(list_events(place))
            found += sum([self._intake.read(event) for event in page.events])
            moved = page.cursor not in (None, place)
            place = page.cursor or place
            self.advance(place)
            if not (page.has_more and moved):
                break
        return found


def _says_that_there_is_none(error: APIError) -> bool:
    return error.status in (400, 404, 405, 410)


def _lies_behind(cursor: str, other: str) -> bool:
    """Whether `cursor` is a place before `other`; where that cannot be told, it is not."""
    place, elsewhere = _position(cursor), _position(other)
    return place is not None and elsewhere is not None and place < elsewhere


def _is_far(cursor: str, other: str) -> bool:
    place, elsewhere = _position(cursor), _position(other)
    return place is not None and elsewhere is not None and elsewhere - place >= _JUMP


def _position(cursor: str) -> int | None:
    number = cursor.removeprefix(_CURSOR)
    return int(number) if cursor.startswith(_CURSOR) and number.isascii() and number.isdigit() else None
