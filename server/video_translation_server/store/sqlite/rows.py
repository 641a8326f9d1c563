"""One statement over many rows: the rows are bound as a list of VALUES, in lots of a few sizes.

A row so costs half of what it costs as JSON that SQLite takes apart again, and the statements of each size stay
prepared (docs/decisions/0022-what-a-delivery-costs.md). What the statement says is its module's business.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import apsw

SIZES = (256, 64, 16, 4, 1)
"""Rows of a lot; the largest that is filled comes first."""


class Rows:
    """A statement in which `{rows}` stands for the list of rows."""

    def __init__(self, text: str, columns: int) -> None:
        """`columns` is how many values each row has; they are bound in their order."""
        self._text = text
        self._row = f"({', '.join('?' * columns)})"

    @cached_property
    def lots(self) -> dict[int, str]:
        """The statement for each size of a lot."""
        return {size: self._text.format(rows=", ".join([self._row] * size)) for size in SIZES}

    def execute(self, connection: apsw.Connection, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Run it for these rows; what it returns, of all of them."""
        returned: list[Any] = []
        begin = 0
        for size, statement in self.lots.items():
            while len(rows) - begin >= size:
                values = tuple(chain.from_iterable(rows[begin : begin + size]))
                returned += connection.execute(statement, values)
                begin += size
        return returned
