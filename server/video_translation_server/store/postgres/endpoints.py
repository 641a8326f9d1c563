"""Endpoints in PostgreSQL: keeping, finding, changing and forgetting webhook URLs, and the workspaces' secrets.

Every function takes a connection and runs inside the caller's transaction; one that changes who is addressed by events
needs that nobody appends any meanwhile (`verb.READDRESSING`). A deleted endpoint's row stays, marked, because
deliveries refer to it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import msgspec

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Endpoint, EndpointStatus, Ordering, RetiredSecret
from video_translation_server.store.postgres import deliveries
from video_translation_server.store.postgres.database import Connection

ENDPOINT = (
    "id, workspace_id, url, created_at, secret, retired, private_key, events, entity_id, description, headers, "
    "ordering, max_in_flight, rate_limit, is_callback, ttl_seconds, expires_at, status, disabled_reason, failing_since"
)
_NAMES = [name.strip() for name in ENDPOINT.split(",")]
_MARKS = ", ".join(f"${number}" for number in range(1, len(_NAMES) + 1))
_ASSIGNMENTS = ", ".join(f"{name} = ${number}" for number, name in enumerate(_NAMES, start=1))


async def create(connection: Connection, endpoint: Endpoint) -> int:
    """Keep a new endpoint; the log position behind which its events begin."""
    try:
        position: int = await connection.fetchval(
            f"INSERT INTO endpoints ({ENDPOINT}) VALUES ({_MARKS}) RETURNING (SELECT position FROM log)",
            *_columns(endpoint),
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError(f"an endpoint with the id {endpoint.id} exists already", param="id") from None
    return position


async def get(connection: Connection, workspace_id: str, endpoint_id: str) -> Endpoint:
    """One living endpoint of the workspace."""
    return (await find(connection, workspace_id, endpoint_id))[1]


async def page(
    connection: Connection, workspace_id: str, limit: int, token: int | None
) -> tuple[list[Endpoint], int | None]:
    """A page of living registered endpoints, newest first, and the next page's token."""
    rows = await connection.fetch(
        f"SELECT n, {ENDPOINT} FROM endpoints WHERE workspace_id = $1 AND deleted_at IS NULL AND NOT is_callback "
        "AND ($2::bigint IS NULL OR n < $2) ORDER BY n DESC LIMIT $3::bigint + 1",
        workspace_id,
        token,
        limit,
    )
    more = len(rows) > limit
    return [read(tuple(row)[1:]) for row in rows[:limit]], rows[limit - 1][0] if more else None


async def change(
    connection: Connection,
    workspace_id: str,
    endpoint_id: str,
    changed: Callable[[Endpoint], Endpoint],
    now: float,
) -> Endpoint:
    """Replace an endpoint; one that is enabled again, or moved, starts afresh with all that waits for it."""
    number, before = await find(connection, workspace_id, endpoint_id, lock=True)
    after = changed(before)
    revived = before.status is EndpointStatus.DISABLED and after.status is EndpointStatus.ENABLED
    starts_afresh = revived or after.url != before.url
    if revived:
        after = msgspec.structs.replace(after, disabled_reason=None)
    if starts_afresh:
        after = msgspec.structs.replace(after, failing_since=None)
    await connection.execute(
        f"UPDATE endpoints SET {_ASSIGNMENTS} WHERE n = ${len(_NAMES) + 1}", *_columns(after), number
    )
    if after.rate_limit != before.rate_limit:
        await connection.execute("UPDATE endpoints SET next_send_at = NULL WHERE n = $1", number)
    if starts_afresh:
        await connection.execute("UPDATE endpoints SET strain = 0, paused_until = NULL WHERE n = $1", number)
        await deliveries.make_due(connection, endpoint=number, now=now)
    return after


async def delete(connection: Connection, workspace_id: str, endpoint_id: str, now: float) -> None:
    """Mark an endpoint deleted and close what was on its way to it."""
    number, _ = await find(connection, workspace_id, endpoint_id, lock=True)
    await connection.execute("UPDATE endpoints SET deleted_at = $1 WHERE n = $2", now, number)
    await deliveries.abandon(connection, endpoints=[number], now=now)


async def expire(connection: Connection, now: float) -> list[str]:
    """Delete what was not renewed in time."""
    rows = await connection.fetch(
        "UPDATE endpoints SET deleted_at = $1 WHERE expires_at <= $1 AND deleted_at IS NULL RETURNING n, id", now
    )
    if rows:
        await deliveries.abandon(connection, endpoints=[row[0] for row in rows], now=now)
    return [row[1] for row in rows]


async def next_expiry(connection: Connection) -> float | None:
    """When the first endpoint's ttl runs out."""
    found: float | None = await connection.fetchval(
        "SELECT min(expires_at) FROM endpoints WHERE expires_at IS NOT NULL AND deleted_at IS NULL"
    )
    return found


async def workspace_secret(connection: Connection, workspace_id: str) -> str | None:
    """The workspace's own signing secret, where it was made."""
    secret: str | None = await connection.fetchval("SELECT secret FROM workspaces WHERE id = $1", workspace_id)
    return secret


async def make_secret(connection: Connection, workspace_id: str, fresh: str) -> str:
    """The workspace's own signing secret; `fresh` becomes it where there is none yet."""
    secret: str | None = await connection.fetchval(
        "UPDATE workspaces SET secret = coalesce(secret, $1) WHERE id = $2 RETURNING secret", fresh, workspace_id
    )
    if secret is None:
        raise NotFoundError(f"no workspace {workspace_id}")
    return secret


async def find(
    connection: Connection, workspace_id: str, endpoint_id: str, *, lock: bool = False
) -> tuple[int, Endpoint]:
    """A living endpoint's row number and itself; with `lock`, nobody else changes it before the commit."""
    row = await connection.fetchrow(
        f"SELECT n, {ENDPOINT} FROM endpoints WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL"
        f"{' FOR NO KEY UPDATE' if lock else ''}",
        endpoint_id,
        workspace_id,
    )
    if row is None:
        raise NotFoundError(f"no webhook endpoint {endpoint_id}", code="webhook_not_found", param="endpoint_id")
    return row[0], read(tuple(row)[1:])


def _columns(endpoint: Endpoint) -> tuple[Any, ...]:
    return (
        endpoint.id,
        endpoint.workspace_id,
        endpoint.url,
        endpoint.created_at,
        endpoint.secret,
        msgspec.json.encode(endpoint.retired).decode(),
        endpoint.private_key,
        endpoint.events,
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
        events=None if row[7] is None else tuple(row[7]),
        entity_id=row[8],
        description=row[9],
        headers=msgspec.json.decode(row[10], type=dict[str, str]),
        ordering=Ordering(row[11]),
        max_in_flight=row[12],
        rate_limit=row[13],
        is_callback=row[14],
        ttl_seconds=row[15],
        expires_at=row[16],
        status=EndpointStatus(row[17]),
        disabled_reason=row[18],
        failing_since=row[19],
    )
