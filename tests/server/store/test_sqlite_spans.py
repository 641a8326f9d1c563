"""Reading span by span finds what one query over the whole table would, in both directions, whatever gaps there are."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from video_translation_server.model import Event
from video_translation_server.store import EventFilter
from video_translation_server.store.sqlite import SqliteStore, log, spans

SIZE = 1 << spans.BITS
NUMBERS = st.one_of(
    st.integers(1, 3 * SIZE),
    st.sampled_from([SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 10**12, 10**12 + 1]),
)
SPAN = f"SELECT n FROM t WHERE n >> {spans.BITS} = :span AND owner = :owner"  # noqa: S608  (a number of ours)
NEWEST = f"{SPAN} AND n < :before ORDER BY n DESC LIMIT :most"
OLDEST = f"{SPAN} AND n > :after ORDER BY n LIMIT :most"


@pytest.fixture(scope="module")
def connection() -> Iterator[apsw.Connection]:
    made = apsw.Connection(":memory:")
    made.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, owner INTEGER)")
    made.execute(f"CREATE INDEX t_of_second ON t (n >> {spans.BITS}) WHERE owner = 2")
    yield made
    made.close()


@given(
    rows=st.dictionaries(NUMBERS, st.integers(1, 2), max_size=40),
    begin=st.one_of(NUMBERS, st.just(0)),
    most=st.integers(1, 6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_directions_find_what_a_look_at_all_rows_finds(
    connection: apsw.Connection, rows: dict[int, int], begin: int, most: int
) -> None:
    connection.execute("DELETE FROM t")
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows.items())
    of_owner = sorted(number for number, owner in rows.items() if owner == 1)
    values = {"owner": 1, "most": most}

    older = spans.newest_first(connection, NEWEST, values | {"before": begin}, of="t.n", before=begin, most=most)
    assert [row[0] for row in older] == [number for number in reversed(of_owner) if number < begin][:most]

    newer = spans.oldest_first(connection, OLDEST, values | {"after": begin}, of="t.n", after=begin, most=most)
    assert [row[0] for row in newer] == [number for number in of_owner if number > begin][:most]


def test_a_gap_of_a_million_spans_costs_one_look(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM t")
    connection.execute("INSERT INTO t VALUES (1, 1), (?, 2), (?, 1)", (10**11, 2 * 10**11))
    looks = []
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: looks.append(event["sql"]))
    values = {"owner": 1, "most": 10, "after": 0}
    found = spans.oldest_first(connection, OLDEST, values, of="t.n", after=0, most=10)
    connection.trace_v2(0, None)
    assert [row[0] for row in found] == [1, 2 * 10**11]
    assert len(looks) <= 7


def test_spans_without_a_row_of_an_index_of_a_part_are_not_looked_into(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM t")
    connection.executemany("INSERT INTO t VALUES (?, 1)", [(span * SIZE + 1,) for span in range(100)])
    connection.execute("INSERT INTO t VALUES (2, 2), (?, 2)", (50 * SIZE,))
    looks = []
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: looks.append(event["sql"]))
    before, most = 100 * SIZE, 10
    values = {"owner": 2, "most": most, "before": before}
    found = spans.newest_first(connection, NEWEST, values, of="t.n", before=before, most=most, only="owner = 2")
    connection.trace_v2(0, None)
    assert [row[0] for row in found] == [50 * SIZE, 2]
    assert len(looks) == 5, "two spans, each found and read, and nothing before them"


class Meddled:
    """A reader's connection, beside which the log is written on as soon as the first span has been read."""

    def __init__(self, connection: apsw.Connection, write: Callable[[], None]) -> None:
        self._connection = connection
        self._write: Callable[[], None] | None = write

    def execute(self, statement: str, values: Any = None) -> Any:
        found = self._connection.execute(statement, values)
        if ":span" not in statement or self._write is None:
            return found
        rows, write, self._write = found.fetchall(), self._write, None
        write()
        return SimpleNamespace(fetchall=lambda: rows)


async def test_who_reads_the_log_over_the_end_of_a_span_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit fills the span that has just been read, and goes on in the next one."""
    store = await SqliteStore.open(tmp_path / "store.db")
    writing = apsw.Connection(str(tmp_path / "store.db"))
    begin = (await store.last_position() >> spans.BITS) + 1 << spans.BITS

    def write(first: int, last: int) -> None:
        with writing:
            writing.executemany(
                "INSERT INTO events (position, id, workspace_id, type, created_at, body, sequence) "
                "VALUES (?1, 'evt_' || ?1, 'ws', 'video_translate.pending', 0, x'7b7d', 1)",
                [(begin + number,) for number in range(first, last)],
            )

    write(0, SIZE - 5)
    read = log.events_after

    def meddled(connection: apsw.Connection, *asked: Any) -> tuple[list[Event], int]:
        beside = Meddled(connection, lambda: write(SIZE - 5, SIZE + 5))
        return read(cast("apsw.Connection", beside), *asked)

    monkeypatch.setattr(log, "events_after", meddled)
    first, position = await store.events_after("ws", begin + SIZE - 10, limit=100, wanted=EventFilter())
    monkeypatch.undo()
    rest, _ = await store.events_after("ws", position, limit=100, wanted=EventFilter())
    assert [event.position - begin for event in (*first, *rest)] == list(range(SIZE - 9, SIZE + 5))
    writing.close()
    await store.close()
