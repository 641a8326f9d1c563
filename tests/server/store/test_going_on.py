"""A limit on the jobs of a workspace that go on at once: kept in the transaction that would break it."""

import asyncio

import pytest

from tests.server.store.builders import NOW, OTHER_WORKSPACE, WORKSPACE, advanced, created, failed, life, read_log
from video_translation_server.errors import BusyError, NotFoundError
from video_translation_server.model import Kept, Mark
from video_translation_server.store import Keep, Store


async def test_one_more_than_the_limit_is_refused_and_leaves_nothing(store: Store) -> None:
    assert await store.record([created("job_1"), created("job_2")], at_most=2) == [True, True]
    with pytest.raises(BusyError, match="at most 2") as refusal:
        await store.record([created("job_3")], at_most=2)
    assert refusal.value.retry_after == 5, "when the first of them moves"
    with pytest.raises(NotFoundError):
        await store.job(WORKSPACE, "job_3")
    assert len(await read_log(store)) == 2
    assert await store.record([created("job_3")]) == [True], "whoever does not ask is not limited"


async def test_what_has_ended_makes_room_and_what_runs_does_not(store: Store) -> None:
    first = created("job_1")
    await store.record([first], at_most=1)
    running = advanced(first.job)
    assert await store.record([running], at_most=1) == [True]
    with pytest.raises(BusyError):
        await store.record([created("job_2")], at_most=1)
    await store.record([failed(running.job, event_id="evt_end")])
    assert await store.record([created("job_2")], at_most=1) == [True]


async def test_each_workspace_has_its_own_room_and_what_ends_at_once_takes_none(store: Store) -> None:
    await store.record([created("job_1")], at_most=1)
    assert await store.record([created("job_other", workspace=OTHER_WORKSPACE)], at_most=1) == [True]
    assert await store.record(life("job_2"), at_most=1) == [True] * 3


async def test_of_many_at_once_as_many_as_fit_are_taken(store: Store) -> None:
    calls = [store.record([created(f"job_{number}")], at_most=3) for number in range(10)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers.count([True]) == 3
    assert sum(isinstance(answer, BusyError) for answer in answers) == 7


async def test_a_refusal_is_not_kept_as_an_answer(store: Store) -> None:
    await store.record([created("job_1")])
    mark = await store.start_request(WORKSPACE, "POST /", "key-1", now=NOW, lease=30)
    assert isinstance(mark, Mark)
    with pytest.raises(BusyError):
        await store.record([created("job_2")], at_most=1, keep=Keep(mark, lambda _: Kept(status=200, body=b"")))
    await store.drop_request(mark)
    assert isinstance(await store.start_request(WORKSPACE, "POST /", "key-1", now=NOW, lease=30), Mark)
