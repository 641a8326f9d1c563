"""Rows as parameters: a batch of any size is a few arrays, so that one statement serves for one row and for a thousand.

Which columns there are is the business of the noun modules.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class Rows:
    """The columns of a batch, by name and type; a statement selects from them as from a table."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.names = ", ".join(columns)
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), start=1))
        self.table = f"unnest({arrays}) WITH ORDINALITY AS given({self.names}, ord)"
        """To be written after FROM; `ord` is the row's place in the batch, from 1."""
        self.count = len(columns)

    def of(self, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The parameters for these rows."""
        return [[row[column] for row in rows] for column in range(self.count)]
