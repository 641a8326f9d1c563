"""What callers do to a job beside its life: another title, and its end as something that is shown."""

import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    claim,
    created,
    deliver_all,
    endpoint,
    life,
    progressed,
    read_log,
    states,
)
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import DeliveryState
from video_translation_server.store import DeliveryFilter, EventFilter, Store


async def test_a_new_title_is_kept_and_whoever_read_the_job_before_loses(store: Store) -> None:
    change = created(title="old", callback_id="order-17")
    await store.record([change])
    job = await store.retitle_job(WORKSPACE, "job_1", "new \x00 \u2028", now=NOW + 3)
    assert job == await store.job(WORKSPACE, "job_1")
    assert job.request == {"title": "new \x00 \u2028", "callback_id": "order-17"}
    assert (job.version, job.sequence, job.updated_at) == (2, 1, NOW + 3)
    assert await store.record([advanced(change.job)]) == [False], "its event would tell the old title"
    assert await store.record([advanced(job)]) == [True]
    assert len(await read_log(store)) == 2, "the title alone is no event"


async def test_a_job_that_had_no_title_can_get_one_and_an_unknown_one_cannot(store: Store) -> None:
    await store.record([created()])
    assert (await store.retitle_job(WORKSPACE, "job_1", "", now=NOW)).request == {"title": ""}
    for workspace, job_id in ((WORKSPACE, "job_none"), (OTHER_WORKSPACE, "job_1")):
        with pytest.raises(NotFoundError, match=job_id):
            await store.retitle_job(workspace, job_id, "mine", now=NOW)


async def test_a_deleted_job_is_shown_nowhere(store: Store) -> None:
    changes = [*life("job_1"), *life("job_2")]
    await store.record(changes)
    await store.delete_job(WORKSPACE, "job_2", now=NOW)
    with pytest.raises(NotFoundError, match="job_2"):
        await store.job(WORKSPACE, "job_2")
    with pytest.raises(NotFoundError, match="job_2"):
        await store.delete_job(WORKSPACE, "job_2", now=NOW)
    assert await store.jobs_of(WORKSPACE, ["job_1", "job_2"]) == {"job_1": changes[2].job}
    assert await store.jobs(WORKSPACE, limit=9) == ([changes[2].job], None)
    assert await store.newest_job(WORKSPACE) == changes[2].job


async def test_a_deleted_job_is_moved_no_more(store: Store) -> None:
    *_, last = life()
    await store.record(life())
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    assert await store.record([progressed(last.job, 99)]) == [False]
    assert [event.id for event in await read_log(store)] == [change.event.id for change in life()]


async def test_its_events_stay_in_the_log_and_on_their_way(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = life()
    await store.record(changes)
    [held] = await claim(store)
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    assert await read_log(store) == (await store.events_after(WORKSPACE, 0, limit=9, wanted=EventFilter()))[0]
    found, _ = await store.events_after(WORKSPACE, 0, limit=9, wanted=EventFilter(entity_id="job_1"))
    assert [(event.job_id, event.sequence) for event in found] == [("job_1", 1), ("job_1", 2), ("job_1", 3)]
    await store.release([held])
    assert [held.sequence for held in await deliver_all(store)] == [1, 2, 3]
    assert await states(store, changes) == [DeliveryState.DELIVERED] * 3
    deliveries, _ = await store.deliveries(WORKSPACE, limit=9, wanted=DeliveryFilter(job_id="job_1"))
    assert len(deliveries) == 3


async def test_what_has_not_ended_is_not_deleted_nor_what_is_anothers(store: Store) -> None:
    change = created()
    await store.record([change, *life("job_other", workspace=OTHER_WORKSPACE)])
    with pytest.raises(ConflictError, match="cancel"):
        await store.delete_job(WORKSPACE, "job_1", now=NOW)
    with pytest.raises(NotFoundError):
        await store.delete_job(WORKSPACE, "job_other", now=NOW)
    assert await store.job(WORKSPACE, "job_1") == change.job
    assert (await store.job(OTHER_WORKSPACE, "job_other")).status.is_terminal


async def test_the_id_of_a_deleted_job_is_not_given_again(store: Store) -> None:
    await store.record(life())
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    with pytest.raises(ConflictError, match="job_1"):
        await store.record([created()])
