"""Jobs whose video is still to be looked at: found by whoever looks, moved by nobody, and back on their way."""

from typing import Any

import msgspec

from tests.server.store.builders import NOW, OTHER_WORKSPACE, WORKSPACE, advanced, failed, read_log
from video_translation_server import lifecycle
from video_translation_server.model import Change, Job, Plan
from video_translation_server.store import Store

LONGER = Plan(pending_seconds=10, running_seconds=20, video_seconds=90)


def submitted(job_id: str = "job_1", *, workspace: str = WORKSPACE, **plan: Any) -> Change:
    return lifecycle.create(
        job_id=job_id,
        workspace_id=workspace,
        output_language="Spanish",
        request={},
        plan=Plan(pending_seconds=0, running_seconds=1, **plan),
        event_id=f"evt_{job_id}_1",
        now=NOW,
        in_preflight=True,
    )


def admitted(job: Job, plan: Plan = LONGER) -> Change:
    return lifecycle.admit(job, plan, event_id=f"evt_{job.id}_{job.version + 1}", now=NOW + 5)


async def waiting(store: Store, limit: int = 10) -> list[str]:
    return [job.id for job in await store.jobs_in_preflight(limit)]


async def test_the_oldest_come_first_from_all_workspaces(store: Store) -> None:
    await store.record([submitted("job_b"), submitted("job_a", workspace=OTHER_WORKSPACE), submitted("job_c")])
    assert await waiting(store) == ["job_b", "job_a", "job_c"]
    assert await waiting(store, 2) == ["job_b", "job_a"]


async def test_nothing_moves_them_meanwhile(store: Store) -> None:
    await store.record([submitted(), submitted("job_2", lane=0)])
    assert await store.due_jobs(NOW + 1e6, 10) == []
    assert await store.next_job_due() is None


async def test_an_admitted_job_is_kept_with_its_new_plan(store: Store) -> None:
    change = submitted()
    await store.record([change])
    after = admitted(change.job)
    assert await store.record([after]) == [True]
    assert await waiting(store) == []
    assert await store.job(WORKSPACE, "job_1") == after.job
    assert (after.job.due_at, after.job.plan, after.job.sequence) == (NOW + 15, LONGER, 1)
    assert [job.id for job in await store.due_jobs(NOW + 15, 10)] == ["job_1"]


async def test_one_with_a_place_in_line_gets_it_then(store: Store) -> None:
    change = submitted(lane=0)
    await store.record([change])
    await store.record([admitted(change.job, msgspec.structs.replace(LONGER, lane=0))])
    assert [job.id for job in await store.due_jobs(NOW + 5, 10)] == ["job_1"]


async def test_one_that_is_refused_ends_with_the_event_of_that(store: Store) -> None:
    change = submitted()
    await store.record([change])
    event_type = "video_translate.preflight.download_failed"
    ended = lifecycle.refuse(change.job, "no", event_type=event_type, event_id="evt_no", now=NOW)
    assert await store.record([ended]) == [True]
    assert await waiting(store) == []
    assert [event.type for event in await read_log(store)] == ["video_translate.pending", event_type]


async def test_one_that_somebody_moves_or_ends_is_looked_at_no_more(store: Store) -> None:
    moved, ended = submitted(), submitted("job_2")
    await store.record([moved, ended])
    await store.record([advanced(moved.job), failed(ended.job, event_id="evt_end")])
    assert await waiting(store) == []
    assert await store.record([admitted(moved.job)]) == [False], "it lost the race"
