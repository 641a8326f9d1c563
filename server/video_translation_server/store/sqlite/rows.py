"""One statement over many rows: the rows are bound as a list of VALUES, in lots of a few sizes.

A row so costs half of what it costs as JSON that SQLite takes apart again, and the statements of each size stay
prepared (docs/decisions/0022-what-a-delivery-costs.md). What the statement says is its module's business; it changes
rows `OR FAIL`: what fails takes its whole verb back (`writer`), so that SQLite need not keep each page as it was before
the statement, which costs up to a tenth of it.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import apsw

SIZES = (64, 16, 4, 1)
"""Rows of a lot, the largest first. A statement of more than 16 KiB apsw would prepare anew each time."""


class Rows:
    """A statement in which `{rows}` stands for the list of rows."""

    def __init__(self, text: str, *, columns: int, last: str = "?") -> None:
        """`columns` is how many values each row has, bound in their order; `last` what stands for the last of them."""
        self._text = text
        self._row = f"({', '.join(['?'] * (columns - 1) + [last])})"

    @cached_property
    def lots(self) -> dict[int, str]:
        """The statement for each size of a lot."""
        return {size: self._text.format(rows=", ".join([self._row] * size)) for size in SIZES}

    def execute(self, connection: apsw.Connection, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Run it for these rows; what it returns, of all of them."""
        returned: list[Any] = []
        for lot in self._cut(rows):
            returned += connection.execute(self.lots[len(lot)], tuple(chain.from_iterable(lot)))
        return returned

    def insert_selected(self, connection: apsw.Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Run it, an INSERT of what it selects for these rows; how many it has inserted."""
        inserted = 0
        for lot in self._cut(rows):
            connection.execute(self.lots[len(lot)], tuple(chain.from_iterable(lot)))
            inserted += connection.changes()
        return inserted

    def insert(self, connection: apsw.Connection, rows: Sequence[Sequence[Any]]) -> range:
        """Run it, an INSERT into a table whose row numbers only grow, for these rows; their numbers.

        RETURNING would cost as much as the insert. By `OR FAIL`, those before one that fails are in the table and count
        as changed.

        Raises:
            ClashError: One of them clashes with what the table has, or with another of them.
        """
        last = 0
        for lot in self._cut(rows):
            try:
                connection.execute(self.lots[len(lot)], tuple(chain.from_iterable(lot)))
            except apsw.ConstraintError as error:
                if error.extendedresult != apsw.SQLITE_CONSTRAINT_UNIQUE:  # type: ignore[attr-defined]  # documented, not typed
                    raise
                raise ClashError(lot[connection.changes()][0]) from error
        if rows:
            last = connection.last_insert_rowid()
        return range(last - len(rows) + 1, last + 1)

    def _cut(self, rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
        begin = 0
        for size in SIZES:
            while len(rows) - begin >= size:
                yield rows[begin : begin + size]
                begin += size


class ClashError(Exception):
    """A row could not be inserted; `key` is its first value, that another row has already."""

    def __init__(self, key: Any) -> None:
        super().__init__(key)
        self.key = key
