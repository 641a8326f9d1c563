"""Row numbers in spans of 4,096: how the rows of one owner are found by an index that grows at its end.

An index that is ordered by owner is written all over: of each row another page, which is most of what a commit writes.
One by (span, owner) is written in the same few pages, and is read span by span (decision 0039). Whose rows they are is
the caller's business.
"""

from collections.abc import Mapping
from typing import Any

import apsw

BITS = 12
"""A row's span is its number without so many of its bits."""


def newest_first(
    connection: apsw.Connection,
    statement: str,
    values: Mapping[str, Any],
    *,
    of: str,
    before: int,
    most: int,
    only: str = "TRUE",
) -> list[Any]:
    """The first `most` rows whose number is below `before`, the newest first.

    Args:
        connection: In a snapshot or not: what is written meanwhile is newer.
        statement: A query for the first rows of one `:span` that are below `before`, the newest first.
        values: Bound to it.
        of: The table and its column of row numbers, as `events.position`.
        before: A number.
        most: Rows, as many as the statement gives at most.
        only: What the rows have in common, in the words of the index by span. Where that is of a part of the table, no
            span is looked into that has none of them.
    """
    found: list[Any] = []
    latest = latest_span(of, only)
    span = before - 1 >> BITS
    while len(found) < most and (span := connection.execute(latest, (span,)).get) is not None:
        found += connection.execute(statement, {**values, "span": span}).fetchall()
        span -= 1
    return found[:most]


def latest_span(of: str, only: str = "TRUE") -> str:
    """The query for the latest span, up to a given one, in which there is a row.

    A log that is opened leaves a gap of many spans (decision 0035).
    """
    table, _, column = of.partition(".")
    return f"SELECT max({column} >> {BITS}) FROM {table} WHERE {only} AND {column} >> {BITS} <= ?"


def oldest_first(
    connection: apsw.Connection,
    statement: str,
    values: Mapping[str, Any],
    *,
    of: str,
    after: int,
    most: int,
    until: int | None = None,
) -> list[Any]:
    """The first `most` rows whose number is above `after`, the oldest first; else as `newest_first`.

    `connection` must be in one snapshot: rows that are written at the end between two looks would be passed over. No
    span is looked into in which there is nothing up to `until`.
    """
    table, _, column = of.partition(".")
    found: list[Any] = []
    nearest = f"SELECT min({column}) FROM {table} WHERE {column} > ?"
    while len(found) < most and (row := connection.execute(nearest, (after,)).get) is not None:
        span = row >> BITS
        if until is not None and row > until:
            break
        found += connection.execute(statement, {**values, "span": span}).fetchall()
        after = (span + 1 << BITS) - 1
    return found[:most]
