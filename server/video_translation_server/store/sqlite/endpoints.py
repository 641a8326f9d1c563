"""Endpoints in SQLite: keeping, finding, changing and forgetting webhook URLs, and the workspaces' secrets.

Every function takes a connection and runs inside the caller's transaction. A deleted endpoint's row stays,
marked, because deliveries refer to it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Endpoint, EndpointStatus, Ordering, RetiredSecret
from video_translation_server.store.sqlite import deliveries, log

ENDPOINT = (
    "id, workspace_id, url, created_at, secret, retired, private_key, events, entity_id, description, headers, "
    "ordering, max_in_flight, rate_limit, is_callback, ttl_seconds, expires_at, status, disabled_reason, failing_since"
)
_MARKS = ", ".join("?" for _ in ENDPOINT.split(","))


def create(connection: apsw.Connection, endpoint: Endpoint) -> int:
    """Keep a new endpoint; the log position behind which its events begin."""
    try:
        connection.execute(f"INSERT INTO endpoints ({ENDPOINT}) VALUES ({_MARKS})", _columns(endpoint))
    except apsw.ConstraintError:
        raise ConflictError(f"an endpoint with the id {endpoint.id} exists already", param="id") from None
    return log.last_position(connection)


def get(connection: apsw.Connection, workspace_id: str, endpoint_id: str) -> Endpoint:
    """One living endpoint of the workspace."""
    return find(connection, workspace_id, endpoint_id)[1]


def page(
    connection: apsw.Connection, workspace_id: str, limit: int, token: int | None
) -> tuple[list[Endpoint], int | None]:
    """A page of living registered endpoints, newest first, and the next page's token."""
    rows: list[Any] = connection.execute(
        f"SELECT n, {ENDPOINT} FROM endpoints WHERE workspace_id = ? AND deleted_at IS NULL AND is_callback = 0 "
        "AND (?2 IS NULL OR n < ?2) ORDER BY n DESC LIMIT ?3 + 1",
        (workspace_id, token, limit),
    ).fetchall()
    more = len(rows) > limit
    return [read(row[1:]) for row in rows[:limit]], rows[limit - 1][0] if more else None


def change(
    connection: apsw.Connection,
    workspace_id: str,
    endpoint_id: str,
    changed: Callable[[Endpoint], Endpoint],
    now: float,
) -> Endpoint:
    """Replace an endpoint; one that is enabled again, or moved, starts afresh with all that waits for it."""
    number, before = find(connection, workspace_id, endpoint_id)
    after = changed(before)
    revived = before.status is EndpointStatus.DISABLED and after.status is EndpointStatus.ENABLED
    starts_afresh = revived or after.url != before.url
    if revived:
        after = msgspec.structs.replace(after, disabled_reason=None)
    if starts_afresh:
        after = msgspec.structs.replace(after, failing_since=None)
    assignments = ", ".join(f"{name.strip()} = ?" for name in ENDPOINT.split(","))
    connection.execute(f"UPDATE endpoints SET {assignments} WHERE n = ?", (*_columns(after), number))
    if after.rate_limit != before.rate_limit:
        connection.execute("UPDATE endpoints SET next_send_at = NULL WHERE n = ?", (number,))
    if starts_afresh:
        connection.execute("UPDATE endpoints SET strain = 0, paused_until = NULL WHERE n = ?", (number,))
        deliveries.make_due(connection, endpoint=number, now=now)
    return after


def delete(connection: apsw.Connection, workspace_id: str, endpoint_id: str, now: float) -> None:
    """Mark an endpoint deleted and close what was on its way to it."""
    number, _ = find(connection, workspace_id, endpoint_id)
    _forget(connection, number, now)


def expire(connection: apsw.Connection, now: float) -> list[str]:
    """Delete what was not renewed in time."""
    rows: list[Any] = connection.execute(
        "SELECT n, id FROM endpoints WHERE expires_at <= ? AND deleted_at IS NULL", (now,)
    ).fetchall()
    for number, _ in rows:
        _forget(connection, number, now)
    return [endpoint_id for _, endpoint_id in rows]


def workspace_secret(connection: apsw.Connection, workspace_id: str, fresh: str) -> str:
    """The workspace's own signing secret; `fresh` becomes it where there is none yet."""
    connection.execute("UPDATE workspaces SET secret = ? WHERE id = ? AND secret IS NULL", (fresh, workspace_id))
    secret = connection.execute("SELECT secret FROM workspaces WHERE id = ?", (workspace_id,)).get
    if secret is None:
        raise NotFoundError(f"no workspace {workspace_id}")
    return str(secret)


def find(connection: apsw.Connection, workspace_id: str, endpoint_id: str) -> tuple[int, Endpoint]:
    """A living endpoint's row number and itself."""
    rows = connection.execute(
        f"SELECT n, {ENDPOINT} FROM endpoints WHERE id = ? AND workspace_id = ? AND deleted_at IS NULL",
        (endpoint_id, workspace_id),
    )
    for row in rows:
        return row[0], read(row[1:])
    raise NotFoundError(f"no webhook endpoint {endpoint_id}", code="webhook_not_found", param="endpoint_id")


def _forget(connection: apsw.Connection, number: int, now: float) -> None:
    connection.execute("UPDATE endpoints SET deleted_at = ? WHERE n = ?", (now, number))
    deliveries.abandon(connection, endpoint=number, now=now)


def _columns(endpoint: Endpoint) -> tuple[Any, ...]:
    return (
        endpoint.id,
        endpoint.workspace_id,
        endpoint.url,
        endpoint.created_at,
        endpoint.secret,
        msgspec.json.encode(endpoint.retired).decode(),
        endpoint.private_key,
        None if endpoint.events is None else msgspec.json.encode(endpoint.events).decode(),
        endpoint.entity_id,
        endpoint.description,
        msgspec.json.encode(endpoint.headers).decode(),
        endpoint.ordering,
        endpoint.max_in_flight,
        endpoint.rate_limit,
        endpoint.is_callback,
        endpoint.ttl_seconds,
        endpoint.expires_at,
        endpoint.status,
        endpoint.disabled_reason,
        endpoint.failing_since,
    )


def read(row: Sequence[Any]) -> Endpoint:
    """An endpoint from its columns."""
    return Endpoint(
        id=row[0],
        workspace_id=row[1],
        url=row[2],
        created_at=row[3],
        secret=row[4],
        retired=msgspec.json.decode(row[5], type=tuple[RetiredSecret, ...]),
        private_key=row[6],
        events=None if row[7] is None else msgspec.json.decode(row[7], type=tuple[str, ...]),
        entity_id=row[8],
        description=row[9],
        headers=msgspec.json.decode(row[10], type=dict[str, str]),
        ordering=Ordering(row[11]),
        max_in_flight=row[12],
        rate_limit=row[13],
        is_callback=bool(row[14]),
        ttl_seconds=row[15],
        expires_at=row[16],
        status=EndpointStatus(row[17]),
        disabled_reason=row[18],
        failing_since=row[19],
    )
