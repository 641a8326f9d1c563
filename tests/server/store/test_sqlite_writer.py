"""Where the embedded engine's verbs run: brief ones in the event loop while the disk is fast, others beside it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from video_translation_server.errors import StoreError
from video_translation_server.probe import unobserved
from video_translation_server.store.base import Bell
from video_translation_server.store.sqlite.database import BUSY_TIMEOUT
from video_translation_server.store.sqlite.writer import IMPATIENT_FOR, LOT, PATIENCE, STEP, Writer

Verb = Callable[[apsw.Connection], str]


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def where(connection: apsw.Connection) -> str:
    """A verb that tells who runs it."""
    connection.execute("INSERT INTO runs VALUES (?)", (threading.current_thread().name,))
    return threading.current_thread().name


@asynccontextmanager
async def writer(file: Path, elapsed: Stopwatch | None = None) -> AsyncIterator[Writer]:
    """A writer on a database of its own."""
    connection = apsw.Connection(str(file))
    connection.pragma("journal_mode", "WAL")
    connection.execute("CREATE TABLE runs (thread TEXT CHECK (thread != 'bad'))")
    made = Writer(connection, unobserved, elapsed=elapsed or Stopwatch())
    try:
        yield made
    finally:
        await made.close()


def rows(file: Path) -> list[str]:
    """What was committed."""
    connection = apsw.Connection(str(file))
    found = [str(row[0]) for row in connection.execute("SELECT thread FROM runs")]
    connection.close()
    return found


LOOP, THREAD = threading.main_thread().name, "store-writer"


async def test_brief_verbs_run_in_the_event_loop_and_others_beside_it(tmp_path: Path) -> None:
    async with writer(tmp_path / "a.db") as made:
        assert await asyncio.gather(*(made.run(where, brief=True) for _ in range(3))) == [LOOP] * 3
        assert await made.run(where) == THREAD
    assert rows(tmp_path / "a.db") == [LOOP] * 3 + [THREAD]


async def test_brief_verbs_and_others_share_a_commit(tmp_path: Path) -> None:
    commits: list[str] = []
    async with writer(tmp_path / "a.db") as made:
        made._probe = commits.append
        asked = [made.run(where, brief=number % 2 == 0) for number in range(100)]
        assert await asyncio.gather(*asked) == [THREAD] * 100
    assert commits.count("after commit") == 1


async def test_what_would_keep_the_event_loop_too_long_is_left_to_the_thread(tmp_path: Path) -> None:
    watch, commits = Stopwatch(), list[str]()

    def heavy(connection: apsw.Connection) -> str:
        watch.seconds += 0.3 * STEP
        return where(connection)

    async with writer(tmp_path / "a.db", watch) as made:
        made._probe = commits.append
        first = await asyncio.gather(*(made.run(heavy, brief=True) for _ in range(40)))
        assert first == [LOOP] * LOT + [THREAD] * (40 - LOT), "it could not know"
        for _ in range(3):
            later = await asyncio.gather(*(made.run(heavy, brief=True) for _ in range(40)))
        assert later == [LOOP] * 3 + [THREAD] * 37, "now it does"
        for _ in range(3):
            light = await asyncio.gather(*(made.run(where, brief=True) for _ in range(40)))
        assert light == [LOOP] * 40
    assert commits.count("after commit") == 7, "each in one transaction"


async def test_a_verb_that_fails_in_the_threads_part_of_a_batch_fails_alone(tmp_path: Path) -> None:
    watch = Stopwatch()

    def heavy(connection: apsw.Connection) -> str:
        watch.seconds += STEP
        return where(connection)

    def bad(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO runs VALUES ('half'), ('bad')")
        raise AssertionError("the constraint has failed")

    async with writer(tmp_path / "a.db", watch) as made:
        asked = [made.run(verb, brief=True) for verb in (*[heavy] * LOT, bad, heavy)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers.pop(LOT), StoreError)
    assert answers == [THREAD] * (LOT + 1), "run anew, each by itself"
    assert rows(tmp_path / "a.db") == [THREAD] * (LOT + 1)


async def test_a_verb_that_runs_out_harms_nobody_else(tmp_path: Path) -> None:
    def empty(connection: apsw.Connection) -> str:
        return next(iter(connection.execute("SELECT 'x' WHERE FALSE")))[0]  # type: ignore[no-any-return]

    async with writer(tmp_path / "a.db") as made:
        for brief in (True, False):
            with pytest.raises(RuntimeError, match="run out"):
                await made.run(empty, brief=brief)
            assert await made.run(where, brief=brief) == (LOOP if brief else THREAD)


async def test_what_waits_while_a_commit_is_under_way_is_committed_together(tmp_path: Path) -> None:
    commits: list[str] = []
    async with writer(tmp_path / "a.db") as made:
        made._probe = commits.append
        first = asyncio.ensure_future(made.run(where, brief=True))
        await asyncio.sleep(0)
        later = [asyncio.ensure_future(made.run(where, brief=True)) for _ in range(50)]
        await asyncio.gather(first, *later)
    assert commits.count("after commit") == 2


async def test_on_a_slow_disk_verbs_leave_the_event_loop_for_a_while(tmp_path: Path) -> None:
    watch = Stopwatch()

    def slow(connection: apsw.Connection) -> str:
        watch.seconds += PATIENCE * 1.1
        return where(connection)

    async with writer(tmp_path / "a.db", watch) as made:
        assert await made.run(slow, brief=True) == LOOP
        assert await made.run(where, brief=True) == THREAD
        watch.seconds += IMPATIENT_FOR - 0.1
        assert await made.run(where, brief=True) == THREAD
        watch.seconds += 0.2
        assert await made.run(where, brief=True) == LOOP


@pytest.mark.parametrize("brief", [True, False])
async def test_a_verb_that_fails_fails_alone(brief: bool, tmp_path: Path) -> None:
    def bad(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO runs VALUES ('half'), ('bad')")
        raise AssertionError("the constraint has failed")

    async with writer(tmp_path / "a.db") as made:
        asked = [made.run(verb, brief=brief) for verb in (where, bad, where)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [answers[0], answers[2]] == [THREAD, THREAD], "which runs anew what has failed"
    assert isinstance(answers[1], StoreError)
    assert rows(tmp_path / "a.db") == [THREAD, THREAD]


@pytest.mark.parametrize("brief", [True, False])
async def test_where_the_commit_fails_everybody_is_told_and_the_writer_goes_on(brief: bool, tmp_path: Path) -> None:
    bell, rung = Bell(), asyncio.Event()
    async with writer(tmp_path / "a.db") as made:
        made._connection.set_commit_hook(lambda: True)
        with bell.listen(rung):
            answers = await asyncio.gather(
                *(made.run(where, bell, brief=brief) for _ in range(2)), return_exceptions=True
            )
        assert [type(answer) for answer in answers] == [StoreError, StoreError]
        assert not rung.is_set()
        made._connection.set_commit_hook(None)
        assert await made.run(where, brief=brief) == (LOOP if brief else THREAD)
    assert len(rows(tmp_path / "a.db")) == 1


async def test_a_verb_that_is_torn_off_in_the_event_loop_is_not_run_twice(tmp_path: Path) -> None:
    class Torn(BaseException):
        """What ends a step of the event loop anywhere, as Ctrl-C does."""

    def torn(connection: apsw.Connection) -> str:
        where(connection)
        raise Torn

    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with writer(tmp_path / "a.db") as made:
        asked = [made.run(verb, brief=True) for verb in (*[where] * LOT, torn)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreError}
        assert await made.run(where, brief=True) == LOOP
    assert [type(error) for error in told] == [Torn]
    assert rows(tmp_path / "a.db") == [LOOP]


@pytest.mark.parametrize("brief", [True, False])
async def test_where_no_transaction_can_begin_everybody_is_told_and_the_writer_goes_on(
    brief: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_translation_server.store.sqlite.writer.BUSY_TIMEOUT", 0)
    bell, rung = Bell(), asyncio.Event()
    async with writer(tmp_path / "a.db") as made:
        other = apsw.Connection(str(tmp_path / "a.db"))
        other.execute("BEGIN IMMEDIATE")
        with bell.listen(rung):
            answers = await asyncio.gather(
                *(made.run(where, bell, brief=brief) for _ in range(2)), return_exceptions=True
            )
        assert [type(answer) for answer in answers] == [StoreError, StoreError]
        assert not rung.is_set()
        other.execute("COMMIT")
        other.close()
        assert await made.run(where, brief=brief) == (LOOP if brief else THREAD)


async def test_another_program_that_holds_the_file_holds_up_no_event_loop(tmp_path: Path) -> None:
    async with writer(tmp_path / "a.db") as made:
        other = apsw.Connection(str(tmp_path / "a.db"))
        other.execute("BEGIN IMMEDIATE")
        asked = asyncio.ensure_future(made.run(where, brief=True))
        made._connection.set_busy_timeout(BUSY_TIMEOUT)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asked.done(), "the thread waits for it"
        other.execute("COMMIT")
        other.close()
        assert await asked == THREAD


async def test_closing_commits_what_waits_and_takes_nothing_more(tmp_path: Path) -> None:
    async with writer(tmp_path / "a.db") as made:
        asked = [asyncio.ensure_future(made.run(where, brief=number % 2 == 0)) for number in range(10)]
        await asyncio.sleep(0)
        await made.close()
        assert len(await asyncio.gather(*asked)) == 10
        with pytest.raises(StoreError, match="closed"):
            await made.run(where)
    assert len(rows(tmp_path / "a.db")) == 10


async def test_a_close_that_is_cut_short_still_ends_the_thread(tmp_path: Path) -> None:
    async with writer(tmp_path / "a.db") as made:
        asked = asyncio.ensure_future(made.run(where))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(made.close())
        await asyncio.sleep(0)
        closing.cancel()
        assert await asked == THREAD
        await asyncio.to_thread(made._thread.join)
    assert rows(tmp_path / "a.db") == [THREAD]
