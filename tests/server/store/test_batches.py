"""Batches: kept with their jobs or not at all, read in their order, and told of once when all has ended."""

from collections.abc import Sequence

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    batch,
    claim,
    created,
    deliver_all,
    endpoint,
    failed,
    items,
    read_log,
)
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Job, JobStatus, Kept, Mark, Sweep, SweepKind
from video_translation_server.store import EventFilter, Keep, Store
from video_translation_server.wire.events import BATCH_FINISHED, CALLBACK_TYPES


async def end(store: Store, jobs: Sequence[Job], *, also: bool = True) -> list[Job]:
    """Each job through to its end, all of them in one call per move."""
    for _ in range(2):
        changes = [advanced(job) for job in jobs]
        assert await store.record(changes) == [also] * len(jobs)
        jobs = [change.job for change in changes]
    return list(jobs)


async def finishes(store: Store, workspace: str = WORKSPACE) -> list[str | None]:
    return [event.batch_id for event in await read_log(store, workspace=workspace) if event.type == BATCH_FINISHED]


async def test_a_batch_is_read_with_its_jobs_in_their_order(store: Store) -> None:
    changes = items(5)
    assert await store.record(changes, batch=batch()) == [True] * 5
    found, jobs, token = await store.batch(WORKSPACE, "batch_1", limit=3)
    assert found == batch(count=5)
    assert jobs == [change.job for change in changes[:3]]
    assert await store.batch(WORKSPACE, "batch_1", limit=3, token=token) == (
        found,
        [change.job for change in changes[3:]],
        None,
    )
    assert (await store.batch(WORKSPACE, "batch_1", limit=5))[2] is None, "an exact page has no next"


async def test_its_jobs_are_jobs_like_any_other_and_know_their_batch(store: Store) -> None:
    changes = items(2)
    await store.record([created("job_alone"), *changes], batch=batch())
    assert await store.job(WORKSPACE, "batch_1_job_1") == changes[1].job
    assert (await store.job(WORKSPACE, "job_alone")).batch_id is None
    moved = advanced(changes[0].job)
    await store.record([moved])
    assert (await store.jobs_of(WORKSPACE, ["batch_1_job_0"]))["batch_1_job_0"] == moved.job
    assert (moved.job.batch_id, moved.job.item_index) == ("batch_1", 0)


async def test_all_jobs_of_several_batches_are_read_at_once_and_only_the_workspaces_own(store: Store) -> None:
    await store.record(items(3), batch=batch())
    await store.record(items(2, "batch_2"), batch=batch("batch_2"))
    other = items(1, "batch_other", workspace=OTHER_WORKSPACE)
    await store.record(other, batch=batch("batch_other", workspace=OTHER_WORKSPACE))
    found = await store.jobs_of_batches(WORKSPACE, ["batch_2", "batch_none", "batch_1", "batch_other", "\x00"])
    assert {name: [job.item_index for job in jobs] for name, jobs in found.items()} == {
        "batch_1": [0, 1, 2],
        "batch_2": [0, 1],
    }
    with pytest.raises(NotFoundError, match="batch_other"):
        await store.batch(WORKSPACE, "batch_other", limit=1)


async def test_what_cannot_be_kept_leaves_nothing_behind(store: Store) -> None:
    await store.record([created("batch_1_job_1")])
    with pytest.raises(ConflictError, match="batch_1_job_1"):
        await store.record(items(2), batch=batch())
    with pytest.raises(NotFoundError):
        await store.batch(WORKSPACE, "batch_1", limit=1)
    await store.record(items(1, "batch_2"), batch=batch("batch_2"))
    with pytest.raises(ConflictError, match="batch_2"):
        await store.record(items(1, "batch_3"), batch=batch("batch_2"))
    assert len(await read_log(store)) == 2


async def test_the_answer_to_its_request_is_kept_with_it_or_neither_is(store: Store) -> None:
    mark = await store.start_request(WORKSPACE, "POST /batches", "key-1", now=NOW, lease=30)
    assert isinstance(mark, Mark)
    kept = Kept(status=200, body=b"{}")
    await store.record(items(2), batch=batch(), keep=Keep(mark, lambda _: kept))
    assert await store.start_request(WORKSPACE, "POST /batches", "key-1", now=NOW, lease=30) == kept
    with pytest.raises(ConflictError):
        await store.record(items(1, "batch_2"), batch=batch("batch_2"), keep=Keep(mark, lambda _: kept))
    with pytest.raises(NotFoundError):
        await store.batch(WORKSPACE, "batch_2", limit=1)


async def test_the_end_of_the_last_job_ends_the_batch(store: Store) -> None:
    first, second, third = (change.job for change in items(3))
    await store.record(items(3), batch=batch())
    await end(store, [first])
    await store.record([failed(second, event_id="evt_no")])
    assert await finishes(store) == []
    found, _, _ = await store.batch(WORKSPACE, "batch_1", limit=1)
    assert found.counts == {JobStatus.COMPLETED: 1, JobStatus.FAILED: 1, JobStatus.PENDING: 1}
    await end(store, [third])
    assert await finishes(store) == ["batch_1"]
    last, told = (await read_log(store))[-2:]
    assert (last.job_id, last.type, told.type) == ("batch_1_job_2", "video_translate.success", BATCH_FINISHED)
    assert (told.job_id, told.entity_id, told.sequence, told.created_at) == (None, "batch_1", 0, NOW)
    data = msgspec.json.decode(told.body)["event_data"]
    assert data["counts_by_status"] == {"queued": 0, "processing": 0, "completed": 2, "failed": 1}


async def test_jobs_that_end_together_end_their_batches_once_each(store: Store) -> None:
    for name in ("batch_1", "batch_2"):
        await store.record(items(3, name), batch=batch(name))
    await end(store, [change.job for name in ("batch_2", "batch_1") for change in items(3, name)])
    assert await finishes(store) == ["batch_2", "batch_1"]


async def test_a_batch_whose_jobs_end_as_they_are_created_is_told_of_once(store: Store) -> None:
    changes = []
    for change in items(3):
        running = advanced(change.job)
        changes += [change, running, advanced(running.job)]
    await store.record(changes, batch=batch())
    assert await finishes(store) == ["batch_1"]
    assert (await read_log(store))[-1].type == BATCH_FINISHED
    assert (await store.batch(WORKSPACE, "batch_1", limit=1))[0].counts == {JobStatus.COMPLETED: 3}


async def test_a_lost_race_ends_no_batch(store: Store) -> None:
    [change] = items(1)
    await store.record([change], batch=batch())
    await store.record([advanced(change.job)])
    assert await store.record([failed(change.job, event_id="evt_late")]) == [False]
    assert await finishes(store) == []


async def test_a_deleted_job_still_counts(store: Store) -> None:
    await store.record(items(2), batch=batch())
    one, _ = (change.job for change in items(2))
    await end(store, [one])
    await store.delete_job(WORKSPACE, one.id, now=NOW)
    found, jobs, _ = await store.batch(WORKSPACE, "batch_1", limit=9)
    assert (len(jobs), found.counts) == (2, {JobStatus.COMPLETED: 1, JobStatus.PENDING: 1})


async def test_its_event_reaches_those_who_want_it(store: Store) -> None:
    wanted = {"ep_all": None, "ep_type": (BATCH_FINISHED,), "ep_fail": ("video_translate.fail",)}
    for name, events in wanted.items():
        await store.create_endpoint(endpoint(name, events=events))
    await store.create_endpoint(endpoint("ep_this", entity_id="batch_1"))
    await store.create_endpoint(endpoint("ep_other", entity_id="batch_2"))
    await store.create_endpoint(endpoint("ep_foreign", workspace=OTHER_WORKSPACE))
    callback = endpoint("ep_callback", events=tuple(CALLBACK_TYPES), entity_id="batch_1", is_callback=True)
    await store.record(items(1), batch=msgspec.structs.replace(batch(), callback=callback))
    await end(store, [change.job for change in items(1)])
    told = [held for held in await deliver_all(store) if held.event_type == BATCH_FINISHED]
    assert sorted(held.endpoint_id for held in told) == ["ep_all", "ep_callback", "ep_this", "ep_type"]
    assert {(held.job_id, held.sequence) for held in told} == {(None, 0)}


async def test_its_event_is_found_by_its_id_and_taken_up_again(store: Store) -> None:
    await store.record(items(1), batch=batch())
    await end(store, [change.job for change in items(1)])
    found, _ = await store.events_after(WORKSPACE, 0, limit=9, wanted=EventFilter(entity_id="batch_1"))
    assert [event.type for event in found] == [BATCH_FINISHED]
    await store.create_endpoint(endpoint(events=(BATCH_FINISHED,)))
    sweep = Sweep(
        id="swp_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.REPLAY, since=0, created_at=NOW
    )
    await store.start_sweep(sweep)
    assert await store.advance_sweeps(NOW, chunk=100, backlog=100) is False
    assert [held.event_type for held in await claim(store)] == [BATCH_FINISHED]
