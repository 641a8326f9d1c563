"""Leases in PostgreSQL: which deliveries may be attempted now, and who holds them.

Every function takes a connection and runs inside the caller's transaction. `now` is the server's clock, leases run on
the database's (decision 0033). What else is asked of the line of turns is in `turns`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from video_translation_server.model import Claim
from video_translation_server.store.base import records
from video_translation_server.store.base.rules import BURST
from video_translation_server.store.postgres import turns
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.server import REAL_NOW, Server
from video_translation_server.store.postgres.turns import AHEAD, FREE, IS_FIRST

# In the order of their turns, the first of each endpoint. Whoever claims for an endpoint holds its row to the commit;
# the others pass it over. So what is counted of it in the next statement is exact, however many servers claim (decision
# 0032).
_CANDIDATES = f"""
SELECT t.endpoint FROM turns t JOIN endpoints p ON p.n = t.endpoint
WHERE t.at <= $1 AND t.endpoint <> ALL($3::bigint[]) AND {IS_FIRST}
ORDER BY t.at, t.n LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED
"""

_A_FEW = 16
"""Endpoints that a claim may always hold."""

# 1. How many each of these endpoints may get: by its limit, its rate (the generic cell rate algorithm), its pause.
# 2. The first free rows of each, one more than it may get; they take turns: first the first of each.
# 3. What is chosen is leased, unless somebody holds it or has taken it.
# 4. Each endpoint gets one turn for all that it had: by what is left of it, behind those that have waited since; at
#    infinity where it is full, if who ends a lease is sure to see that: it stood there before, or a lease is our own or
#    its row is locked by us (`kept`), so that nobody can end it before our commit.
# Written so that no plan walks far, whatever the planner knows of the tables: rows of these steps are never joined to
# each other, what was chosen is found by its id alone (`num_nulls` fits no index), and what is limited is read in an
# index's order, which clears away dead entries as a bitmap does not.
_CLAIM = f"""
WITH visited AS MATERIALIZED (
  SELECT p.n, p.rate_limit, p.paused_until, p.next_send_at, line.served, line.was_full, most - leased AS room
  FROM endpoints p
  CROSS JOIN LATERAL (SELECT greatest(1, coalesce(p.max_in_flight, $2::integer) >> p.strain) AS most) capacity
  CROSS JOIN LATERAL (
    SELECT count(*) AS leased FROM (
      SELECT 1 FROM deliveries c WHERE c.endpoint = p.n AND c.claim_id IS NOT NULL LIMIT most) held) counted
  LEFT JOIN LATERAL (
    SELECT CASE WHEN t.served > $4 + {AHEAD} THEN $4 ELSE t.served END AS served, t.at = 'infinity' AS was_full
    FROM turns t WHERE t.endpoint = p.n ORDER BY t.at DESC, t.n DESC LIMIT 1) line ON true
  WHERE p.n = ANY($1::bigint[]) AND p.status = 'enabled'),
allowed AS MATERIALIZED (
  SELECT n, room, served, was_full, greatest(0, CASE
    WHEN greatest(paused_until, next_send_at - {BURST}) > $4 THEN 0
    WHEN rate_limit IS NULL THEN least(room, $3)
    ELSE least(room, $3, greatest(1, floor(($4 + {BURST} - greatest(next_send_at, $4)) * rate_limit) + 1))
  END)::bigint AS allowance FROM visited),
heads AS MATERIALIZED (
  SELECT allowed.*, d.id, d.due_at, row_number() OVER (PARTITION BY n ORDER BY d.due_at, d.id) AS turn
  FROM allowed CROSS JOIN LATERAL (
    SELECT o.id, o.due_at FROM deliveries o WHERE o.endpoint = n AND {FREE}
    ORDER BY o.due_at, o.id LIMIT allowance + 1) d),
chosen AS MATERIALIZED (
  SELECT id FROM heads WHERE turn <= allowance AND due_at <= $4 ORDER BY turn, due_at, id LIMIT $5),
unheld AS MATERIALIZED (
  SELECT d.id FROM deliveries d JOIN chosen USING (id)
  WHERE num_nulls(d.settled_at, d.claim_id) = 2 AND d.due_at <= $4 FOR NO KEY UPDATE OF d SKIP LOCKED),
claimed AS (
  UPDATE deliveries d SET claim_id = $6, leased_until = {REAL_NOW.format("$8")} + $7
  FROM unheld WHERE d.id = unheld.id
  RETURNING d.id, d.attempts, d.tries, d.first_attempt_at, d.due_at, d.event, d.endpoint, d.job),
kept AS MATERIALIZED (
  SELECT n FROM visited CROSS JOIN LATERAL (
    SELECT FROM deliveries c WHERE c.endpoint = n AND c.claim_id IS NOT NULL LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED) lease
  WHERE room <= 0 AND was_full IS NOT TRUE),
left_over AS (
  SELECT n, max(room) AS room, max(served) AS served, bool_or(was_full) AS was_full,
    count(*) FILTER (WHERE is_claimed) AS count, min(due_at) FILTER (WHERE NOT is_claimed) AS due_at
  FROM (
    SELECT n, id, max(room) AS room, max(served) AS served, bool_or(was_full) AS was_full, max(due_at) AS due_at,
      bool_or(is_claimed) AS is_claimed
    FROM (
      SELECT n, id, room, served, was_full, due_at, false AS is_claimed FROM heads
      UNION ALL SELECT endpoint, id, NULL, NULL, NULL, due_at, true FROM claimed) looked
    GROUP BY n, id) each
  GROUP BY n),
given AS MATERIALIZED (
  SELECT p.n, p.max_in_flight, p.paused_until, l.due_at,
    l.room <= l.count AND (l.was_full OR l.count > 0 OR l.n IN (SELECT n FROM kept)) AS is_full,
    CASE WHEN l.count > 0 THEN $4 ELSE l.served END AS served,
    CASE WHEN l.count > 0 THEN greatest(p.next_send_at, $4) + l.count / p.rate_limit END AS spent_until,
    p.next_send_at
  FROM left_over l JOIN endpoints p ON p.n = l.n),
paced AS (
  UPDATE endpoints p SET next_send_at = given.spent_until FROM given
  WHERE p.n = given.n AND given.spent_until IS NOT NULL),
ended AS (DELETE FROM turns WHERE endpoint = ANY($1::bigint[])),
begun AS (
  INSERT INTO turns (endpoint, at, served, full_at)
  SELECT n, CASE WHEN waits THEN 'infinity' ELSE greatest(at, served) END, served,
    CASE WHEN waits AND max_in_flight IS NULL THEN $2 END
  FROM (SELECT *, greatest(due_at, paused_until, coalesce(spent_until, next_send_at) - {BURST}) AS at FROM given) g
  CROSS JOIN LATERAL (SELECT is_full AND at <= $4 AS waits) w
  WHERE due_at IS NOT NULL)
SELECT c.id, c.attempts + 1, c.tries + 1, c.first_attempt_at, e.id, e.type, j.id, e.sequence, e.body,
  c.due_at, c.endpoint, p.id, p.url, p.secret, p.retired, p.private_key, p.headers
FROM claimed c JOIN events e ON e.position = c.event JOIN endpoints p ON p.n = c.endpoint
LEFT JOIN jobs j ON j.n = c.job
"""
_DUE_AT, _ENDPOINT, _RECIPIENT = 9, 10, slice(11, None)

# What somebody holds is passed over, and looked at again: who waits for a frozen server renews no lease meanwhile.
_EXPIRE = f"""
WITH over AS MATERIALIZED (SELECT id FROM deliveries
  WHERE claim_id IS NOT NULL AND leased_until <= {REAL_NOW.format("$1")} FOR NO KEY UPDATE SKIP LOCKED)
UPDATE deliveries d SET claim_id = NULL, leased_until = NULL FROM over WHERE d.id = over.id
"""
_HELD = """
WITH held AS MATERIALIZED (SELECT d.id
  FROM deliveries d JOIN unnest($1::bigint[], $2::bigint[]) AS given(id, claim_id) USING (id, claim_id)
  ORDER BY d.id FOR NO KEY UPDATE OF d) UPDATE deliveries d"""
_RENEW = f"""{_HELD} SET leased_until = {REAL_NOW.format("$4")} + $3
FROM held WHERE d.id = held.id RETURNING d.id, d.claim_id
"""
_RELEASE = f"{_HELD} SET claim_id = NULL, leased_until = NULL FROM held WHERE d.id = held.id"


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
class Claimed:
    """What a claim has brought.

    Attributes:
        claims: By due time.
        has_passed_over: They are fewer than were wished for, and there are turns that have come of endpoints that this
            claim has not seen: another server holds them.
    """

    claims: list[Claim]
    has_passed_over: bool


async def claim(connection: Connection, wish: Wish) -> Claimed:
    """Lease due deliveries until the wish is met or nothing more can be claimed."""
    rows: list[Any] = []
    exhausted: set[int] = set()
    while (rest := wish.limit - len(rows)) > 0:
        # Where there are many places, half as many endpoints and two of each: so others who claim find some, too.
        # Where there are few, as many, until some have turned out to be full.
        most = max(_A_FEW if exhausted else min(rest, _A_FEW), rest // 2)
        # Who gave less than was asked for gives nothing more, and must not be in the way of those behind.
        endpoints = [row[0] for row in await connection.fetch(_CANDIDATES, wish.now, most, list(exhausted))]
        if not endpoints:
            break
        # No endpoint's backlog is looked into deeper than its turn can reach.
        depth = math.ceil(rest / len(endpoints))
        taken = await _take(connection, wish, endpoints, depth, rest)
        rows += taken
        counts = Counter(row[_ENDPOINT] for row in taken)
        exhausted.update(endpoint for endpoint in endpoints if counts[endpoint] < depth)
        if len(endpoints) < most and exhausted.issuperset(endpoints):
            break
    rows.sort(key=lambda row: (row[_DUE_AT], row[0]))
    is_short = len(rows) < wish.limit
    return Claimed(
        claims=[records.claim(row, wish.claim_id, records.recipient(row[_RECIPIENT]), wish.now) for row in rows],
        has_passed_over=is_short and await turns.have_come(connection, wish.now, without=exhausted),
    )


async def _take(connection: Connection, wish: Wish, endpoints: Sequence[int], depth: int, limit: int) -> list[Any]:
    """Lease at most `depth` of each endpoint and `limit` in all."""
    rows: list[Any] = await connection.fetch(
        _CLAIM,
        endpoints,
        wish.per_endpoint,
        depth,
        wish.now,
        limit,
        wish.claim_id,
        wish.lease,
        wish.real_now,
    )
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
