"""Requests that are told apart by a key: one is under way at a time, and its answer commits with what it did."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    claim_one,
    created,
    endpoint,
    read_log,
    settlement,
)
from tests.server.store.engines import RealTime, Reopen
from video_translation_server.errors import ConflictError, InProgressError, NotFoundError
from video_translation_server.model import Event, Kept, Mark, Sweep, SweepKind
from video_translation_server.store import ANSWERS_KEPT, Keep, Store

SCOPE = "POST /v3/video-translations"
ANSWER = Kept(status=200, body=b'{"data":{}}')
LEASE = 30.0


async def start(
    store: Store, key: str = "key-1", *, workspace: str = WORKSPACE, scope: str = SCOPE, now: float = NOW
) -> Mark | Kept:
    return await store.start_request(workspace, scope, key, now=now, lease=LEASE)


async def begin(store: Store, key: str = "key-1", *, now: float = NOW) -> Mark:
    """A request that is new."""
    mark = await start(store, key, now=now)
    assert isinstance(mark, Mark)
    return mark


def keep(mark: Mark, answer: Kept | None = ANSWER) -> Keep[Any]:
    return Keep(mark, lambda _: answer)


# One at a time


async def test_a_key_that_is_in_use_is_refused_until_its_request_has_ended(store: Store) -> None:
    mark = await begin(store)
    with pytest.raises(InProgressError, match="key-1") as caught:
        await start(store)
    assert (caught.value.code, caught.value.retry_after) == ("request_in_progress", 1)
    await store.record([created()], keep=keep(mark))
    assert await start(store) == ANSWER


async def test_of_many_at_once_one_begins(store: Store) -> None:
    found = await asyncio.gather(*(start(store) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, Mark) for one in found) == 1
    assert sum(isinstance(one, InProgressError) for one in found) == 19


async def test_a_key_counts_within_its_workspace_and_scope(store: Store) -> None:
    await store.record([created()], keep=keep(await begin(store)))
    assert isinstance(await start(store, workspace=OTHER_WORKSPACE), Mark)
    assert isinstance(await start(store, scope="POST /v3/webhooks/endpoints"), Mark)
    assert isinstance(await start(store, "key-2"), Mark)
    assert isinstance(await start(store, "KEY-1"), Mark), "upper and lower case are different keys"
    assert await start(store) == ANSWER


async def test_a_request_that_failed_frees_its_key(store: Store) -> None:
    mark = await begin(store)
    await store.drop_request(mark)
    assert isinstance(await start(store), Mark)


async def test_dropping_harms_no_answer_and_no_later_request(store: Store) -> None:
    mark = await begin(store)
    await store.record([created()], keep=keep(mark))
    await store.drop_request(mark)
    assert await start(store) == ANSWER
    first = await begin(store, "key-2")
    await store.drop_request(first)
    await begin(store, "key-2")
    await store.drop_request(first)
    with pytest.raises(InProgressError):
        await start(store, "key-2")


# Together or not at all


async def test_the_answer_commits_with_what_was_done(store: Store, reopen: Reopen) -> None:
    change = created()
    await store.record([change], keep=keep(await begin(store)))
    store = await reopen()
    assert await start(store) == ANSWER
    assert await store.job(WORKSPACE, change.job.id) == change.job


async def test_what_fails_keeps_no_answer(store: Store) -> None:
    await store.record([created("job_taken")])
    mark = await begin(store)
    with pytest.raises(ConflictError):
        await store.record([created("job_2"), created("job_taken")], keep=keep(mark))
    with pytest.raises(InProgressError):
        await start(store)
    await store.record([created("job_2")], keep=keep(mark))
    assert await start(store) == ANSWER


async def test_an_answer_that_is_none_is_not_kept_and_the_request_goes_on(store: Store) -> None:
    first = created()
    await store.record([first])
    mark, lost = await begin(store), advanced(first.job)
    await store.record([lost])
    assert await store.record([lost], keep=Keep(mark, lambda took: ANSWER if took == [True] else None)) == [False]
    with pytest.raises(InProgressError):
        await start(store)
    moved = advanced(lost.job)
    await store.record([moved], keep=Keep(mark, lambda took: ANSWER if took == [True] else None))
    assert await start(store) == ANSWER


async def test_the_answer_is_made_from_what_the_verb_returns(store: Store) -> None:
    position = await store.create_endpoint(
        endpoint(), keep=Keep(await begin(store), lambda position: Kept(status=200, body=b"%d" % position))
    )
    assert await start(store) == Kept(status=200, body=b"%d" % position)


async def test_every_verb_that_makes_something_can_keep_an_answer(store: Store) -> None:
    await store.create_endpoint(endpoint(), keep=keep(await begin(store, "create")))
    await store.change_endpoint(WORKSPACE, "ep_1", lambda one: one, now=NOW, keep=keep(await begin(store, "change")))
    event = Event(id="evt_1", workspace_id=WORKSPACE, type="endpoint.test", created_at=NOW, body=b"{}")
    await store.send_to(event, "ep_1", keep=keep(await begin(store, "send")))
    sweep = Sweep(
        id="rec_1", workspace_id=WORKSPACE, endpoint_id="ep_1", kind=SweepKind.REPLAY, since=0, created_at=NOW
    )
    await store.start_sweep(sweep, keep=keep(await begin(store, "sweep")))
    held = await claim_one(store)
    await store.settle([settlement(held)], now=NOW)
    await store.resend(WORKSPACE, held.delivery_id, now=NOW, keep=keep(await begin(store, "resend")))
    for key in ("create", "change", "send", "sweep", "resend"):
        assert await start(store, key) == ANSWER, key


@pytest.mark.parametrize(
    "verb",
    [
        lambda store, kept: store.change_endpoint(WORKSPACE, "ep_none", lambda one: one, now=NOW, keep=kept),
        lambda store, kept: store.resend(WORKSPACE, 7, now=NOW, keep=kept),
    ],
)
async def test_a_verb_that_raises_leaves_the_key_to_its_request(
    store: Store, verb: Callable[[Store, Keep[Any]], asyncio.Future[object]]
) -> None:
    mark = await begin(store)
    with pytest.raises(NotFoundError):
        await verb(store, keep(mark))
    with pytest.raises(InProgressError):
        await start(store)


# Leases


async def test_a_request_that_has_taken_too_long_loses_its_key_and_changes_nothing(
    store: Store, real_time: RealTime
) -> None:
    late = await begin(store)
    real_time.advance(LEASE - 0.001)
    with pytest.raises(InProgressError):
        await start(store)
    real_time.advance(0.001)
    mark = await begin(store)
    with pytest.raises(InProgressError):
        await store.record([created("job_late")], keep=keep(late))
    assert await read_log(store) == []
    await store.record([created("job_1")], keep=keep(mark))
    with pytest.raises(InProgressError):
        await store.record([created("job_later")], keep=keep(late))
    assert [event.job_id for event in await read_log(store)] == ["job_1"]
    assert await start(store) == ANSWER


async def test_a_lease_that_nobody_wanted_in_the_meantime_is_still_good(store: Store, real_time: RealTime) -> None:
    mark = await begin(store)
    real_time.advance(LEASE * 10)
    await store.record([created()], keep=keep(mark))
    assert await start(store) == ANSWER


async def test_what_was_under_way_when_the_store_closed_is_free_at_once(store: Store, reopen: Reopen) -> None:
    mark = await begin(store)
    store = await reopen()
    assert isinstance(await start(store), Mark)
    with pytest.raises(InProgressError):
        await store.record([created()], keep=keep(mark))


# Retention


async def test_an_answer_is_kept_for_24_hours_of_the_servers_clock(store: Store) -> None:
    await store.record([created()], keep=keep(await begin(store)))
    assert await start(store, now=NOW + ANSWERS_KEPT - 0.001) == ANSWER
    assert isinstance(await start(store, now=NOW + ANSWERS_KEPT), Mark)
    assert ANSWERS_KEPT == 86_400


async def test_old_answers_are_pruned_a_few_at_a_time(store: Store) -> None:
    for number in range(7):
        mark = await begin(store, f"key-{number}", now=NOW + number)
        await store.record([created(f"job_{number}")], keep=keep(mark))
    await begin(store, "key-under-way", now=NOW)
    assert await store.prune_requests(NOW + ANSWERS_KEPT - 1, limit=3) == 0
    assert await store.prune_requests(NOW + ANSWERS_KEPT + 4, limit=3) == 3
    assert await store.prune_requests(NOW + ANSWERS_KEPT + 4, limit=3) == 2
    assert await store.prune_requests(NOW + ANSWERS_KEPT + 4, limit=3) == 0
    assert isinstance(await start(store, "key-4"), Mark)
    assert await start(store, "key-5") == ANSWER
    with pytest.raises(InProgressError):
        await start(store, "key-under-way")


async def test_marks_whose_lease_ran_out_are_pruned_too(store: Store, real_time: RealTime) -> None:
    await begin(store)
    real_time.advance(LEASE)
    assert await store.prune_requests(NOW + ANSWERS_KEPT + 1, limit=3) == 1
