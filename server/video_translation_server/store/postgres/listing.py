"""Deliveries in PostgreSQL as readers see them: one, a page of those that are wanted, and their attempts.

Every function takes a connection and runs inside the caller's transaction. What changes them is in `deliveries`,
`claims` and `settlements`.
"""

from typing import Any

from video_translation_server.errors import NotFoundError
from video_translation_server.model import Attempt, Delivery
from video_translation_server.store.base import DeliveryFilter, records
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.settled import ATTEMPT
from video_translation_server.wire.deliveries import DELIVERY_PREFIX

_DELIVERY = (
    "d.id, e.id, e.type, p.id, j.id, e.sequence, d.state, d.attempts, d.due_at, d.first_attempt_at, d.settled_at"
)
_JOINED = (
    "every_delivery d JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint "
    "LEFT JOIN jobs j ON j.n = d.job"
)
_ATTEMPTS = f"""
SELECT {ATTEMPT}, body FROM attempts WHERE delivery = $1
UNION ALL
SELECT {ATTEMPT}, coalesce(answers[ord], '')
FROM every_delivery d, unnest(log) WITH ORDINALITY AS said({ATTEMPT}, ord) WHERE d.id = $1 AND d.is_kept
ORDER BY number
"""
# By its events: what is settled has no index by job.
_OF_JOB = "d.event = ANY(ARRAY(SELECT position FROM events WHERE job = (SELECT n FROM jobs WHERE id = {0})))"
# Only one index has this order. With `=` the planner would read those of all endpoints by their ids, and pass over all
# but the few of one that has few.
_IN_ORDER = "d.endpoint BETWEEN (SELECT n FROM endpoints WHERE id = {0}) AND (SELECT n FROM endpoints WHERE id = {0})"


async def get(connection: Connection, workspace_id: str, delivery_id: int) -> Delivery:
    """One delivery of the workspace."""
    row = await connection.fetchrow(
        f"SELECT {_DELIVERY} FROM {_JOINED} WHERE d.id = $1 AND p.workspace_id = $2 AND d.is_kept",
        delivery_id,
        workspace_id,
    )
    if row is None:
        raise NotFoundError(f"no delivery {DELIVERY_PREFIX}{delivery_id}", param="delivery_id")
    return records.delivery(row)


async def page(
    connection: Connection, workspace_id: str, limit: int, token: int | None, wanted: DeliveryFilter
) -> tuple[list[Delivery], int | None]:
    """A page of deliveries, newest first, and the next page's token."""
    query, values = select(workspace_id, limit, token, wanted)
    rows = await connection.fetch(query, *values)
    more = len(rows) > limit
    return [records.delivery(row) for row in rows[:limit]], rows[limit - 1][0] if more else None


def select(workspace_id: str, limit: int, token: int | None, wanted: DeliveryFilter) -> tuple[str, list[Any]]:
    """The query for a page, and its values; what does not narrow is left out, so that each finds its index."""
    is_of_endpoint = wanted.endpoint_id is not None and wanted.event_id is None and wanted.job_id is None
    narrowing = {
        "d.id < {0}": token,
        "d.event = (SELECT position FROM events WHERE id = {0})": wanted.event_id,
        _IN_ORDER if is_of_endpoint else "p.id = {0}": wanted.endpoint_id,
        _OF_JOB: wanted.job_id,
        "d.state = {0}": None if wanted.state is None else wanted.state.value,
    }
    values: list[Any] = [workspace_id, limit]
    conditions = ["p.workspace_id = $1", "d.is_kept"]
    for condition, value in narrowing.items():
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    if wanted.state is not None:
        # In which of the tables it can be at all.
        conditions.append(f"d.settled_at IS {'NULL' if wanted.state.is_open else 'NOT NULL'}")
    order = "d.endpoint DESC, d.id DESC" if is_of_endpoint else "d.id DESC"
    return (
        f"SELECT {_DELIVERY} FROM {_JOINED} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT $2::bigint + 1",
        values,
    )


async def attempts(connection: Connection, delivery_id: int) -> list[Attempt]:
    """The attempts of one delivery."""
    rows = await connection.fetch(_ATTEMPTS, delivery_id)
    return [records.attempt(row) for row in rows]
