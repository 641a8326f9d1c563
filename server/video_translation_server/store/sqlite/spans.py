"""Row numbers in spans of 4,096: how the rows of one owner are found by an index that grows at its end.

An index that is ordered by owner is written all over: of each row another page, which is most of what a commit writes.
One by (span, owner) is written in the same few pages, and is read span by span (decision 0039). Whose rows they are is
the caller's business.
"""

from typing import Any

import apsw

BITS = 12
"""A row's span is its number without so many of its bits."""


def newest_first(
    connection: apsw.Connection, statement: str, values: dict[str, Any], *, of: tuple[str, str]
) -> list[Any]:
    """The first `limit` + 1 rows below the number `before`, from the spans that have any, the newest first.

    Args:
        connection: In a snapshot or not: numbers do not change.
        statement: A query for one span's rows, the newest first, with `:span`, `:before` and `:limit`.
        values: Bound to it, `before` and `limit` among them.
        of: The table and its column of row numbers.
    """
    table, column = of
    first = connection.execute(f"SELECT min({column}) FROM {table}").get
    last = connection.execute(f"SELECT max({column}) FROM {table}").get
    found: list[Any] = []
    if first is None or last is None:
        return found
    most = values["limit"] + 1
    for span in range(min(values["before"] - 1, last) >> BITS, (first >> BITS) - 1, -1):
        found += connection.execute(statement, values | {"span": span}).fetchall()
        if len(found) >= most:
            break
    return found[:most]
