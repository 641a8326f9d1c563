"""Leases in SQLite: which deliveries may be attempted now, and who holds them.

Every function takes a connection and runs inside the caller's transaction. `now` is the server's clock, `real_now`
the machine's: leases run on real time (decision 0013).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import apsw
import msgspec

from video_translation_server.model import Claim
from video_translation_server.store.base import records
from video_translation_server.store.base.rules import BURST
from video_translation_server.store.sqlite.recipients import Recipients

# In the order of their turns; read only as far as there are places to fill. Passed over on the way are endpoints that
# are full, and these are no more than there are leases.
_CANDIDATES = """
SELECT endpoint, (SELECT count(*) FROM deliveries c WHERE c.endpoint = turns.endpoint AND c.claim_id IS NOT NULL)
FROM turns WHERE at <= ? ORDER BY at
"""

# A rate limit in the form of the generic cell rate algorithm: how far ahead of now an endpoint has been sent to.
_AHEAD = "SELECT max(coalesce(next_send_at, 0) - ?, 0) FROM endpoints WHERE n = ?"
_SPACE_OUT = "UPDATE endpoints SET next_send_at = max(coalesce(next_send_at, 0), :now) + :spaced WHERE n = :endpoint"

# Whether a place is free does not matter here: where none is, something is claimed.
_BUSY = """
SELECT EXISTS (SELECT 1 FROM deliveries WHERE claim_id IS NOT NULL) OR EXISTS (SELECT 1 FROM turns WHERE at <= :now)
"""

_DUE = "SELECT EXISTS (SELECT 1 FROM turns WHERE at <= ?)"
_NEXT_DUE = "SELECT min(at) FROM turns WHERE at > :now"

# The first due rows of each of these endpoints, with what an attempt needs. Ranked in Python: a window function here
# costs three times as much.
_HEADS = """
SELECT d.id, d.attempts + 1, d.tries + 1, d.first_attempt_at, e.id, e.type, (SELECT id FROM jobs WHERE n = d.job),
  e.sequence, e.body, d.due_at, d.endpoint
FROM json_each(:endpoints) p JOIN deliveries d ON d.id {among} (
  SELECT x.id FROM deliveries x
  WHERE x.endpoint = p.value AND x.due_at <= :now AND x.claim_id IS NULL ORDER BY x.due_at, x.id LIMIT {depth})
JOIN events e ON e.position = d.event
"""
_FIRST_OF_EACH = _HEADS.format(among="=", depth=1)
# Of a list SQLite makes a table first: for one row of each that would be a fifth of the claim's cost.
_FIRST_FEW_OF_EACH = _HEADS.format(among="IN", depth=":depth")
_DUE_AT, _ENDPOINT = 9, 10
_id, _endpoint, _in_line = itemgetter(0), itemgetter(_ENDPOINT), itemgetter(_DUE_AT, 0)

_CLAIM = """
UPDATE OR FAIL deliveries SET claim_id = :claim_id, leased_until = :leased_until
WHERE id IN (SELECT value FROM json_each(:ids))
"""

# The due time is named so that the triggers on it bring the endpoint back into line.
_GIVE_BACK = "UPDATE deliveries SET claim_id = NULL, leased_until = NULL, due_at = due_at"

# Who was served and has more stands behind those who have waited since: the line goes round. It was their turn, so that
# nothing but a rate limit, which has moved the turn on already, can put it off.
_SERVED = """
DELETE FROM turns WHERE endpoint IN (SELECT value FROM json_each(:endpoints)) AND NOT EXISTS (
  SELECT 1 FROM deliveries d WHERE d.endpoint = turns.endpoint AND d.due_at IS NOT NULL AND d.claim_id IS NULL);
UPDATE OR FAIL turns SET at = max(:now, at, (
  SELECT min(d.due_at) FROM deliveries d
  WHERE d.endpoint = turns.endpoint AND d.due_at IS NOT NULL AND d.claim_id IS NULL))
WHERE endpoint IN (SELECT value FROM json_each(:endpoints))
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker asks for; `claim_id` is a number never used before, `leased_until` real time."""

    now: float
    leased_until: float
    claim_id: int
    limit: int
    per_endpoint: int


def claim(connection: apsw.Connection, wish: Wish, recipients: Recipients) -> list[Claim]:
    """Lease due deliveries until the wish is met or nothing more can be claimed."""
    known = recipients.known()
    claiming = _Claiming(connection, wish, known)
    taken: list[Any] = []
    while (rest := wish.limit - len(taken)) > 0:
        rooms = claiming.rooms(rest)
        if not rooms:
            break
        most = max(rooms.values())
        # No endpoint's backlog is looked into deeper than its turn can reach, and nothing is read that is not taken.
        depth = min(most, max(1, rest // len(rooms)))
        taken += claiming.take(rooms, depth, rest)
        if depth == most and len(rooms) < rest:
            break
    taken.sort(key=_in_line)
    return [records.claim(row, wish.claim_id, known[row[_ENDPOINT]].record, wish.now) for row in taken]


@dataclass(frozen=True, slots=True)
class _Claiming:
    """The steps of one claim."""

    connection: apsw.Connection
    wish: Wish
    known: Recipients

    def rooms(self, most: int) -> dict[int, int]:
        """How many may be claimed of each endpoint; of at most so many endpoints, those that waited the longest."""
        rooms: dict[int, int] = {}
        for number, leased in self.connection.execute(_CANDIDATES, (self.wish.now,)):
            recipient = self.known[number]
            room = recipient.room(self.wish.per_endpoint) - leased
            if recipient.rate is not None:
                ahead: Any = self.connection.execute(_AHEAD, (self.wish.now, number)).get
                # At least one, whatever rounding does: it is its turn.
                room = min(room, max(1, math.floor((BURST - ahead) * recipient.rate) + 1))
            if room > 0:
                rooms[number] = room
                if len(rooms) == most:
                    break
        return rooms

    def take(self, rooms: Mapping[int, int], depth: int, limit: int) -> list[Any]:
        """Lease at most `depth` of each endpoint and `limit` in all; endpoints take turns: first the first of each."""
        heads = _FIRST_OF_EACH if depth == 1 else _FIRST_FEW_OF_EACH
        rows = self.connection.execute(heads, {"endpoints": _json(rooms), "now": self.wish.now, "depth": depth})
        taken = _first(sorted(rows, key=_in_line), rooms, limit)
        ids = _json(map(_id, taken))
        self.connection.execute(
            _CLAIM, {"ids": ids, "claim_id": self.wish.claim_id, "leased_until": self.wish.leased_until}
        )
        counts = Counter(map(_endpoint, taken))
        self._space_out(counts)
        self.connection.execute(_SERVED, {"endpoints": _json(counts), "now": self.wish.now})
        return taken

    def _space_out(self, counts: Mapping[int, int]) -> None:
        """Remember when rate limits allow the next ones."""
        for number, count in counts.items():
            rate = self.known[number].rate
            if rate is not None:
                spaced = count / rate
                self.connection.execute(_SPACE_OUT, {"now": self.wish.now, "spaced": spaced, "endpoint": number})


def _first(rows: Iterable[Any], rooms: Mapping[int, int], limit: int) -> list[Any]:
    """As many of these rows, which are in the order of their due times, as there is room for, endpoints in turns."""
    turns = dict.fromkeys(rooms, 0)
    ranked = []
    for row in rows:
        number = row[_ENDPOINT]
        turns[number] = turn = turns[number] + 1
        if turn <= rooms[number]:
            ranked.append((turn, row))
    if len(ranked) > limit:
        ranked.sort(key=itemgetter(0))
    return [row for _, row in ranked[:limit]]


def _json(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()


def expire(connection: apsw.Connection, real_now: float) -> float | None:
    """Free what is leased no longer: its worker is gone or stuck. The answer: when the next lease runs out."""
    connection.execute(f"{_GIVE_BACK} WHERE claim_id IS NOT NULL AND leased_until <= ?", (real_now,))
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
        f"{_GIVE_BACK} WHERE id = ? AND claim_id = ?",
        [(held.delivery_id, held.claim_id) for held in claims],
    )


def release_all(connection: apsw.Connection) -> None:
    """Take back every lease: a process that owns the file alone inherits those of the one before it."""
    connection.execute(f"{_GIVE_BACK} WHERE claim_id IS NOT NULL")


def next_due(connection: apsw.Connection, now: float) -> float | None:
    """The next turn later than `now`."""
    return connection.execute(_NEXT_DUE, {"now": now}).get  # type: ignore[no-any-return]


def is_due(connection: apsw.Connection, now: float) -> bool:
    """True while it is anybody's turn."""
    return bool(connection.execute(_DUE, (now,)).get)


def is_busy(connection: apsw.Connection, now: float) -> bool:
    """True while anything is leased, or could be."""
    return bool(connection.execute(_BUSY, {"now": now}).get)
