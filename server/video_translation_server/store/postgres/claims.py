"""Leases in PostgreSQL: which deliveries may be attempted now, and who holds them.

Every function takes a connection and runs inside the caller's transaction. `now` is the server's clock, leases run on
the database's (decision 0028).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from video_translation_server.model import Claim, RetiredSecret
from video_translation_server.store.base.rules import BURST
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.server import REAL_NOW, Server

# The endpoints with a row that is open and unclaimed, each with the first time at which one is due, by skipping
# through the index from one to the next. (A NULL comes last: nothing but rows that wait.)
_READY = """
WITH RECURSIVE ready AS (
  (SELECT endpoint, due_at FROM deliveries WHERE settled_at IS NULL AND claim_id IS NULL
   ORDER BY endpoint, due_at LIMIT 1)
  UNION ALL
  SELECT next.endpoint, next.due_at FROM ready CROSS JOIN LATERAL (
    SELECT d.endpoint, d.due_at FROM deliveries d
    WHERE d.settled_at IS NULL AND d.claim_id IS NULL AND d.endpoint > ready.endpoint
    ORDER BY d.endpoint, d.due_at LIMIT 1) next)
"""
_MAY_GO = f"""
p.status = 'enabled' AND ready.due_at <= $1 AND (p.paused_until IS NULL OR p.paused_until <= $1)
AND (p.next_send_at IS NULL OR p.next_send_at - {BURST} <= $1)
"""
_ROOM = """
greatest(1, coalesce(p.max_in_flight, {per_endpoint}) >> p.strain)
- (SELECT count(*) FROM deliveries c WHERE c.endpoint = p.n AND c.claim_id IS NOT NULL)
"""

# Whoever claims for an endpoint holds its row to the commit; the others pass it over. So what is counted of it in the
# next statement is exact, however many servers claim (decision 0027).
_CANDIDATES = f"""
{_READY}
SELECT p.n, p.rate_limit, p.next_send_at FROM ready JOIN endpoints p ON p.n = ready.endpoint
WHERE {_MAY_GO} AND {_ROOM.format(per_endpoint="$2::integer")} > 0
ORDER BY ready.due_at LIMIT $3 FOR NO KEY UPDATE OF p SKIP LOCKED
"""

# The first due rows of each of these endpoints, as many as each may get; endpoints take turns: the first of each first.
_CLAIM = f"""
WITH rooms AS MATERIALIZED (
  SELECT p.n, least({_ROOM.format(per_endpoint="$3::integer")}, given.allowed, $4) AS room
  FROM unnest($1::bigint[], $2::bigint[]) AS given(endpoint, allowed) JOIN endpoints p ON p.n = given.endpoint),
heads AS (
  SELECT d.id, d.due_at, row_number() OVER (PARTITION BY n ORDER BY d.due_at, d.id) AS turn
  FROM rooms CROSS JOIN LATERAL (
    SELECT o.id, o.due_at FROM deliveries o
    WHERE o.endpoint = n AND o.settled_at IS NULL AND o.claim_id IS NULL AND o.due_at <= $5
    ORDER BY o.due_at, o.id LIMIT greatest(room, 0)) d),
chosen AS MATERIALIZED (SELECT id FROM heads ORDER BY turn, due_at, id LIMIT $6),
free AS MATERIALIZED (
  SELECT d.id FROM deliveries d JOIN chosen USING (id)
  WHERE d.settled_at IS NULL AND d.claim_id IS NULL AND d.due_at <= $5 FOR NO KEY UPDATE OF d SKIP LOCKED),
claimed AS (
  UPDATE deliveries d SET claim_id = $7, leased_until = {REAL_NOW.format("$9")} + $8
  FROM free WHERE d.id = free.id
  RETURNING d.id, d.claim_id, d.attempts, d.tries, d.first_attempt_at, d.due_at, d.event, d.endpoint, d.job)
SELECT c.id, c.claim_id, c.attempts + 1, c.tries + 1, c.first_attempt_at, e.id, e.type, j.id, e.sequence, e.body,
  p.id, p.url, p.secret, p.retired, p.private_key, p.headers, c.due_at, c.endpoint
FROM claimed c JOIN events e ON e.position = c.event JOIN endpoints p ON p.n = c.endpoint
LEFT JOIN jobs j ON j.n = c.job
"""
_DUE_AT, _ENDPOINT = 16, 17

# Whether a place is free does not matter here: where none is, something is claimed.
_BUSY = f"""
SELECT EXISTS (SELECT 1 FROM deliveries WHERE claim_id IS NOT NULL) OR EXISTS (
  {_READY} SELECT 1 FROM ready JOIN endpoints p ON p.n = ready.endpoint WHERE {_MAY_GO})
"""

_NEXT_DUE = f"""
{_READY}
SELECT min(ready_at) FROM (
  SELECT greatest(ready.due_at, p.paused_until, p.next_send_at - {BURST}) AS ready_at
  FROM ready JOIN endpoints p ON p.n = ready.endpoint
  WHERE p.status = 'enabled' AND ready.due_at IS NOT NULL) open
WHERE ready_at > $1
"""

_EXPIRE = f"""
UPDATE deliveries SET claim_id = NULL, leased_until = NULL
WHERE claim_id IS NOT NULL AND leased_until <= {REAL_NOW.format("$1")}
"""
_RENEW = f"""
UPDATE deliveries d SET leased_until = {REAL_NOW.format("$4")} + $3
FROM unnest($1::bigint[], $2::bigint[]) AS given(id, claim_id)
WHERE d.id = given.id AND d.claim_id = given.claim_id RETURNING d.id, d.claim_id
"""
_RELEASE = """
UPDATE deliveries d SET claim_id = NULL, leased_until = NULL
FROM unnest($1::bigint[], $2::bigint[]) AS given(id, claim_id) WHERE d.id = given.id AND d.claim_id = given.claim_id
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker asks for; `claim_id` is a fence, `lease` real seconds."""

    now: float
    real_now: float | None
    lease: float
    claim_id: int
    limit: int
    per_endpoint: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An endpoint that may be sent to now; with a rate limit (per second), so many, from when on."""

    number: int
    allowed: int
    rate: float | None
    next_send_at: float


async def claim(connection: Connection, wish: Wish) -> list[Claim]:
    """Lease due deliveries until the wish is met or nothing more can be claimed."""
    candidates = [
        _candidate(row, wish) for row in await connection.fetch(_CANDIDATES, wish.now, wish.per_endpoint, wish.limit)
    ]
    rows: list[Any] = []
    while candidates and (rest := wish.limit - len(rows)) > 0:
        # No endpoint's backlog is looked into deeper than its turn can reach.
        depth = math.ceil(rest / len(candidates))
        taken = await _take(connection, wish, candidates, depth, rest)
        rows += taken
        # Only an endpoint that has filled its turn may have more.
        counts = _counts(taken)
        candidates = [
            _spent(candidate, counts[candidate.number])
            for candidate in candidates
            if counts.get(candidate.number, 0) >= depth
        ]
    rows.sort(key=lambda row: (row[_DUE_AT], row[0]))
    return [_claim(row, wish.now) for row in rows]


def _candidate(row: Sequence[Any], wish: Wish) -> _Candidate:
    number, rate, sent_until = row
    next_send_at = max(sent_until or 0.0, wish.now)
    if rate is None:
        return _Candidate(number, wish.limit, None, next_send_at)
    # At least one, whatever rounding does: the query has found that it may go now.
    return _Candidate(number, max(1, math.floor((wish.now + BURST - next_send_at) * rate) + 1), rate, next_send_at)


def _spent(candidate: _Candidate, count: int) -> _Candidate:
    """The candidate when so many were taken of it."""
    if candidate.rate is None:
        return candidate
    next_send_at = candidate.next_send_at + count / candidate.rate
    return _Candidate(candidate.number, max(candidate.allowed - count, 0), candidate.rate, next_send_at)


def _counts(rows: Sequence[Any]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for row in rows:
        counts[row[_ENDPOINT]] = counts.get(row[_ENDPOINT], 0) + 1
    return counts


async def _take(
    connection: Connection, wish: Wish, candidates: Sequence[_Candidate], depth: int, limit: int
) -> list[Any]:
    """Lease at most `depth` of each candidate and `limit` in all."""
    rows: list[Any] = await connection.fetch(
        _CLAIM,
        [candidate.number for candidate in candidates],
        [candidate.allowed for candidate in candidates],
        wish.per_endpoint,
        depth,
        wish.now,
        limit,
        wish.claim_id,
        wish.lease,
        wish.real_now,
    )
    counts = _counts(rows)
    paced = [
        (candidate.number, candidate.next_send_at + counts[candidate.number] / candidate.rate)
        for candidate in candidates
        if candidate.rate is not None and candidate.number in counts
    ]
    if paced:
        # When a rate limit allows the next one (the generic cell rate algorithm).
        await connection.executemany("UPDATE endpoints SET next_send_at = $2 WHERE n = $1", paced)
    return rows


async def expire(connection: Connection, real_now: float | None) -> float | None:
    """Free what is leased no longer: its worker is gone or stuck. The answer: in how many seconds the next runs out."""
    await connection.execute(_EXPIRE, real_now)
    left: float | None = await connection.fetchval(
        f"SELECT min(leased_until) - {REAL_NOW.format('$1')} FROM deliveries WHERE claim_id IS NOT NULL", real_now
    )
    return left


async def renew(connection: Connection, claims: Sequence[Claim], lease: float, real_now: float | None) -> list[bool]:
    """Extend the leases that still hold."""
    rows = await connection.fetch(_RENEW, *_fences(claims), lease, real_now)
    renewed = {(row[0], row[1]) for row in rows}
    return [(held.delivery_id, held.claim_id) in renewed for held in claims]


async def release(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give leases back unused."""
    await connection.execute(_RELEASE, *_fences(claims))


async def release_all(connection: Connection, server: Server) -> None:
    """Give back every lease that this server holds."""
    await connection.execute(
        "UPDATE deliveries SET claim_id = NULL, leased_until = NULL "
        "WHERE claim_id IS NOT NULL AND claim_id BETWEEN $1 AND $2",
        *server.fences,
    )


def _fences(claims: Sequence[Claim]) -> tuple[list[int], list[int]]:
    return [held.delivery_id for held in claims], [held.claim_id for held in claims]


async def next_due(connection: Connection, now: float) -> float | None:
    """When the first endpoint of which nothing can be claimed yet comes to its turn, later than `now`."""
    due_at: float | None = await connection.fetchval(_NEXT_DUE, now)
    return due_at


async def is_busy(connection: Connection, now: float) -> bool:
    """True while anything is leased, or could be."""
    busy: bool = await connection.fetchval(_BUSY, now)
    return busy


def _claim(row: Sequence[Any], now: float) -> Claim:
    return Claim(
        delivery_id=row[0],
        claim_id=row[1],
        attempt=row[2],
        tries=row[3],
        first_attempt_at=row[4],
        event_id=row[5],
        event_type=row[6],
        job_id=row[7],
        sequence=row[8],
        body=row[9],
        endpoint_id=row[10],
        url=row[11],
        secrets=(row[12], *(old.secret for old in _retired(row[13]) if old.until > now)),
        private_key=row[14],
        headers=_headers(row[15]),
    )


@lru_cache(maxsize=1024)
def _retired(text: str) -> tuple[RetiredSecret, ...]:
    return msgspec.json.decode(text, type=tuple[RetiredSecret, ...])


@lru_cache(maxsize=1024)
def _headers(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])
