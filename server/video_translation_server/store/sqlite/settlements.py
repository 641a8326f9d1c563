"""What comes of attempts, in SQLite: verdicts carried out, attempts logged, the next of a lane released.

Every function takes a connection and runs inside the caller's transaction. Statements take whole batches, as JSON,
so that a batch of any size costs the same few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from video_translation_server.model import Dead, Delivered, DeliveryState, Gone, RetryAt, Settlement
from video_translation_server.store.sqlite import deliveries
from video_translation_server.store.sqlite.health import Rules, Ward

SUPERSEDE_AFTER = 3
"""Failures after which a transition gives way to a later one (as in the schema's index)."""

_SETTLE = """
UPDATE deliveries SET claim_id = NULL, leased_until = NULL, attempts = s.number, tries = s.tries, state = s.state,
  due_at = s.due_at, settled_at = s.settled_at, first_attempt_at = coalesce(first_attempt_at, s.started_at)
FROM (SELECT value ->> 0 AS id, value ->> 1 AS claim_id, value ->> 2 AS number, value ->> 3 AS tries,
        value ->> 4 AS state, value ->> 5 AS due_at, value ->> 6 AS settled_at, value ->> 7 AS started_at
      FROM json_each(:rows)) s
WHERE deliveries.id = s.id AND deliveries.claim_id = s.claim_id
RETURNING deliveries.id, endpoint, job, lane
"""

_LOG_ATTEMPTS = """
INSERT INTO attempts (delivery, number, started_at, duration, kind, status, detail, retry_after, body, address)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
  unhex(value ->> 8), value ->> 9
FROM json_each(:rows)
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a settled delivery belongs, by row numbers."""

    endpoint: int
    job: int | None
    lane: int


@dataclass(frozen=True, slots=True)
class Settled:
    """For each settlement whether its claim held, and how many notices were appended to the log."""

    held: list[bool]
    notices: int


def settle(connection: apsw.Connection, settlements: Sequence[Settlement], now: float, rules: Rules) -> Settled:
    """Carry out the verdicts whose claim still holds.

    1. The deliveries get their new state.
    2. The attempts are logged.
    3. What is settled releases the next of its lane; what failed too often gives way.
    4. The endpoints' health follows.
    """
    if len({settlement.claim.delivery_id for settlement in settlements}) < len(settlements):
        # Two claims of one delivery, of which one is lost: only one by one is it plain which.
        each = [settle(connection, [settlement], now, rules) for settlement in settlements]
        return Settled([held for one in each for held in one.held], sum(one.notices for one in each))
    places = _carry_out(connection, settlements, now)
    answers = [settlement.claim.delivery_id in places for settlement in settlements]
    held = [settlement for settlement in settlements if settlement.claim.delivery_id in places]
    notices = 0
    if held:
        _log_attempts(connection, held)
        _move_lanes_on(connection, held, places, now)
        ward = Ward(connection, now, rules)
        notices = ward.follow((places[settlement.claim.delivery_id].endpoint, settlement) for settlement in held)
    return Settled(answers, notices)


def _carry_out(connection: apsw.Connection, settlements: Sequence[Settlement], now: float) -> dict[int, _Place]:
    rows = []
    for settlement in settlements:
        claim, state, due_at = settlement.claim, *_next(settlement, now)
        settled_at = None if state.is_open else now
        started_at = settlement.attempt.started_at
        rows.append(
            (claim.delivery_id, claim.claim_id, claim.attempt, claim.tries, state, due_at, settled_at, started_at)
        )
    settled = connection.execute(_SETTLE, {"rows": _json(rows)})
    return {delivery: _Place(endpoint, job, lane) for delivery, endpoint, job, lane in settled}


def _next(settlement: Settlement, now: float) -> tuple[DeliveryState, float | None]:
    match settlement.verdict:
        case Delivered():
            return DeliveryState.DELIVERED, None
        case RetryAt(due_at):
            return DeliveryState.DUE, due_at
        case Gone():
            # Kept, and held: its endpoint is disabled in this very transaction.
            return DeliveryState.DUE, now
        case Dead():
            return DeliveryState.DEAD, None


def _log_attempts(connection: apsw.Connection, held: Iterable[Settlement]) -> None:
    rows = [
        (
            settlement.claim.delivery_id,
            settlement.attempt.number,
            settlement.attempt.started_at,
            settlement.attempt.duration,
            (outcome := settlement.attempt.outcome).kind,
            outcome.status,
            outcome.detail,
            outcome.retry_after,
            outcome.body.hex(),
            outcome.address,
        )
        for settlement in held
    ]
    connection.execute(_LOG_ATTEMPTS, {"rows": _json(rows)})


def _move_lanes_on(
    connection: apsw.Connection, held: Iterable[Settlement], places: dict[int, _Place], now: float
) -> None:
    lanes, struggling = set(), set()
    for settlement in held:
        place = places[settlement.claim.delivery_id]
        if isinstance(settlement.verdict, Delivered | Dead):
            lanes.add((place.endpoint, place.job, place.lane))
        elif settlement.claim.tries >= SUPERSEDE_AFTER and place.job is not None:
            struggling.add(place.job)
    deliveries.release_next(connection, lanes, now=now)
    for job in struggling:
        deliveries.supersede(connection, job=job, now=now)


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
