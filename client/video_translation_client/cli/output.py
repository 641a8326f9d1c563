"""What the commands print: JSON lines for programs, aligned text for people, and never a control character.

Live tables and bars are in `display`; which fields a thing has is in `records`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Output:
    """Prints either JSON, one object per line, or text.

    Answers go to stdout, remarks to stderr; colours only to a terminal (click takes them out elsewhere).
    """

    as_json: bool

    def show(self, record: Mapping[str, Any], text: str) -> None:
        """Print one answer."""
        click.echo(json.dumps(record, ensure_ascii=False) if self.as_json else text)

    def show_all(self, records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Print several answers of one kind: a line each, as a table where people read."""
        if self.as_json:
            for record in records:
                self.show(record, "")
            return
        rows = [tuple(column.upper() for column in columns)]
        rows += [tuple(cell(record.get(column)) for column in columns) for record in records]
        widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
        for row in rows:
            click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def show_fields(self, record: Mapping[str, Any]) -> None:
        """Print one answer, a line per field where people read."""
        width = max(map(len, record), default=0)
        lines = (f"{name.ljust(width)}  {cell(value)}".rstrip() for name, value in record.items())
        self.show(record, "\n".join(lines))

    def remark(self, text: str) -> None:
        """Say something on stderr that is no answer; programs that read JSON are not told."""
        if not self.as_json:
            click.echo(text, err=True)


def cell(value: Any) -> str:
    """Return a value as one line of harmless text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def harmless(text: str) -> str:
    """Escape what a terminal would act on: the text comes from elsewhere."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
