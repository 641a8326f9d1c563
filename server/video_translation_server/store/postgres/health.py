"""Endpoints' health in PostgreSQL: slowing down, recovering, giving up, and the notices of all this.

Works inside the caller's transaction; what became of the deliveries themselves is in `settlements`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
from video_translation_server.store.postgres import log
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.deliveries import News
from video_translation_server.wire.events import NOTICES, iso_time, notice_event

_COLUMNS = "n, id, workspace_id, url, failing_since, strain, paused_until, status"
# In one order, so that two servers never wait for each other in a circle.
_HOLD = f"SELECT {_COLUMNS} FROM endpoints WHERE n = ANY($1::bigint[]) ORDER BY n FOR NO KEY UPDATE"

_LATE = "endpoint = $1 AND settled_at IS NULL AND claim_id IS NULL AND due_at > $2 AND hurries < $3"
# Whoever does this holds endpoints, and may not wait for deliveries any more: who records holds those of its jobs, in
# another order. What is held is passed over.
_HURRY = f"""
WITH late AS MATERIALIZED (
  SELECT id FROM deliveries WHERE {_LATE} ORDER BY due_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE deliveries d SET due_at = $2, hurries = hurries + 1 FROM late WHERE d.id = late.id
"""
_ARE_LATE = f"SELECT EXISTS (SELECT 1 FROM deliveries WHERE {_LATE})"


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

    connection: Connection
    now: float
    rules: Rules
    notices: list[News] = field(default_factory=list)

    async def follow(self, settled: Iterable[tuple[int, Settlement]], unwell: set[int]) -> int:
        """Bring the health of each endpoint (by row number) up to date; how many notices that made.

        One that answers and is not `unwell` (it fails, or is strained) is not touched.
        """
        answering: set[int] = set()
        failing: dict[int, list[Settlement]] = {}
        for number, settlement in settled:
            if isinstance(settlement.verdict, Delivered):
                answering.add(number)
            else:
                failing.setdefault(number, []).append(settlement)
        for endpoint in await self._hold(answering & unwell | set(failing)):
            if endpoint.number in answering and (endpoint.failing_since is not None or endpoint.strain > 0):
                endpoint = await self._recover(endpoint)  # noqa: PLW2901  (as it is now)
            if endpoint.number in failing:
                await self._fail(endpoint, failing[endpoint.number], also_answers=endpoint.number in answering)
        if self.notices:
            # Last of all: it holds the end of the log.
            await log.append(self.connection, self.notices)
        return len(self.notices)

    async def _hold(self, touched: set[int]) -> list[_Endpoint]:
        """The endpoints whose health may change."""
        if not touched:
            return []
        return [_Endpoint(*row) for row in await self.connection.fetch(_HOLD, list(touched))]

    async def _recover(self, endpoint: _Endpoint) -> _Endpoint:
        """A success: the pause ends, one step of slowing down is taken back, and the backlog is due."""
        strain = max(endpoint.strain - 1, 0)
        failing_since = None
        if endpoint.failing_since is not None:
            # Are there more, the next success goes on with them, as if the endpoint had failed until now.
            failing_since = self.now if await self._hurry(endpoint) else None
            if self.now - endpoint.failing_since >= RECOVERY_WORTH_TELLING:
                self._tell("endpoint.recovered", endpoint, {"failing_since": iso_time(endpoint.failing_since)})
        await self.connection.execute(
            "UPDATE endpoints SET failing_since = $2, paused_until = NULL, strain = $3 WHERE n = $1",
            endpoint.number,
            failing_since,
            strain,
        )
        return replace(endpoint, failing_since=failing_since, strain=strain, paused_until=None)

    async def _hurry(self, endpoint: _Endpoint) -> bool:
        """Make retries that wait for their time due; True where there are more."""
        late = (endpoint.number, self.now, MAX_HURRIES)
        await self.connection.execute(_HURRY, *late, HURRIED_AT_ONCE)
        are_late: bool = await self.connection.fetchval(_ARE_LATE, *late)
        return are_late

    async def _fail(self, endpoint: _Endpoint, settlements: Sequence[Settlement], *, also_answers: bool) -> None:
        """Failures: the endpoint may need a pause, and may be given up."""
        since = self.now if endpoint.failing_since is None or also_answers else endpoint.failing_since
        strain, paused_until = endpoint.strain, endpoint.paused_until
        is_paused = paused_until is not None and paused_until > self.now
        # Attempts that were under way together say the same thing: they count once.
        if any(settlement.strained for settlement in settlements) and not is_paused:
            paused_until = self.now + min(FIRST_PAUSE * 2**strain, LONGEST_PAUSE)
            strain = min(strain + 1, MAX_STRAIN)
        await self.connection.execute(
            "UPDATE endpoints SET failing_since = $2, strain = $3, paused_until = $4 WHERE n = $1",
            endpoint.number,
            since,
            strain,
            paused_until,
        )
        is_gone = any(isinstance(settlement.verdict, Gone) for settlement in settlements)
        is_hopeless = self.now - since >= self.rules.disable_after
        if endpoint.status == EndpointStatus.ENABLED and (is_gone or is_hopeless):
            await self._disable(endpoint, "it answered 410 Gone" if is_gone else f"no success since {iso_time(since)}")
        for settlement in settlements:
            if isinstance(settlement.verdict, Dead):
                self._tell_exhausted(endpoint, settlement)

    async def _disable(self, endpoint: _Endpoint, reason: str) -> None:
        await self.connection.execute(
            "UPDATE endpoints SET status = $2, disabled_reason = $3 WHERE n = $1",
            endpoint.number,
            EndpointStatus.DISABLED,
            reason,
        )
        self._tell("endpoint.disabled", endpoint, {"reason": reason})

    def _tell_exhausted(self, endpoint: _Endpoint, settlement: Settlement) -> None:
        if settlement.claim.event_type in NOTICES:
            return  # a notice of a notice would go on for ever
        outcome = settlement.attempt.outcome
        last = {"last_outcome": outcome.kind, "last_status": outcome.status}
        self._tell("delivery.exhausted", endpoint, _exhausted(settlement.claim) | last)

    def _tell(self, event_type: str, endpoint: _Endpoint, more: dict[str, Any]) -> None:
        data = {"endpoint_id": endpoint.id, "url": endpoint.url} | more
        event = notice_event(
            event_type, data, event_id=self.rules.ids("evt"), workspace_id=endpoint.workspace_id, now=self.now
        )
        self.notices.append(News(event, not_to=endpoint.number))


def _exhausted(claim: Claim) -> dict[str, Any]:
    return {
        "delivery_id": f"dlv_{claim.delivery_id}",
        "event_id": claim.event_id,
        "event_type": claim.event_type,
        "video_translate_id": claim.job_id,
        "attempts": claim.attempt,
    }
