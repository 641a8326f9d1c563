"""What the commands print: one JSON document for programs, aligned text for people, and never a control character.

Which fields a thing has is the API's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Output:
    """Prints either one JSON document or text. Answers go to stdout, remarks to stderr."""

    as_json: bool

    def show(self, record: Mapping[str, Any], text: str) -> None:
        """Print one answer."""
        click.echo(json.dumps(record, ensure_ascii=False) if self.as_json else text)

    def show_all(self, records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Print answers of one kind: an array, or a table with these fields as its columns."""
        found = list(records)
        if self.as_json:
            click.echo(json.dumps(found, ensure_ascii=False))
            return
        rows = [tuple(column.upper() for column in columns)]
        rows += [tuple(cell(record.get(column)) for column in columns) for record in found]
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
    """A value as one line of harmless text: what a terminal would act on is escaped."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {cell(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
