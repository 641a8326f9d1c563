from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from examples.orders import Orders
from video_translation_client import Event, InboxError, InboxState, JobSnapshot
from video_translation_client._durable import APPLICATION_ID, VERSION, SQLiteInbox
from video_translation_client._inbox import Inbox

DAY = 86_400.0
STATUSES = ("pending", "running", "completed")


def event(
    job: str, sequence: int | None, *, kind: str = "video_translate.running", tag: str = "", status: str | None = None
) -> Event:
    status = status or STATUSES[min(sequence or 2, 3) - 1]
    event_id = f"evt_{job}_{sequence}{tag}"
    data = {"video_translate_id": job, "sequence": sequence, "status": status}
    raw = {"event_id": event_id, "event_type": kind, "event_data": data}
    return Event.from_raw(raw)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(path: Path, clock: Clock) -> Iterator[SQLiteInbox]:
    inbox = SQLiteInbox(path, now=clock)
    yield inbox
    inbox.close()


def reopened(inbox: SQLiteInbox, path: Path) -> InboxState:
    inbox.close()
    with closing(SQLiteInbox(path)) as again:
        return again.load()


def test_a_new_inbox_knows_nothing(inbox: SQLiteInbox) -> None:
    assert inbox.load() == InboxState(None, {}, [], [])


def test_it_tells_which_jobs_went_on(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    inbox.save(keep=[], done=[event("a", 1), event("a", 2), event("b", 2), event("b", 3)], cursor=None)
    state = reopened(inbox, path)
    assert (state.sequences, state.going_on) == ({"a": 2, "b": 3}, {"a"})


def test_what_was_stored_and_not_handled_comes_back_in_its_order(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    inbox.save(keep=[event("a", 1), event("b", 1), event("a", 2)], done=[], cursor=None)
    inbox.save(keep=[], done=[event("a", 1)], cursor="cur_7")
    state = reopened(inbox, path)
    assert [waiting.id for waiting in state.waiting] == ["evt_b_1", "evt_a_2"]
    assert state.waiting[1] == event("a", 2)
    assert state.waiting[1].raw == event("a", 2).raw
    assert (state.sequences, state.cursor) == ({"a": 1}, "cur_7")


def test_the_same_event_or_transition_is_stored_once(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    inbox.save(keep=[event("a", 1), event("a", 1)], done=[], cursor=None)
    inbox.save(keep=[event("a", 1), event("a", 1, tag="again")], done=[], cursor=None)
    assert [waiting.id for waiting in reopened(inbox, path).waiting] == ["evt_a_1"]


def test_handling_a_transition_lets_go_of_those_before_it(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    inbox.save(keep=[event("a", 1), event("a", 3)], done=[event("a", 3), event("a", 2)], cursor=None)
    state = reopened(inbox, path)
    assert (state.waiting, state.sequences) == ([], {"a": 3})


def test_an_end_with_the_sequence_at_which_the_job_went_on_outlives_the_handling_of_what_was_before(
    inbox: SQLiteInbox, path: Path
) -> None:
    """A service that was set back tells it while the callback of the other event still runs; then we crash."""
    running, failed = event("a", 2), event("a", 2, tag="end", status="failed")
    inbox.load()
    inbox.save(keep=[running], done=[], cursor=None)
    inbox.save(keep=[failed], done=[], cursor=None)
    inbox.save(keep=[], done=[running], cursor=None)
    inbox.close()
    again = SQLiteInbox(path)
    state = again.load()
    assert ([waiting.id for waiting in state.waiting], state.going_on) == ([failed.id], {"a"})
    again.save(keep=[running], done=[failed], cursor=None)
    assert reopened(again, path) == InboxState(None, {"a": 2}, [], [])


def test_events_that_are_no_transition_are_remembered_by_their_id(inbox: SQLiteInbox, path: Path) -> None:
    notice = event("a", None, kind="delivery.exhausted")
    progress = event("a", 2, kind="video_translate.progress", tag="p")
    inbox.load()
    inbox.save(keep=[notice, progress], done=[notice], cursor=None)
    state = reopened(inbox, path)
    assert (state.event_ids, state.waiting, state.sequences) == ([notice.id], [progress], {})


def test_a_failure_stores_nothing_of_it(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    bad = replace(event("b", 1), id="\ud800")  # no UTF-8 can hold it
    with pytest.raises(UnicodeEncodeError):
        inbox.save(keep=[event("a", 1), bad], done=[event("c", 1)], cursor="cur_1")
    inbox.save(keep=[event("d", 1)], done=[], cursor=None)
    state = reopened(inbox, path)
    assert ([waiting.job.id for waiting in state.waiting], state.sequences, state.cursor) == (["d"], {}, None)


def test_a_full_disk_stores_nothing_and_the_inbox_goes_on_when_there_is_room(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    assert inbox._opened is not None
    (pages,) = inbox._opened.execute("PRAGMA page_count").fetchone()
    inbox._opened.execute(f"PRAGMA max_page_count = {pages + 2}")
    large = [replace(event("a", number), raw={"event_type": "x", "pad": "x" * 20_000}) for number in range(1, 9)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        inbox.save(keep=large, done=[event("c", 1)], cursor=None)
    inbox._opened.execute("PRAGMA max_page_count = 100000")
    inbox.save(keep=[event("b", 1)], done=[], cursor=None)
    state = reopened(inbox, path)
    assert ([waiting.job.id for waiting in state.waiting], state.sequences) == (["b"], {})


def test_every_commit_waits_for_the_disk(inbox: SQLiteInbox) -> None:
    inbox.load()
    assert inbox._opened is not None
    pragmas = {name: inbox._opened.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_jobs_that_ended_long_ago_go_in_small_steps(inbox: SQLiteInbox, clock: Clock) -> None:
    inbox.load()
    ended = [event(f"e{number}", 3) for number in range(450)]
    inbox.save(keep=[], done=[*ended, event("open", 2), event("note", None)], cursor=None)
    clock.now += 31 * DAY
    assert inbox._opened is not None
    left = []
    for _ in range(4):
        inbox.save(keep=[], done=[], cursor="cur_1")
        left.append(inbox._opened.execute("SELECT count(*) FROM jobs").fetchone()[0])
    assert left == [251, 51, 1, 1]
    assert inbox._opened.execute("SELECT count(*) FROM handled").fetchone() == (0,)
    clock.now += 400 * DAY
    inbox.save(keep=[], done=[], cursor="cur_1")
    assert inbox._opened.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_a_second_client_is_told_that_the_inbox_is_taken(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    with pytest.raises(InboxError, match="in use by another client"):
        SQLiteInbox(path).load()
    inbox.close()
    with closing(SQLiteInbox(path)) as again:
        again.load()


def test_a_second_process_is_told_that_the_inbox_is_taken(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    code = "import sys, video_translation_client as v; v.VideoTranslationClient(inbox=sys.argv[1])"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"InboxError: the inbox {path} is in use by another client" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("content", [b"orders\n" * 100, b"S", b"SQLite format 3\0" + bytes(84)])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InboxError, match="is not an inbox of this client"):
        SQLiteInbox(path).load()
    assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == ["inbox.db"]


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE orders (id)")
    before = path.read_bytes()
    with pytest.raises(InboxError, match="is not an inbox of this client"):
        SQLiteInbox(path).load()
    assert path.read_bytes() == before


def test_an_inbox_of_a_newer_version_is_refused_and_left_as_it_is(inbox: SQLiteInbox, path: Path) -> None:
    inbox.load()
    inbox.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(InboxError, match=r"newer version .*upgrade"):
        SQLiteInbox(path).load()
    assert path.read_bytes() == before


def test_an_inbox_of_the_first_version_goes_on_with_what_it_holds(path: Path) -> None:
    running, done = event("a", 2), event("b", 3)
    with closing(SQLiteInbox(path)) as inbox:
        inbox.load()
        inbox.save(keep=[running, done], done=[], cursor="cur_5")
    with closing(sqlite3.connect(path)) as first:
        first.execute("DROP INDEX waiting_by_job")
        first.execute("ALTER TABLE waiting DROP COLUMN ended")
        first.execute("CREATE UNIQUE INDEX waiting_by_job ON waiting (job_id, sequence) WHERE sequence IS NOT NULL")
        first.execute("PRAGMA user_version = 1")
        first.commit()
    inbox = SQLiteInbox(path)
    assert inbox.load() == InboxState("cur_5", {}, [], [running, done])
    failed, again = event("a", 2, tag="end", status="failed"), event("b", 3, tag="again")
    inbox.save(keep=[failed, again], done=[], cursor=None)
    assert reopened(inbox, path).waiting == [running, done, failed]


def test_the_ledger_of_the_examples_books_an_end_with_a_sequence_that_it_has_over_a_restart(path: Path) -> None:
    """A service that was set back tells it; the ledger is an inbox, too."""
    released: list[Event] = []

    def started() -> tuple[Orders, Inbox]:
        orders, inbox = Orders(str(path)), Inbox(released.append)
        state = orders.load()
        inbox.restore(state.sequences, state.event_ids, state.going_on)
        return orders, inbox

    for told in (
        [event("a", 1), event("a", 2), event("b", 3)],
        [event("a", 2, tag="again"), event("a", 2, tag="end", status="failed"), event("b", 3, tag="again")],
        [event("a", 2, tag="twice", status="failed")],
    ):
        orders, inbox = started()
        with closing(orders):
            for one in told:
                inbox.offer(one, pushed=True)
            while released:
                orders.book(released.pop(0))
    with closing(sqlite3.connect(path)) as booked:
        rows = booked.execute("SELECT job_id, sequence, status FROM ledger ORDER BY entry").fetchall()
    assert rows == [("a", 1, "pending"), ("a", 2, "running"), ("b", 3, "completed"), ("a", 2, "failed")]


def test_a_damaged_inbox_says_so(path: Path) -> None:
    header = bytearray(b"SQLite format 3\0" + bytes(4096))
    header[68:72] = APPLICATION_ID.to_bytes(4, "big")
    path.write_bytes(header)
    with pytest.raises(InboxError, match="cannot be used"):
        SQLiteInbox(path).load()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InboxError, match="does its folder exist"):
        SQLiteInbox(tmp_path / "nowhere" / "inbox.db").load()
    with pytest.raises(InboxError, match="cannot be read"):
        SQLiteInbox(tmp_path).load()


def test_what_no_version_can_read_is_left_in_the_file(
    inbox: SQLiteInbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.load()
    odd = Event("evt_odd", "x", None, JobSnapshot("a", "running", "pending"), {"no": "event"})
    inbox.save(keep=[odd, event("a", 1)], done=[], cursor=None)
    assert [waiting.id for waiting in reopened(inbox, path).waiting] == ["evt_a_1"]
    assert "evt_odd in the durable inbox cannot be read" in caplog.text


def test_it_is_loaded_before_it_is_written(inbox: SQLiteInbox) -> None:
    with pytest.raises(InboxError, match="before it was loaded"):
        inbox.save(keep=[], done=[], cursor="cur_1")
