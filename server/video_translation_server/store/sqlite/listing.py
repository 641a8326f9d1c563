"""Deliveries in SQLite as readers see them: one, a page of those that are wanted, and their attempts.

Every function takes a connection and runs inside the caller's transaction. Putting deliveries on their way is in
`deliveries`.
"""

from typing import Any

import apsw

from video_translation_server.errors import NotFoundError
from video_translation_server.model import Attempt, Delivery, DeliveryState
from video_translation_server.store.base import DeliveryFilter, records
from video_translation_server.store.sqlite import spans
from video_translation_server.wire.deliveries import DELIVERY_PREFIX

_DELIVERY = (
    "d.id, e.id, e.type, p.id, j.id, e.sequence, d.state, d.attempts, d.due_at, d.first_attempt_at, d.settled_at"
)
_JOINED = (
    "deliveries d JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint "
    "LEFT JOIN jobs j ON j.n = d.job"
)


def get(connection: apsw.Connection, workspace_id: str, delivery_id: int) -> Delivery:
    """One delivery of the workspace."""
    rows = connection.execute(
        f"SELECT {_DELIVERY} FROM {_JOINED} WHERE d.id = ? AND p.workspace_id = ?", (delivery_id, workspace_id)
    )
    for row in rows:
        return records.delivery(row)
    raise NotFoundError(f"no delivery {DELIVERY_PREFIX}{delivery_id}", param="delivery_id")


def page(
    connection: apsw.Connection, workspace_id: str, limit: int, token: int | None, wanted: DeliveryFilter
) -> tuple[list[Delivery], int | None]:
    """A page of deliveries, newest first, and the next page's token."""
    before = _NO_TOKEN if token is None else token
    values = {
        "workspace": workspace_id,
        "before": before,
        "event": wanted.event_id,
        "endpoint": wanted.endpoint_id,
        "job": wanted.job_id,
        "limit": limit,
    }
    statement = select(wanted)
    rows: list[Any] = (
        spans.newest_first(connection, statement, values, of="deliveries.id", before=before, most=limit + 1)
        if ":span" in statement
        else connection.execute(statement, values).fetchall()
    )
    more = len(rows) > limit
    return [records.delivery(row) for row in rows[:limit]], rows[limit - 1][0] if more else None


def select(wanted: DeliveryFilter) -> str:
    """The query for a page; what does not narrow is left out, so that the index of what narrows most can be used.

    Where the endpoint narrows most, the query is for the rows of one `:span`.
    """
    conditions = ["p.workspace_id = :workspace", "d.id < :before"]
    # A literal: the index of those that are dead is for no other state.
    state = "TRUE" if wanted.state is None else f"state = '{wanted.state.value}'"
    if wanted.event_id is not None:
        conditions.append(_OF_EVENT)
    if wanted.job_id is not None:
        conditions.append(_OF_JOB)
    if wanted.endpoint_id is not None:
        is_alone = wanted.event_id is None and wanted.job_id is None
        of_endpoint = _DEAD_OF_ENDPOINT if wanted.state is DeliveryState.DEAD else _OF_ENDPOINT.format(state=state)
        conditions.append(of_endpoint if is_alone else "p.id = :endpoint")
    return f"{_PAGE} WHERE {' AND '.join(conditions)} AND {state} ORDER BY d.id DESC LIMIT :limit + 1"


_PAGE = f"SELECT {_DELIVERY} FROM {_JOINED}"
_OF_EVENT = "d.event = (SELECT position FROM events WHERE id = :event)"
_OF_JOB = (
    "d.id IN (SELECT id FROM deliveries WHERE event IN "
    "(SELECT position FROM events WHERE job = (SELECT n FROM jobs WHERE id = :job)))"
)
_OF_ENDPOINT = (
    "d.id IN (SELECT id FROM deliveries INDEXED BY deliveries_in_spans "
    f"WHERE id >> {spans.BITS} = :span AND endpoint = (SELECT n FROM endpoints WHERE id = :endpoint) "
    "AND id < :before AND {state} ORDER BY id DESC LIMIT :limit + 1)"
)
_DEAD_OF_ENDPOINT = (
    "d.id IN (SELECT id FROM deliveries INDEXED BY deliveries_dead "
    "WHERE endpoint + 0 = +(SELECT n FROM endpoints WHERE id = :endpoint) "
    "AND id < :before AND state = 'dead' ORDER BY id DESC LIMIT :limit + 1)"
)

_NO_TOKEN = 2**63 - 1
"""Beyond every row."""


def attempts(connection: apsw.Connection, delivery_id: int) -> list[Attempt]:
    """The attempts of one delivery."""
    rows = connection.execute(
        "SELECT number, started_at, duration, kind, status, detail, retry_after, address, body FROM attempts "
        "WHERE delivery = ? ORDER BY number",
        (delivery_id,),
    )
    return [records.attempt(row) for row in rows]
