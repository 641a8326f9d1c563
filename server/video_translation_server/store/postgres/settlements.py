"""What comes of attempts, in PostgreSQL: verdicts carried out, attempts logged, the next of a lane released.

Every function takes a connection and runs inside the caller's transaction. Statements take whole batches, so that a
batch of any size costs the same few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from video_translation_server.model import Dead, Delivered, DeliveryState, Gone, RetryAt, Settlement
from video_translation_server.store.base.rules import SUPERSEDE_AFTER, Rules
from video_translation_server.store.postgres import lanes
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.health import Ward
from video_translation_server.store.postgres.rows import Rows
from video_translation_server.store.postgres.settled import ATTEMPT, LOGS, SETTLED

_SETTLED = Rows(
    {
        "id": "bigint",
        "claim_id": "bigint",
        "number": "integer",
        "tries": "integer",
        "state": "text",
        "due_at": "double precision",
        "settled_at": "double precision",
        "started_at": "double precision",
        "duration": "double precision",
        "kind": "text",
        "status": "integer",
        "detail": "text",
        "retry_after": "text",
        "body": "bytea",
        "address": "text",
    }
)
# The rows are locked in the order of their ids first, so that two servers never wait for each other in a circle.
_SETTLE = f"""
WITH given AS MATERIALIZED (SELECT * FROM {_SETTLED.table}),
held AS MATERIALIZED (
  SELECT d.id FROM deliveries d JOIN given ON d.id = given.id AND d.claim_id = given.claim_id
  ORDER BY d.id FOR NO KEY UPDATE OF d),
put_off AS (
  UPDATE deliveries d SET claim_id = NULL, leased_until = NULL, attempts = given.number, tries = given.tries,
    state = given.state, due_at = given.due_at, first_attempt_at = coalesce(d.first_attempt_at, given.started_at)
  FROM held JOIN given ON given.id = held.id
  WHERE d.id = held.id AND d.claim_id = given.claim_id AND given.settled_at IS NULL
  RETURNING d.id, d.endpoint, d.job, d.lane),
logged AS (
  INSERT INTO attempts (delivery, {ATTEMPT}, body)
  SELECT id, {ATTEMPT}, body FROM put_off JOIN given USING (id)),
gone AS (
  DELETE FROM deliveries d USING held JOIN given ON given.id = held.id
  WHERE d.id = held.id AND d.claim_id = given.claim_id AND given.settled_at IS NOT NULL
  RETURNING d.id, d.event, d.endpoint, d.job, d.lane, d.attempts, d.first_attempt_at),
{LOGS},
moved AS (
  INSERT INTO settled ({SETTLED})
  SELECT gone.id, event, endpoint, job, state, number, coalesce(first_attempt_at, started_at), settled_at,
    array_append(log, ROW({ATTEMPT})::attempt),
    CASE WHEN is_answered OR body <> '' THEN array_append(answers, body) END
  FROM gone JOIN given USING (id) LEFT JOIN logs ON logs.delivery = gone.id)
SELECT done.id, endpoint, job, lane, p.failing_since IS NOT NULL OR p.strain > 0
FROM (SELECT id, endpoint, job, lane FROM put_off UNION ALL SELECT id, endpoint, job, lane FROM gone) done
JOIN endpoints p ON p.n = endpoint
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


async def settle(connection: Connection, settlements: Sequence[Settlement], now: float, rules: Rules) -> Settled:
    """Carry out the verdicts whose claim still holds.

    1. What is tried again gets its new time, what is settled leaves the queue; the attempts are logged.
    2. What is settled releases the next of its lane; what failed too often gives way.
    3. The endpoints' health follows.
    """
    if len({settlement.claim.delivery_id for settlement in settlements}) < len(settlements):
        # Two claims of one delivery, of which one is lost: only one by one is it plain which.
        each = [await settle(connection, [settlement], now, rules) for settlement in settlements]
        return Settled([held for one in each for held in one.held], sum(one.notices for one in each))
    if not settlements:
        return Settled([], 0)
    rows = await connection.fetch(_SETTLE, *_SETTLED.of([_row(settlement, now) for settlement in settlements]))
    places = {row[0]: _Place(row[1], row[2], row[3]) for row in rows}
    answers = [settlement.claim.delivery_id in places for settlement in settlements]
    held = [settlement for settlement in settlements if settlement.claim.delivery_id in places]
    await _move_lanes_on(connection, held, places, now)
    ward = Ward(connection, now, rules)
    unwell = {row[1] for row in rows if row[4]}
    settled = ((places[settlement.claim.delivery_id].endpoint, settlement) for settlement in held)
    notices = await ward.follow(settled, unwell)
    return Settled(answers, notices)


def _row(settlement: Settlement, now: float) -> tuple[object, ...]:
    claim, attempt, outcome = settlement.claim, settlement.attempt, settlement.attempt.outcome
    state, due_at = _next(settlement, now)
    return (
        claim.delivery_id,
        claim.claim_id,
        claim.attempt,
        claim.tries,
        state,
        due_at,
        None if state.is_open else now,
        attempt.started_at,
        attempt.duration,
        outcome.kind,
        outcome.status,
        _storable(outcome.detail),
        None if outcome.retry_after is None else _storable(outcome.retry_after),
        outcome.body,
        outcome.address,
    )


def _storable(text: str) -> str:
    """What a receiver said, without the one character that PostgreSQL's text cannot hold, and without halves of one."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


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


async def _move_lanes_on(
    connection: Connection, held: Sequence[Settlement], places: dict[int, _Place], now: float
) -> None:
    left, struggling = [], {}
    for settlement in held:
        place = places[settlement.claim.delivery_id]
        if isinstance(settlement.verdict, Delivered | Dead):
            left.append(lanes.Left(place.endpoint, place.job, place.lane, now))
        elif settlement.claim.tries >= SUPERSEDE_AFTER and place.job is not None:
            struggling[place.job] = now
    await lanes.release_next(connection, left)
    if struggling:
        await lanes.hold(connection, list(struggling), lanes.FIRST)
        await lanes.supersede(connection, struggling.items())
