"""Leases in SQLite: which deliveries may be attempted now, and who holds them.

Every function takes a connection and runs inside the caller's transaction. `now` is the server's clock, `real_now`
the machine's: leases run on real time (decision 0013).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import apsw
import msgspec

from video_translation_server.model import Claim
from video_translation_server.store.base import records
from video_translation_server.store.base.rules import BURST

# In the order of their turns; read only as far as there are places to fill. Passed over on the way are endpoints that
# are full, and these are no more than there are leases.
_CANDIDATES = """
SELECT t.endpoint, p.rate_limit, p.next_send_at, max(1, coalesce(p.max_in_flight, :per_endpoint) >> p.strain)
  - (SELECT count(*) FROM deliveries c WHERE c.endpoint = t.endpoint AND c.claim_id IS NOT NULL) AS room
FROM turns t JOIN endpoints p ON p.n = t.endpoint WHERE t.at <= :now ORDER BY t.at
"""

# Whether a place is free does not matter here: where none is, something is claimed.
_BUSY = """
SELECT EXISTS (SELECT 1 FROM deliveries WHERE claim_id IS NOT NULL) OR EXISTS (SELECT 1 FROM turns WHERE at <= :now)
"""

_DUE = "SELECT EXISTS (SELECT 1 FROM turns WHERE at <= ?)"
_NEXT_DUE = "SELECT min(at) FROM turns WHERE at > :now"

# The first due rows of each of these endpoints. Ranked in Python: a window function here costs three times as much.
_HEADS = """
SELECT d.id, d.endpoint, d.due_at FROM json_each(:endpoints) p JOIN deliveries d ON d.id IN (
  SELECT x.id FROM deliveries x
  WHERE x.endpoint = p.value AND x.due_at <= :now AND x.claim_id IS NULL ORDER BY x.due_at, x.id LIMIT :take)
"""

_CLAIM = """
UPDATE deliveries SET claim_id = :claim_id, leased_until = :leased_until
WHERE id IN (SELECT value FROM json_each(:ids))
"""

# Who was served and has more stands behind those who have waited since: the line goes round.
_SERVED = """
DELETE FROM turns WHERE endpoint IN (SELECT value FROM json_each(:endpoints)) AND NOT EXISTS (
  SELECT 1 FROM deliveries d WHERE d.endpoint = turns.endpoint AND d.due_at IS NOT NULL AND d.claim_id IS NULL);
UPDATE turns SET at = max(:now, (SELECT v.at FROM turns_as_they_are v WHERE v.endpoint = turns.endpoint))
WHERE endpoint IN (SELECT value FROM json_each(:endpoints))
"""

_CLAIMED = """
SELECT d.id, d.claim_id, d.attempts + 1, d.tries + 1, d.first_attempt_at, e.id, e.type,
  (SELECT id FROM jobs WHERE n = d.job), e.sequence, e.body, p.id, p.url, p.secret, p.retired, p.private_key, p.headers
FROM json_each(?) claimed JOIN deliveries d ON d.id = claimed.value
JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint ORDER BY d.due_at, d.id
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker asks for; `claim_id` is a number never used before, `leased_until` real time."""

    now: float
    leased_until: float
    claim_id: int
    limit: int
    per_endpoint: int


def claim(connection: apsw.Connection, wish: Wish) -> list[Claim]:
    """Lease due deliveries until the wish is met or nothing more can be claimed."""
    ids: list[int] = []
    while (rest := wish.limit - len(ids)) > 0:
        candidates = list(islice(_candidates(connection, wish), rest))
        if not candidates:
            break
        most = max(candidate.room for candidate in candidates)
        # No endpoint's backlog is looked into deeper than its turn can reach.
        take = min(most, math.ceil(rest / len(candidates)))
        ids += _take(connection, wish, candidates, take, rest)
        if take == most and len(candidates) < rest:
            break
    if not ids:
        return []
    return [records.claim(row, wish.now) for row in connection.execute(_CLAIMED, (_json(ids),))]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An endpoint of which `room` deliveries may be claimed now; with a rate limit (per second), from when on."""

    number: int
    room: int
    rate: float | None
    next_send_at: float


def _candidates(connection: apsw.Connection, wish: Wish) -> Iterator[_Candidate]:
    """The endpoints with something to claim, the one that may go for the longest first."""
    rows = connection.execute(_CANDIDATES, {"now": wish.now, "per_endpoint": wish.per_endpoint})
    for number, rate, sent_until, room in rows:
        next_send_at, allowed = max(sent_until or 0.0, wish.now), room
        if rate is not None:
            # At least one, whatever rounding does: the query has found that it may go now.
            allowed = max(1, math.floor((wish.now + BURST - next_send_at) * rate) + 1)
        if min(room, allowed) > 0:
            yield _Candidate(number, min(room, allowed), rate, next_send_at)


def _take(
    connection: apsw.Connection, wish: Wish, candidates: Sequence[_Candidate], take: int, limit: int
) -> list[int]:
    """Lease at most `take` of each candidate and `limit` in all; endpoints take turns: first the first of each."""
    rooms = {candidate.number: candidate.room for candidate in candidates}
    turns: Counter[int] = Counter()
    heads = []
    for delivery, number, due_at in connection.execute(
        _HEADS, {"endpoints": _json(list(rooms)), "now": wish.now, "take": take}
    ):
        turns[number] += 1
        if turns[number] <= rooms[number]:
            heads.append((turns[number], due_at, delivery, number))
    taken = sorted(heads)[:limit]
    ids = [delivery for _, _, delivery, _ in taken]
    connection.execute(_CLAIM, {"ids": _json(ids), "claim_id": wish.claim_id, "leased_until": wish.leased_until})
    counts = Counter(number for _, _, _, number in taken)
    for candidate in candidates:
        _space_out(connection, candidate, counts[candidate.number])
    connection.execute(_SERVED, {"endpoints": _json(list(counts)), "now": wish.now})
    return ids


def _json(numbers: list[int]) -> str:
    return msgspec.json.encode(numbers).decode()


def _space_out(connection: apsw.Connection, candidate: _Candidate, count: int) -> None:
    """Remember when a rate limit allows the next one (the generic cell rate algorithm)."""
    if candidate.rate is not None and count:
        next_send_at = candidate.next_send_at + count / candidate.rate
        connection.execute("UPDATE endpoints SET next_send_at = ? WHERE n = ?", (next_send_at, candidate.number))


def expire(connection: apsw.Connection, real_now: float) -> float | None:
    """Free what is leased no longer: its worker is gone or stuck. The answer: when the next lease runs out."""
    connection.execute(
        "UPDATE deliveries SET claim_id = NULL, leased_until = NULL WHERE claim_id IS NOT NULL AND leased_until <= ?",
        (real_now,),
    )
    return connection.execute("SELECT min(leased_until) FROM deliveries WHERE claim_id IS NOT NULL").get  # type: ignore[no-any-return]


def renew(connection: apsw.Connection, claims: Sequence[Claim], leased_until: float) -> list[bool]:
    """Extend the leases that still hold."""
    renewed = []
    for held in claims:
        connection.execute(
            "UPDATE deliveries SET leased_until = ? WHERE id = ? AND claim_id = ?",
            (leased_until, held.delivery_id, held.claim_id),
        )
        renewed.append(connection.changes() == 1)
    return renewed


def release(connection: apsw.Connection, claims: Sequence[Claim]) -> None:
    """Give leases back unused."""
    connection.executemany(
        "UPDATE deliveries SET claim_id = NULL, leased_until = NULL WHERE id = ? AND claim_id = ?",
        [(held.delivery_id, held.claim_id) for held in claims],
    )


def release_all(connection: apsw.Connection) -> None:
    """Take back every lease: a process that owns the file alone inherits those of the one before it."""
    connection.execute("UPDATE deliveries SET claim_id = NULL, leased_until = NULL WHERE claim_id IS NOT NULL")


def next_due(connection: apsw.Connection, now: float) -> float | None:
    """The next turn later than `now`."""
    return connection.execute(_NEXT_DUE, {"now": now}).get  # type: ignore[no-any-return]


def is_due(connection: apsw.Connection, now: float) -> bool:
    """True while it is anybody's turn."""
    return bool(connection.execute(_DUE, (now,)).get)


def is_busy(connection: apsw.Connection, now: float) -> bool:
    """True while anything is leased, or could be."""
    return bool(connection.execute(_BUSY, {"now": now}).get)
