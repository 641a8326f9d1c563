"""The table of turns in SQLite is true whatever moves a delivery or an endpoint; a claim costs what it takes."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.server.store.builders import NOW, WORKSPACE, created, endpoint, settlement
from tests.server.store.test_sqlite_plans import steps_of, wish
from video_translation_server.ids import random_id
from video_translation_server.model import Claim, Dead, Delivered, EndpointStatus, RetryAt, Verdict
from video_translation_server.store import Retention
from video_translation_server.store.base.rules import BURST, Rules
from video_translation_server.store.sqlite import claims, deliveries, endpoints, moves, pruning, settlements, simulator
from video_translation_server.store.sqlite.database import Database, migrations
from video_translation_server.store.sqlite.recipients import Recipients

RULES = Rules(ids=random_id, disable_after=1e9)
UNTRUE = """
SELECT count(*) FROM (
  SELECT * FROM (SELECT * FROM turns EXCEPT SELECT * FROM turns_as_they_are)
  UNION ALL
  SELECT * FROM (SELECT * FROM turns_as_they_are WHERE at IS NOT NULL EXCEPT SELECT * FROM turns))
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    database = Database(tmp_path / "store.db")
    connection = database.connect(readonly=False)
    yield connection
    connection.close()
    database.close()


def turns(connection: apsw.Connection) -> dict[int, float]:
    """The turns by endpoint, as seconds from NOW; the table must be true."""
    assert connection.execute(UNTRUE).get == 0
    return {endpoint: round(at - NOW, 3) for endpoint, at in connection.execute("SELECT endpoint, at FROM turns")}


def claim(connection: apsw.Connection, limit: int = 64, now: float = NOW) -> list[Claim]:
    return claims.claim(connection, wish(7, limit, now), Recipients(connection))


def settle(connection: apsw.Connection, held: Claim, verdict: Verdict, *, strained: bool = False) -> None:
    settlements.settle(connection, [settlement(held, verdict, strained=strained)], NOW, RULES)


def record(connection: apsw.Connection, *names: str, now: float = NOW) -> None:
    moves.record(connection, [created(name, now=now) for name in names], random_id)


def test_a_turn_comes_with_the_first_delivery_and_goes_with_the_last(connection: apsw.Connection) -> None:
    endpoints.create(connection, endpoint())
    assert turns(connection) == {}
    record(connection, "job_2", now=NOW + 5)
    assert turns(connection) == {1: 5}
    record(connection, "job_1")
    record(connection, "job_3", now=NOW + 7)
    assert turns(connection) == {1: 0}, "the earliest of all"
    [held] = claim(connection)
    assert turns(connection) == {1: 5}
    claims.release(connection, [held])
    assert turns(connection) == {1: 0}
    assert len(claim(connection, now=NOW + 10)) == 3
    assert turns(connection) == {}
    claims.expire(connection, 2e9)
    assert turns(connection) == {1: 0}
    held, *others = claim(connection, now=NOW + 10)
    for other in others:
        settle(connection, other, Delivered())
    settle(connection, held, RetryAt(NOW + 60))
    assert turns(connection) == {1: 60}
    deliveries.resend(connection, WORKSPACE, held.delivery_id, NOW + 30)
    assert turns(connection) == {1: 30}
    deliveries.resend(connection, WORKSPACE, held.delivery_id, NOW + 40)
    assert turns(connection) == {1: 40}, "later than it was"


def test_a_paused_endpoint_has_its_turn_when_the_pause_ends(connection: apsw.Connection) -> None:
    endpoints.create(connection, endpoint())
    record(connection, "job_1", "job_2", "job_3")
    first, second = claim(connection, limit=2)
    settle(connection, first, RetryAt(NOW + 60), strained=True)
    assert turns(connection) == {1: 1}, "the first pause"
    record(connection, "job_4")
    assert turns(connection) == {1: 1}, "what comes meanwhile waits as well"
    settle(connection, second, Delivered())
    assert turns(connection) == {1: 0}, "recovered"


def test_an_endpoint_with_a_rate_limit_has_its_turn_as_that_allows(connection: apsw.Connection) -> None:
    endpoints.create(connection, endpoint(rate_limit=0.1))
    record(connection, "job_1", "job_2")
    assert len(claim(connection)) == 1
    assert turns(connection) == {1: 10 - BURST}
    assert claim(connection, now=NOW + 9) == []
    assert len(claim(connection, now=NOW + 10)) == 1
    assert turns(connection) == {}


def test_a_disabled_or_deleted_endpoint_has_no_turn(connection: apsw.Connection) -> None:
    endpoints.create(connection, endpoint())
    record(connection, "job_1")

    def put(status: EndpointStatus) -> None:
        endpoints.change(
            connection, WORKSPACE, "ep_1", lambda old: endpoint(old.id, status=status, created_at=old.created_at), NOW
        )

    put(EndpointStatus.DISABLED)
    record(connection, "job_2")
    assert turns(connection) == {}
    put(EndpointStatus.ENABLED)
    assert turns(connection) == {1: 0}
    endpoints.delete(connection, WORKSPACE, "ep_1", NOW)
    assert turns(connection) == {}


def test_turns_go_with_what_is_superseded_pruned_or_erased(connection: apsw.Connection) -> None:
    for number in (1, 2):
        endpoints.create(connection, endpoint(f"ep_{number}"))
    record(connection, "job_1", "job_2")
    for held in claim(connection):
        settle(connection, held, Dead() if held.endpoint_id == "ep_1" else RetryAt(NOW + 60))
    # The notices of what is given up go to the other one.
    assert turns(connection) == {2: 0}
    connection.execute("DELETE FROM deliveries WHERE state = 'due' AND due_at = ?", (NOW,))
    assert turns(connection) == {2: 60}
    pruning.prune(connection, NOW + 1e9, Retention(), 0, 100)
    assert turns(connection) == {2: 60}, "open, and not held: never pruned"
    simulator.erase(connection)
    assert turns(connection) == {}


def test_a_file_from_before_gets_its_turns(tmp_path: Path) -> None:
    before = next(number for number, step in enumerate(migrations()) if "CREATE TABLE turns" in step)
    connection = apsw.Connection(str(tmp_path / "store.db"))
    for step in migrations()[:before]:
        connection.execute(step)
    for number in (1, 2):
        endpoints.create(connection, endpoint(f"ep_{number}"))
    # Not through `record`, which writes as the newest schema wants it.
    due = "INSERT INTO deliveries (event, endpoint, job, state, due_at, claim_id, leased_until) VALUES "
    connection.executemany(due + "(?1, 1, ?1, 'due', ?2 + ?1, NULL, NULL)", [(job, NOW) for job in (1, 2, 3)])
    connection.executemany(due + "(?1, 2, ?1, 'due', ?2, 1, 1)", [(job, NOW) for job in (1, 2, 3)])
    for step in migrations()[before:]:
        connection.execute(step)
    assert turns(connection) == {1: 1}
    claims.release_all(connection)
    assert turns(connection) == {1: 1, 2: 0}
    connection.close()


def waiting(connection: apsw.Connection, names: int) -> None:
    """So many endpoints with due deliveries, and as many whose next one is due later."""
    for number in range(2 * names):
        endpoints.create(connection, endpoint(f"ep_{number}", events=("video_translate.fail",)))
    record(connection, "job_1")
    connection.execute(
        "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < :rows) "
        "INSERT INTO deliveries (event, endpoint, state, due_at) SELECT 1, 1 + n % (2 * :names), 'due', "
        "iif(n % (2 * :names) < :names, :now - 1 + n * 1e-6, :now + 60) FROM c",
        {"rows": 2 * names * 8, "names": names, "now": NOW},
    )


def test_a_claim_costs_the_same_however_many_endpoints_have_a_backlog(tmp_path: Path) -> None:
    cost = {}
    for names in (20, 2_000):
        database = Database(tmp_path / f"{names}.db")
        connection = database.connect(readonly=False)
        with connection:
            waiting(connection, names)
            with steps_of(connection) as steps:
                held = claim(connection, limit=16)
                assert claims.next_due(connection, NOW) == NOW + 60
                assert claims.is_busy(connection, NOW)
                cost[names] = steps()
            assert len({one.endpoint_id for one in held}) == 16, "in turns"
        connection.close()
        database.close()
    assert cost[2_000] < 1.2 * cost[20]
