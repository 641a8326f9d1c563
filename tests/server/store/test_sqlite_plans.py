"""What the hot statements cost in SQLite: they go through their indexes, and a backlog does not make them dearer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.server.store.builders import LINKS, NOW, created, endpoint, settlement
from video_translation_server import lifecycle
from video_translation_server.ids import random_id
from video_translation_server.model import Claim, Delivered, DeliveryState, Workers
from video_translation_server.store import DeliveryFilter, EventFilter, Retention
from video_translation_server.store.base.rules import HURRIED_AT_ONCE, Rules
from video_translation_server.store.sqlite import (
    claims,
    deliveries,
    endpoints,
    handover,
    jobs,
    line,
    listing,
    log,
    moves,
    pruning,
    recipients,
    requests,
    settlements,
    spans,
    sweeps,
)
from video_translation_server.store.sqlite.database import Database
from video_translation_server.store.sqlite.recipients import Recipients

LARGE = frozenset({"deliveries", "events", "jobs", "attempts", "idempotency"})
BEFORE = "AND position < :position ORDER BY position DESC LIMIT :limit"
HOT: dict[str, tuple[str, set[str]]] = {
    "many jobs": (jobs._MANY, {"sqlite_autoindex_jobs_1"}),
    "page of jobs": (jobs._PAGES["of the workspace"], {"jobs_of_workspace"}),
    "page of jobs that go on": (
        jobs._PAGES["of the workspace, going on"],
        {"jobs_going_on (workspace_id=? AND status=?"},
    ),
    "page of failed jobs": (jobs._PAGES["of the workspace, failed"], {"jobs_failed (workspace_id=?"}),
    "page of completed jobs": (
        jobs._PAGES["of the workspace, completed"],
        {"jobs_completed (<expr>=? AND workspace_id"},
    ),
    "page of all jobs": (jobs._PAGES["of all"], {"PRIMARY KEY (rowid<?)"}),
    "page of all jobs that go on": (
        jobs._PAGES["of all, going on"],
        {"jobs_going_on (workspace_id=? AND status=?", "jobs USING INTEGER PRIMARY KEY"},
    ),
    "page of all failed jobs": (jobs._PAGES["of all, failed"], {"jobs_failed (workspace_id=?"}),
    "page of all completed jobs": (jobs._PAGES["of all, completed"], {"jobs_completed (<expr>=?"}),
    "span of completed jobs": (spans.latest_span("jobs.n", jobs._ONLY_COMPLETED), {"jobs_completed (<expr><?)"}),
    "span of deliveries": (spans.latest_span("deliveries.id"), {"deliveries_in_spans (<expr><?)"}),
    "span of events": (spans.latest_span("events.position"), {"events_in_spans (<expr><?)"}),
    "jobs by status": (
        jobs._COUNTS["of the workspace"],
        {
            "COVERING INDEX jobs_going_on (workspace_id=?",
            "COVERING INDEX jobs_failed (workspace_id=?",
            "COVERING INDEX jobs_of_workspace (workspace_id=?",
        },
    ),
    "jobs going on": (jobs._GOING_ON, {"jobs_going_on"}),
    "due jobs": (line._DUE, {"jobs_due"}),
    "next in line": (line._NEXT, {"jobs_in_line"}),
    "at work": (line._COUNT_BUSY, {"jobs_at_work"}),
    "busy": (line._BUSY, {"jobs_at_work"}),
    "ahead in line": (line._AHEAD, {"COVERING INDEX jobs_in_line"}),
    "before in line": (line._BEFORE, {"COVERING INDEX jobs_in_line"}),
    "answer of a key": (requests._FIND, set()),
    "answers to prune": (requests._PRUNE, {"idempotency_by_age"}),
    "candidates": (claims._CANDIDATES, {"turns_in_order", "deliveries_claimed"}),
    "next due": (claims._NEXT_DUE, {"turns_in_order"}),
    "the first of each": (claims._FIRST_OF_EACH, {"deliveries_ready"}),
    "the first few of each": (claims._FIRST_FEW_OF_EACH, {"deliveries_ready"}),
    "claim": (claims._CLAIM, set()),
    "what an endpoint is": (recipients._ONE, set()),
    "how far ahead": (claims._AHEAD, set()),
    "jobs that move": (moves._STANDING, set()),
    "move": (moves._MOVE, set()),
    "settle": (settlements._SETTLE.lots[16], set()),
    "log attempts": (settlements._LOG_ATTEMPTS.lots[16], set()),
    "release next": (deliveries._RELEASE_NEXT.lots[16], {"deliveries_open"}),
    "enqueue to listed": (deliveries._ENQUEUE_LISTED.lots[16], {"deliveries_open", "endpoints_listed"}),
    "enqueue to listed, leased": (
        deliveries._ENQUEUE_LEASED.lots[16],
        {"deliveries_open", "endpoints_listed", "deliveries_claimed", "t USING INTEGER PRIMARY KEY (rowid=?)"},
    ),
    "what was leased": (handover._LEASED, {"deliveries_of_event"}),
    "whether anybody is due": (claims._DUE, {"turns_in_order"}),
    "enqueue to callback": (deliveries._ENQUEUE_CALLBACK.lots[16], {"deliveries_open", "endpoints_of_job"}),
    "struggling": (deliveries._ANY_STRUGGLING, {"deliveries_struggling"}),
    "supersede": (deliveries._SUPERSEDE, {"deliveries_struggling", "deliveries_open"}),
    "events": (f"{log.select('w', EventFilter())} {BEFORE}", {"events_in_spans (<expr>=? AND workspace_id=?"}),
    "events to begin a sweep behind": (sweeps._BEFORE, {"events_in_spans (<expr>=? AND workspace_id=?"}),
    "events of a step of a sweep": (sweeps._STEP, {"events_in_spans (<expr>=? AND workspace_id=?"}),
    "events of a rare type": (f"{log.select('w', EventFilter(type='t'))} {BEFORE}", {"events_of_rare_types"}),
    "events of a common type": (
        f"{log.select('w', EventFilter(type='video_translate.success'))} {BEFORE}",
        {"events_in_spans (<expr>=? AND workspace_id=?"},
    ),
    "events of a job": (
        f"{log.select('w', EventFilter(type='t', entity_id='e'))} {BEFORE}",
        {"events_of_job", "events_of_batch", "events USING INTEGER PRIMARY KEY (rowid=?)"},
    ),
    "deliveries of an event": (
        listing.select(DeliveryFilter(event_id="e", endpoint_id="p")),
        {"deliveries_of_event"},
    ),
    "deliveries of a job": (
        listing.select(DeliveryFilter(job_id="j", endpoint_id="p", state=DeliveryState.DEAD)),
        {"events_of_job", "deliveries_of_event", "d USING INTEGER PRIMARY KEY (rowid=?)"},
    ),
    "deliveries to an endpoint": (
        listing.select(DeliveryFilter(endpoint_id="p")),
        {"deliveries_in_spans (<expr>=? AND endpoint=?", "d USING INTEGER PRIMARY KEY (rowid=?)"},
    ),
    "dead deliveries": (
        listing.select(DeliveryFilter(endpoint_id="p", state=DeliveryState.DEAD)),
        {"deliveries_dead", "d USING INTEGER PRIMARY KEY (rowid=?)"},
    ),
    "coalesce": (deliveries._COALESCE, {"events_of_job", "deliveries_of_event"}),
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    database = Database(tmp_path / "store.db")
    connection = database.connect(readonly=False)
    handover.Handover(connection)
    yield connection
    connection.close()
    database.close()


def plan(connection: apsw.Connection, statement: str) -> list[str]:
    """The lines of the query plan."""
    blank = [None] * statement.count("?") if "?" in statement else _Blank()
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", blank)]


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_uses_its_indexes_and_scans_no_large_table(connection: apsw.Connection, name: str) -> None:
    statement, wanted = HOT[name]
    lines = plan(connection, statement)
    aliases = {"d": "deliveries", "w": "deliveries", "x": "deliveries", "c": "deliveries"}
    for step in lines:
        words = step.split()
        # An index of a part of the table holds what it names alone.
        if words[0] == "SCAN" and words[-1] != "deliveries_struggling":
            assert aliases.get(words[1], words[1]) not in LARGE, f"{step} in {lines}"
    for index in wanted:
        assert any(index in step for step in lines), f"{index} is not used: {lines}"


@contextmanager
def steps_of(connection: apsw.Connection) -> Iterator[Callable[[], int]]:
    """Counts the steps of SQLite's virtual machine, which depend on no clock."""
    steps = 0

    def profiled(event: dict[str, Any]) -> None:
        nonlocal steps
        steps += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, profiled)
    yield lambda: steps
    connection.trace_v2(0, None)


def fill(connection: apsw.Connection, rows: int, *, names: int = 20) -> None:
    """So many pending deliveries: a third due, a third waiting for a retry, a third behind another one."""
    for number in range(names):
        endpoints.create(connection, endpoint(f"ep_{number}", events=("video_translate.fail",)))
    moves.record(connection, [created("job_1")], random_id)
    connection.execute(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :rows) "
        "INSERT INTO deliveries (event, endpoint, job, state, due_at) SELECT 1, 1 + n % :names, 1000 + n / 3, "
        "iif(n % 3 = 2, 'waiting', 'due'), iif(n % 3 = 2, NULL, :now + iif(n % 3, 1000.0 + n, -n * 0.001)) FROM c",
        {"rows": rows, "names": names, "now": NOW},
    )


def wish(claim_id: int, limit: int = 64, now: float = NOW) -> claims.Wish:
    return claims.Wish(now=now, leased_until=1e9, claim_id=claim_id, limit=limit, per_endpoint=16)


def cycle(connection: apsw.Connection) -> tuple[int, list[Claim]]:
    """What it costs to claim, settle, look ahead and record, and what was claimed."""
    rules = Rules(ids=lambda prefix: f"{prefix}_x", disable_after=1e9)
    with steps_of(connection) as steps:
        held = claims.claim(connection, wish(7), Recipients(connection))
        batch = [settlement(one, Delivered()) for one in held]
        assert settlements.settle(connection, batch, NOW, rules).held == [True] * len(held)
        claims.next_due(connection, NOW)
        moves.record(connection, [created("job_2")], rules.ids)
        return steps(), held


def test_a_hundred_thousand_pending_deliveries_cost_no_more_than_a_few_thousand(tmp_path: Path) -> None:
    cost = {}
    for rows in (3_000, 100_000):
        database = Database(tmp_path / f"{rows}.db")
        connection = database.connect(readonly=False)
        with connection:
            fill(connection, rows)
            cost[rows], held = cycle(connection)
        connection.close()
        database.close()
        assert len(held) == 64
        assert len({one.endpoint_id for one in held}) == 20, "in turns"
    assert cost[100_000] < 1.2 * cost[3_000]


def test_who_runs_next_and_where_one_stands_cost_the_same_however_long_the_line_is(tmp_path: Path) -> None:
    cost, looks = {}, {}
    for rows in (10_000, 100_000):
        database = Database(tmp_path / f"{rows}.db")
        connection = database.connect(readonly=False)
        with connection:
            connection.execute(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :rows) "
                "INSERT INTO jobs (id, workspace_id, status, sequence, version, output_language, request, plan, "
                "created_at, updated_at, progress, lane, rank, seconds) SELECT 'job_' || n, 'ws_default', 'pending', "
                """1, 1, 'Spanish', '{}', '{"pending_seconds":0,"running_seconds":1,"lane":0}', 1, 1, 0, 0, """
                "1000 - n % 10, 1 FROM c",
                {"rows": rows},
            )
            with steps_of(connection) as steps:
                [next_job] = line.due(connection, NOW, 256, Workers(main=1))
                change = lifecycle.advance(next_job, event_id="evt_1", now=NOW, links=LINKS)
                assert moves.record(connection, [change], lambda prefix: f"{prefix}_x") == [True]
                assert line.due(connection, NOW, 256, Workers(main=1)) == []
                cost[rows] = steps()
            middle = jobs.get(connection, "ws_default", f"job_{rows // 2 + 4}")
            with steps_of(connection) as steps:
                place = line.place(connection, middle)
                looks[rows] = steps()
        assert next_job.id == "job_9", "the lowest rank, of equals the first"
        assert place is not None
        assert len(place.ahead) == 1000
        connection.close()
        database.close()
    assert cost[100_000] < 1.2 * cost[10_000]
    assert looks[100_000] < 1.2 * looks[10_000], "also where thousands came at the same instant"


def test_endpoints_that_are_full_or_paused_are_passed_over_without_looking_at_their_backlog(
    connection: apsw.Connection,
) -> None:
    known = Recipients(connection)
    with connection:
        fill(connection, 30_000)
        connection.execute("UPDATE endpoints SET paused_until = ? WHERE n <= 10", (NOW + 60,))
        assert len(claims.claim(connection, wish(1, limit=1000), known)) == 160
        with steps_of(connection) as steps:
            assert claims.claim(connection, wish(2, limit=1000), known) == []
            assert steps() < 5_000


def test_a_round_of_pruning_reads_what_is_old_and_not_all_that_is_kept(tmp_path: Path) -> None:
    cost = {}
    for rows in (3_000, 30_000):
        database = Database(tmp_path / f"{rows}.db")
        connection = database.connect(readonly=False)
        with connection:
            fill(connection, rows)
            connection.execute("UPDATE deliveries SET state = 'delivered', due_at = NULL, settled_at = ?", (NOW,))
            with steps_of(connection) as steps:
                assert pruning.prune(connection, NOW + 3600, Retention(), 0, 200) is None
                cost[rows] = steps()
        connection.close()
        database.close()
    assert cost[30_000] < 1.2 * cost[3_000]


def test_successes_bring_a_large_backlog_of_retries_forward_a_part_at_a_time(connection: apsw.Connection) -> None:
    rules = Rules(ids=random_id, disable_after=1e9)
    waiting = 2 * HURRIED_AT_ONCE + 10
    with connection:
        fill(connection, 2 * (waiting + 3), names=1)
        connection.execute("DELETE FROM deliveries WHERE state = 'waiting' OR id > ?", ((waiting + 3) * 3 // 2,))
        connection.execute("UPDATE deliveries SET due_at = ?", (NOW + 60,))
        connection.execute(
            "UPDATE deliveries SET due_at = ? WHERE id IN (SELECT id FROM deliveries LIMIT 3)", (NOW - 1,)
        )
        assert connection.execute("SELECT count(*) FROM deliveries").get == waiting + 3
        connection.execute("UPDATE endpoints SET failing_since = ?", (NOW - 3600,))
        due, told = [], []
        for held in claims.claim(connection, wish(1, limit=3), Recipients(connection)):
            settled = settlements.settle(connection, [settlement(held, Delivered())], NOW, rules)
            told.append(settled.notices)
            due.append(connection.execute("SELECT count(*) FROM deliveries WHERE due_at = ?", (NOW,)).get)
    assert due == [HURRIED_AT_ONCE, 2 * HURRIED_AT_ONCE, waiting]
    assert told == [1, 0, 0], "the recovery is told once"
    assert connection.execute("SELECT failing_since FROM endpoints").get is None
