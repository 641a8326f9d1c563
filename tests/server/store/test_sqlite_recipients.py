"""What the embedded engine remembers of endpoints between claims is what its file says, whatever becomes of it."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from tests.server.store.builders import NOW, WORKSPACE, created, endpoint, settlement
from video_translation_server.ids import random_id
from video_translation_server.model import Claim, Dead, RetiredSecret
from video_translation_server.store.base.rules import Rules
from video_translation_server.store.sqlite import claims, endpoints, moves, recipients, settlements
from video_translation_server.store.sqlite.database import Database
from video_translation_server.store.sqlite.recipients import Recipients


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    database = Database(tmp_path / "store.db")
    connection = database.connect(readonly=False)
    yield connection
    connection.close()
    database.close()


@pytest.fixture
def remembered(connection: apsw.Connection) -> Recipients:
    return Recipients(connection)


def claim(connection: apsw.Connection, remembered: Recipients, limit: int = 64, now: float = NOW) -> list[Claim]:
    wish = claims.Wish(now=now, leased_until=1e9, claim_id=7, limit=limit, per_endpoint=16)
    return claims.claim(connection, wish, remembered)


def url_after(connection: apsw.Connection, remembered: Recipients, url: str) -> str:
    """Move an endpoint, record a job, and claim: where its event would go."""
    endpoints.change(connection, WORKSPACE, "ep_1", lambda one: msgspec.structs.replace(one, url=url), NOW)
    moves.record(connection, [created(random_id("job"))], random_id)
    return claim(connection, remembered)[0].url


def test_a_change_is_seen_by_the_next_claim(connection: apsw.Connection, remembered: Recipients) -> None:
    endpoints.create(connection, endpoint(headers={"X-Team": "a"}))
    moves.record(connection, [created(f"job_{number}") for number in range(5)], random_id)
    [held] = claim(connection, remembered, 1)
    assert (held.url, held.secrets, held.headers) == ("http://localhost/ep_1", ("whsec_AAAA",), {"X-Team": "a"})
    retired = (RetiredSecret(secret="whsec_AAAA", until=NOW + 60),)
    after = endpoint(url="http://localhost/new", secret="whsec_BBBB", retired=retired, headers={"X-Team": "b"})
    endpoints.change(connection, WORKSPACE, "ep_1", lambda _: after, NOW)
    [held] = claim(connection, remembered, 1)
    assert (held.url, held.headers) == ("http://localhost/new", {"X-Team": "b"})
    assert held.secrets == ("whsec_BBBB", "whsec_AAAA")
    assert claim(connection, remembered, 1, NOW + 61)[0].secrets == ("whsec_BBBB",), "a retired secret ends by itself"
    limited = msgspec.structs.replace(after, max_in_flight=4)
    endpoints.change(connection, WORKSPACE, "ep_1", lambda _: limited, NOW)
    assert len(claim(connection, remembered, now=NOW + 61)) == 1, "three are under way"


def test_strain_is_seen_by_the_next_claim(connection: apsw.Connection, remembered: Recipients) -> None:
    endpoints.create(connection, endpoint(max_in_flight=4))
    moves.record(connection, [created(f"job_{number}") for number in range(9)], random_id)
    held = claim(connection, remembered)
    assert len(held) == 4
    rules = Rules(ids=random_id, disable_after=1e9)
    batch = [settlement(one, Dead(), strained=True) for one in held]
    settlements.settle(connection, batch, NOW, rules)
    assert len(claim(connection, remembered, now=NOW + 3600)) == 2


def test_nothing_is_left_of_a_change_that_was_taken_back(connection: apsw.Connection, remembered: Recipients) -> None:
    endpoints.create(connection, endpoint())
    moves.record(connection, [created("job_1"), created("job_2")], random_id)
    assert claim(connection, remembered, 1)[0].url == "http://localhost/ep_1"
    connection.execute("SAVEPOINT verb")
    assert url_after(connection, remembered, "http://localhost/never") == "http://localhost/never"
    connection.execute("ROLLBACK TO verb")
    assert claim(connection, remembered, 1)[0].url == "http://localhost/ep_1"
    connection.execute("RELEASE verb")
    connection.execute("BEGIN")
    assert url_after(connection, remembered, "http://localhost/neither") == "http://localhost/neither"
    connection.execute("ROLLBACK")
    assert url_after(connection, remembered, "http://localhost/moved") == "http://localhost/moved", "claimed in between"


def test_a_number_that_was_taken_back_may_become_anothers(connection: apsw.Connection, remembered: Recipients) -> None:
    for name in ("one", "other"):
        connection.execute("BEGIN")
        endpoints.create(connection, endpoint(f"ep_{name}"))
        moves.record(connection, [created(f"job_{name}")], random_id)
        assert [held.endpoint_id for held in claim(connection, remembered)] == [f"ep_{name}"]
        connection.execute("ROLLBACK")


def test_an_endpoint_of_one_job_is_not_remembered(connection: apsw.Connection, remembered: Recipients) -> None:
    endpoints.create(connection, endpoint("ep_all"))
    moves.record(connection, [created("job_0")], random_id)
    claim(connection, remembered)
    kept = dict(remembered)
    for name in ("one", "other"):
        connection.execute("BEGIN")
        change = created(f"job_{name}")
        callback = endpoint(f"ep_{name}", is_callback=True, entity_id=change.job.id)
        done = msgspec.structs.replace(
            change.event, type="video_translate.success", id=f"evt_{name}", job_id=change.job.id
        )
        moves.record(connection, [msgspec.structs.replace(change, event=done, callback=callback)], random_id)
        assert {held.endpoint_id for held in claim(connection, remembered)} == {"ep_all", f"ep_{name}"}
        connection.execute("ROLLBACK")
    assert remembered.known() == kept, "and makes nobody else forgotten"


def test_only_so_many_are_remembered(
    connection: apsw.Connection, remembered: Recipients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "MOST", 3)
    for number in range(6):
        endpoints.create(connection, endpoint(f"ep_{number}"))
    moves.record(connection, [created()], random_id)
    assert len(claim(connection, remembered)) == 6, "but a claim has all that it needs"
    assert not remembered.known()
