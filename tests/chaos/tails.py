"""The server's event log, read by cursor from its beginning and from where each endpoint came to be."""

from dataclasses import dataclass, field

from tests.chaos.api import Api
from tests.chaos.receivers import Receiver
from tests.chaos.record import Logged, Record
from tests.chaos.verdict import ENDINGS

BEGINNING = "cur_0"


@dataclass(slots=True)
class _Tail:
    cursor: str
    events: list[Logged] = field(default_factory=list)


class Tails:
    """Keeps the record's `log` and `owed` up to date."""

    def __init__(self, api: Api, record: Record) -> None:
        """Nothing is read until `read`."""
        self._api = api
        self._record = record
        # Endpoints that were made at the same place of the log share what is read from there.
        self._tails = {BEGINNING: _Tail(BEGINNING)}
        self._followed: list[tuple[Receiver, _Tail]] = []

    def follow(self, receiver: Receiver, cursor: str) -> None:
        """From `cursor` on, the receiver's endpoint is owed what it subscribed to."""
        self._followed.append((receiver, self._tails.setdefault(cursor, _Tail(cursor))))

    async def read(self) -> None:
        """Read what the log has now."""
        for tail in self._tails.values():
            found, tail.cursor = await self._api.log_after(tail.cursor)
            tail.events += found
        self._record.log = self._tails[BEGINNING].events
        self._record.owed = {
            receiver.endpoint: [
                event for event in tail.events if event.status in ENDINGS or not receiver.profile.only_endings
            ]
            for receiver, tail in self._followed
        }
