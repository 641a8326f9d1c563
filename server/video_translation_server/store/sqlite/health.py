"""Endpoints' health in SQLite: slowing down, recovering, giving up, and the notices of all this.

Works inside the caller's transaction; what became of the deliveries themselves is in `settlements`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from video_translation_server.model import Claim, Dead, Delivered, EndpointStatus, Gone, Settlement
from video_translation_server.store.base.rules import (
    FIRST_PAUSE,
    HURRIED_AT_ONCE,
    LONGEST_PAUSE,
    MAX_HURRIES,
    MAX_STRAIN,
    RECOVERY_WORTH_TELLING,
    Rules,
)
from video_translation_server.store.sqlite import log
from video_translation_server.wire.events import NOTICES, iso_time, notice_event

_COLUMNS = "n, id, workspace_id, url, failing_since, strain, paused_until, status"
_FAILING = f"SELECT {_COLUMNS} FROM endpoints WHERE n IN (SELECT value FROM json_each(?))"
_UNWELL = f"{_FAILING} AND (failing_since IS NOT NULL OR strain > 0)"

_HURRY = """
UPDATE deliveries SET due_at = :now, hurries = hurries + 1 WHERE id IN (
  SELECT id FROM deliveries WHERE endpoint = :endpoint AND due_at > :now AND claim_id IS NULL AND hurries < :most
  ORDER BY due_at LIMIT :limit)
"""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An endpoint's health columns."""

    number: int
    id: str
    workspace_id: str
    url: str
    failing_since: float | None
    strain: int
    paused_until: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Ward:
    """Looks after the endpoints of one batch of settlements, at one instant."""

    connection: apsw.Connection
    now: float
    rules: Rules

    def follow(self, settled: Iterable[tuple[int, Settlement]]) -> int:
        """Bring the health of each endpoint (by row number) up to date; how many notices that made."""
        notices = 0
        answering: set[int] = set()
        failing: dict[int, list[Settlement]] = {}
        for number, settlement in settled:
            if isinstance(settlement.verdict, Delivered):
                answering.add(number)
            else:
                failing.setdefault(number, []).append(settlement)
        for endpoint in self._read(_UNWELL, answering):
            notices += self._recover(endpoint)
        for endpoint in self._read(_FAILING, failing):
            settlements = failing[endpoint.number]
            notices += self._fail(endpoint, settlements, also_answers=endpoint.number in answering)
            for settlement in settlements:
                notices += isinstance(settlement.verdict, Dead) and self._tell_exhausted(endpoint, settlement)
        return notices

    def _read(self, query: str, numbers: Iterable[int]) -> list[_Endpoint]:
        numbers = list(numbers)
        if not numbers:
            return []
        rows: Iterable[Any] = self.connection.execute(query, (msgspec.json.encode(numbers).decode(),))
        return [_Endpoint(*row) for row in rows]

    def _recover(self, endpoint: _Endpoint) -> bool:
        """A success: the pause ends, one step of slowing down is taken back, and the backlog is due."""
        self.connection.execute(
            "UPDATE endpoints SET failing_since = NULL, paused_until = NULL, strain = max(strain - 1, 0) WHERE n = ?",
            (endpoint.number,),
        )
        if endpoint.failing_since is None:
            return False
        self.connection.execute(
            _HURRY, {"endpoint": endpoint.number, "now": self.now, "most": MAX_HURRIES, "limit": HURRIED_AT_ONCE}
        )
        if self.connection.changes() == HURRIED_AT_ONCE:
            # There may be more: the next success goes on with them, as if the endpoint had failed until now.
            self.connection.execute("UPDATE endpoints SET failing_since = ? WHERE n = ?", (self.now, endpoint.number))
        if self.now - endpoint.failing_since < RECOVERY_WORTH_TELLING:
            return False
        return self._tell("endpoint.recovered", endpoint, {"failing_since": iso_time(endpoint.failing_since)})

    def _fail(self, endpoint: _Endpoint, settlements: Sequence[Settlement], *, also_answers: bool) -> bool:
        """Failures: the endpoint may need a pause, and may be given up."""
        since = self.now if endpoint.failing_since is None or also_answers else endpoint.failing_since
        strain, paused_until = endpoint.strain, endpoint.paused_until
        is_paused = paused_until is not None and paused_until > self.now
        # Attempts that were under way together say the same thing: they count once.
        if any(settlement.strained for settlement in settlements) and not is_paused:
            paused_until = self.now + min(FIRST_PAUSE * 2**strain, LONGEST_PAUSE)
            strain = min(strain + 1, MAX_STRAIN)
        self.connection.execute(
            "UPDATE endpoints SET failing_since = ?, strain = ?, paused_until = ? WHERE n = ?",
            (since, strain, paused_until, endpoint.number),
        )
        is_gone = any(isinstance(settlement.verdict, Gone) for settlement in settlements)
        is_hopeless = self.now - since >= self.rules.disable_after
        if endpoint.status != EndpointStatus.ENABLED or not (is_gone or is_hopeless):
            return False
        return self._disable(endpoint, "it answered 410 Gone" if is_gone else f"no success since {iso_time(since)}")

    def _disable(self, endpoint: _Endpoint, reason: str) -> bool:
        self.connection.execute(
            "UPDATE endpoints SET status = ?, disabled_reason = ? WHERE n = ?",
            (EndpointStatus.DISABLED, reason, endpoint.number),
        )
        return self._tell("endpoint.disabled", endpoint, {"reason": reason})

    def _tell_exhausted(self, endpoint: _Endpoint, settlement: Settlement) -> bool:
        if settlement.claim.event_type in NOTICES:
            return False  # a notice of a notice would go on for ever
        outcome = settlement.attempt.outcome
        last = {"last_outcome": outcome.kind, "last_status": outcome.status}
        return self._tell("delivery.exhausted", endpoint, _exhausted(settlement.claim) | last)

    def _tell(self, event_type: str, endpoint: _Endpoint, more: dict[str, Any]) -> bool:
        data = {"endpoint_id": endpoint.id, "url": endpoint.url} | more
        event = notice_event(
            event_type, data, event_id=self.rules.ids("evt"), workspace_id=endpoint.workspace_id, now=self.now
        )
        log.append(self.connection, event, not_to=endpoint.number)
        return True


def _exhausted(claim: Claim) -> dict[str, Any]:
    return {
        "delivery_id": f"dlv_{claim.delivery_id}",
        "event_id": claim.event_id,
        "event_type": claim.event_type,
        "video_translate_id": claim.job_id,
        "attempts": claim.attempt,
    }
