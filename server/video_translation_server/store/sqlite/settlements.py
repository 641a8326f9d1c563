"""What comes of attempts, in SQLite: verdicts carried out, attempts logged, the next of a lane released.

Every function takes a connection and runs inside the caller's transaction. Statements take whole batches,
so that a batch of any size costs the same few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw

from video_translation_server.model import Dead, Delivered, DeliveryState, Gone, RetryAt, Settlement
from video_translation_server.store.base.rules import SUPERSEDE_AFTER, Rules
from video_translation_server.store.sqlite import deliveries
from video_translation_server.store.sqlite.deliveries import Lane
from video_translation_server.store.sqlite.health import Ward
from video_translation_server.store.sqlite.rows import Rows

_SETTLE = Rows(
    """
WITH s (id, claim_id, number, tries, state, due_at, settled_at, started_at) AS (VALUES {rows})
UPDATE OR FAIL deliveries SET claim_id = NULL, leased_until = NULL, attempts = s.number, tries = s.tries,
  state = s.state, due_at = s.due_at, settled_at = s.settled_at,
  first_attempt_at = coalesce(first_attempt_at, s.started_at)
FROM s WHERE deliveries.id = s.id AND deliveries.claim_id = s.claim_id
RETURNING deliveries.id, endpoint, job, lane
""",
    columns=8,
)

_LOG_ATTEMPTS = Rows(
    """
INSERT OR FAIL INTO attempts (delivery, number, started_at, duration, kind, status, detail, retry_after, body, address)
VALUES {rows}
""",
    columns=10,
)


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
    lanes = _carry_out(connection, settlements, now)
    answers = [settlement.claim.delivery_id in lanes for settlement in settlements]
    held = [settlement for settlement in settlements if settlement.claim.delivery_id in lanes]
    notices = 0
    if held:
        _log_attempts(connection, held)
        _move_lanes_on(connection, held, lanes, now)
        ward = Ward(connection, now, rules)
        notices = ward.follow((lanes[settlement.claim.delivery_id][0], settlement) for settlement in held)
    return Settled(answers, notices)


def _carry_out(connection: apsw.Connection, settlements: Sequence[Settlement], now: float) -> dict[int, Lane]:
    """Give the deliveries whose claim holds their new state; the lane of each of these."""
    rows = []
    for settlement in settlements:
        claim, state, due_at = settlement.claim, *_next(settlement, now)
        settled_at = now if due_at is None else None  # what is settled is never due
        started_at = settlement.attempt.started_at
        rows.append(
            (claim.delivery_id, claim.claim_id, claim.attempt, claim.tries, state, due_at, settled_at, started_at)
        )
    return {row[0]: row[1:] for row in _SETTLE.execute(connection, rows)}


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
            outcome.body,
            outcome.address,
        )
        for settlement in held
    ]
    _LOG_ATTEMPTS.execute(connection, rows)


def _move_lanes_on(connection: apsw.Connection, held: Iterable[Settlement], lanes: dict[int, Lane], now: float) -> None:
    ended, struggling = set(), set()
    for settlement in held:
        lane = lanes[settlement.claim.delivery_id]
        if isinstance(settlement.verdict, Delivered | Dead):
            ended.add(lane)
        elif settlement.claim.tries >= SUPERSEDE_AFTER and lane[1] is not None:
            struggling.add(lane[1])
    deliveries.release_next(connection, ended, now=now)
    deliveries.supersede(connection, [(job, now) for job in struggling])
