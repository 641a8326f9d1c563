"""Endpoints as claims need them, remembered from one claim to the next.

Reading them anew was a third of a claim's cost. What is remembered is good for as long as the file's mark of it is the
same, which every change of it sets anew (docs/decisions/0043-remembered-endpoints.md).
"""

import apsw
import msgspec

from video_translation_server.store.base import records

MOST = 4096
"""Endpoints that are remembered; with one more, all are forgotten."""

_MARK = "SELECT mark FROM recipients"

_ONE = f"SELECT max_in_flight, strain, rate_limit, is_callback, {records.RECIPIENT} FROM endpoints WHERE n = ?"


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """An endpoint that deliveries go to.

    Attributes:
        most: Deliveries under way to it at a time, before strain; None where it has no limit of its own.
        strain: How many times that number is halved.
        rate: Deliveries per second at most.
        record: What an attempt needs of it.
    """

    most: int | None
    strain: int
    rate: float | None
    record: records.Recipient

    def room(self, per_endpoint: int) -> int:
        """How many may be under way to it at a time."""
        return max(1, (per_endpoint if self.most is None else self.most) >> self.strain)


class Recipients(dict[int, Recipient]):
    """The endpoints of one file by row number, read where they are not remembered.

    For the connection that writes to it, within one transaction: `known` is to be asked in each.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        """Remember nothing yet."""
        super().__init__()
        self._connection = connection
        self._mark: int | None = None
        self._passing: list[int] = []

    def known(self) -> "Recipients":
        """What is good in this transaction."""
        mark = self._connection.execute(_MARK).get
        if mark != self._mark or len(self) > MOST:
            self._mark = mark
            self.clear()
        while self._passing:
            self.pop(self._passing.pop(), None)
        return self

    def __missing__(self, number: int) -> Recipient:
        [(most, strain, rate, is_callback, *record)] = self._connection.execute(_ONE, (number,))
        self[number] = found = Recipient(most, strain, rate, records.recipient(record))
        if is_callback:
            self._passing.append(number)
        return found
