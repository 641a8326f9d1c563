"""Values for the store's tests: jobs on their way, endpoints, settlements; and short ways to ask a store.

Jobs and events come from the real `lifecycle`, so that the store is tested with what it will be given.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from video_translation_server import lifecycle
from video_translation_server.links import Links
from video_translation_server.model import (
    DEFAULT_WORKSPACE,
    MAIN,
    Attempt,
    Batch,
    Change,
    Claim,
    Dead,
    Delivered,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Gone,
    Job,
    JobStatus,
    Outcome,
    OutcomeKind,
    Plan,
    RetryAt,
    Settlement,
    Verdict,
)
from video_translation_server.store import DeliveryFilter, EventFilter, Store

NOW = 1_800_000_000.0
WORKSPACE = DEFAULT_WORKSPACE
OTHER_WORKSPACE = "ws_other"
ALL = EventFilter()
LEASE = 30.0
PROGRESS = "video_translate.progress"
LINKS = Links(base="http://localhost", key=b"key of the tests", lifetime=3600)


# Jobs


def created(job_id: str = "job_1", *, workspace: str = WORKSPACE, now: float = NOW, **request: Any) -> Change:
    """A new job: due after 5 s, then running for 10 s."""
    return lifecycle.create(
        job_id=job_id,
        workspace_id=workspace,
        output_language="Spanish",
        request=request,
        plan=Plan(pending_seconds=5, running_seconds=10),
        event_id=f"evt_{job_id}_1",
        now=now,
    )


def advanced(job: Job, *, now: float = NOW) -> Change:
    """The job's next planned move."""
    event_id = f"evt_{job.id}_{job.version + 1}"
    return lifecycle.advance(job, event_id=event_id, now=now, links=LINKS)


def life(job_id: str = "job_1", *, workspace: str = WORKSPACE, now: float = NOW) -> list[Change]:
    """The three changes of a job that completes."""
    first = created(job_id, workspace=workspace, now=now)
    second = advanced(first.job, now=now)
    return [first, second, advanced(second.job, now=now)]


def progressed(job: Job, percent: int, *, now: float = NOW) -> Change:
    """A progress update: the sequence stays (decision 0007), the version does not."""
    moved = msgspec.structs.replace(job, progress=percent, version=job.version + 1, updated_at=now)
    event = Event(
        id=f"evt_{job.id}_{moved.version}",
        workspace_id=job.workspace_id,
        type=PROGRESS,
        created_at=now,
        body=b"{}",
        job_id=job.id,
        sequence=job.sequence,
    )
    return Change(job=moved, event=event)


def failed(job: Job, *, event_id: str, now: float = NOW) -> Change:
    """The job given up by a caller."""
    return lifecycle.move(job, JobStatus.FAILED, event_id=event_id, now=now, due_at=None, failure_message="no")


def queued(
    job_id: str,
    *,
    at: float = 0,
    head_start: float = 0,
    seconds: float = 10,
    lane: int = MAIN,
    workspace: str = WORKSPACE,
) -> Change:
    """A new job that stands in line."""
    plan = Plan(pending_seconds=0, running_seconds=seconds, lane=lane, head_start=head_start, retries=1)
    return lifecycle.create(
        job_id=job_id,
        workspace_id=workspace,
        output_language="Spanish",
        request={},
        plan=plan,
        event_id=f"evt_{job_id}_1",
        now=NOW + at,
    )


def batch(batch_id: str = "batch_1", *, workspace: str = WORKSPACE, count: int = 0) -> Batch:
    counts = {JobStatus.PENDING: count} if count else {}
    return Batch(id=batch_id, workspace_id=workspace, title="week 47", created_at=NOW, counts=counts)


def items(count: int, of: str = "batch_1", *, workspace: str = WORKSPACE) -> list[Change]:
    changes = [created(f"{of}_job_{index}", workspace=workspace) for index in range(count)]
    return [
        msgspec.structs.replace(change, job=msgspec.structs.replace(change.job, batch_id=of, item_index=index))
        for index, change in enumerate(changes)
    ]


# Endpoints


def endpoint(endpoint_id: str = "ep_1", *, workspace: str = WORKSPACE, **fields: Any) -> Endpoint:
    defaults: dict[str, Any] = {"url": f"http://localhost/{endpoint_id}", "created_at": NOW, "secret": "whsec_AAAA"}
    return Endpoint(id=endpoint_id, workspace_id=workspace, **(defaults | fields))


# Asking a store


async def read_log(store: Store, position: int = 0, *, workspace: str = WORKSPACE, limit: int = 1000) -> list[Event]:
    events, _ = await store.events_after(workspace, position, limit=limit, wanted=ALL)
    return events


async def deliveries_of(store: Store, workspace: str, event_id: str) -> list[Delivery]:
    """The deliveries of one event, the oldest first."""
    found, _ = await store.deliveries(workspace, limit=1000, wanted=DeliveryFilter(event_id=event_id))
    return found[::-1]


async def claim(
    store: Store, now: float = NOW, *, limit: int = 100, per_endpoint: int = 16, lease: float = LEASE
) -> list[Claim]:
    return await store.claim(now, limit=limit, per_endpoint=per_endpoint, lease=lease)


async def claim_one(store: Store, now: float = NOW) -> Claim:
    """The only delivery that can be claimed."""
    claims = await claim(store, now)
    assert len(claims) == 1, f"expected one claim, got {seen(claims)}"
    return claims[0]


async def deliver_all(store: Store, now: float = NOW) -> list[Claim]:
    """Deliver until nothing is due; the claims in the order in which they were made."""
    done: list[Claim] = []
    while claims := await claim(store, now):
        assert all(await store.settle([settlement(held) for held in claims], now=now))
        done += claims
    return done


async def delivery(store: Store, held: Claim, *, workspace: str = WORKSPACE) -> Delivery:
    """The delivery that a claim is for, as it stands now."""
    found = await deliveries_of(store, workspace, held.event_id)
    return next(one for one in found if one.id == held.delivery_id)


async def states(store: Store, changes: Iterable[Change]) -> list[DeliveryState]:
    """The states of every delivery of the changes' events."""
    found = [await deliveries_of(store, change.job.workspace_id, change.event.id) for change in changes]
    return [one.state for group in found for one in group]


def seen(claims: Sequence[Claim]) -> list[tuple[str, str, int]]:
    """What the claims are for: endpoint, job ("" for a notice), sequence."""
    return [(held.endpoint_id, held.job_id or "", held.sequence) for held in claims]


# Settling


def settlement(
    held: Claim,
    verdict: Verdict | None = None,
    *,
    started_at: float = NOW,
    outcome: Outcome | None = None,
    strained: bool = False,
) -> Settlement:
    """An attempt for the claim, delivered unless a verdict says otherwise."""
    verdict = verdict or Delivered()
    status = 204 if isinstance(verdict, Delivered) else 410 if isinstance(verdict, Gone) else 500
    answer = Outcome(kind=OutcomeKind.STATUS, status=status)
    attempt = Attempt(number=held.attempt, started_at=started_at, duration=0.25, outcome=outcome or answer)
    return Settlement(claim=held, attempt=attempt, verdict=verdict, strained=strained)


def retry(held: Claim, due_at: float, *, strained: bool = False) -> Settlement:
    return settlement(held, RetryAt(due_at), strained=strained)


def dead(held: Claim) -> Settlement:
    return settlement(held, Dead())


def gone(held: Claim) -> Settlement:
    return settlement(held, Gone())
