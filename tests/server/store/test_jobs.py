"""Reading jobs: pages, the newest, and which move is due next."""

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    created,
    life,
)
from video_translation_server.model import JobStatus, Plan, Workspace
from video_translation_server.store import JobFilter, Store


async def pages(
    store: Store, limit: int, wanted: JobFilter | None = None, *, of: str | None = WORKSPACE
) -> list[list[str]]:
    """Every page of the job ids of a workspace, or of all, following the tokens."""
    found: list[list[str]] = []
    token: int | None = None
    while True:
        page, token = await store.jobs(of, limit=limit, token=token, wanted=wanted or JobFilter())
        found.append([job.id for job in page])
        if token is None:
            return found


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1, [["job_4"], ["job_3"], ["job_2"], ["job_1"]]),
        (2, [["job_4", "job_3"], ["job_2", "job_1"]]),
        (3, [["job_4", "job_3", "job_2"], ["job_1"]]),
        (4, [["job_4", "job_3", "job_2", "job_1"]]),
        (9, [["job_4", "job_3", "job_2", "job_1"]]),
    ],
)
async def test_pages_are_newest_first_and_end_without_an_empty_one(
    store: Store, limit: int, expected: list[list[str]]
) -> None:
    for number in range(1, 5):
        await store.record([created(f"job_{number}")])
        await store.record([created(f"job_other_{number}", workspace=OTHER_WORKSPACE)])
    assert await pages(store, limit) == expected


async def test_an_empty_workspace_has_one_empty_page(store: Store) -> None:
    assert await pages(store, 5) == [[]]
    assert await store.newest_job(WORKSPACE) is None


async def test_pages_can_be_of_one_status(store: Store) -> None:
    changes = [created(f"job_{number}") for number in range(1, 7)]
    await store.record([*changes, *(advanced(change.job) for change in changes[::2])])
    assert await pages(store, 2, JobFilter(status=JobStatus.RUNNING)) == [["job_5", "job_3"], ["job_1"]]
    assert await pages(store, 9, JobFilter(status=JobStatus.COMPLETED)) == [[]]


async def test_pages_can_be_of_what_was_created_later(store: Store) -> None:
    await store.record([created(f"job_{number}", now=NOW + number) for number in range(1, 6)])
    assert await pages(store, 2, JobFilter(created_after=NOW + 2)) == [["job_5", "job_4"], ["job_3"]]
    both = JobFilter(status=JobStatus.PENDING, created_after=NOW + 4.5)
    assert await pages(store, 9, both) == [["job_5"]]
    assert await pages(store, 9, JobFilter(created_after=NOW + 5)) == [[]]


@pytest.mark.parametrize("limit", [1, 2, 9])
async def test_pages_can_be_of_all_workspaces(store: Store, limit: int) -> None:
    await store.create_workspace(Workspace(id=OTHER_WORKSPACE, name="other", created_at=NOW))
    homes = [WORKSPACE, OTHER_WORKSPACE, OTHER_WORKSPACE, WORKSPACE]
    changes = [created(f"job_{number}", workspace=home, now=NOW + number) for number, home in enumerate(homes)]
    await store.record([*changes, *(advanced(change.job) for change in changes[1:])])
    assert await pages(store, limit, of=None) == in_pages(["job_3", "job_2", "job_1", "job_0"], limit)
    running = JobFilter(status=JobStatus.RUNNING)
    assert await pages(store, limit, running, of=None) == in_pages(["job_3", "job_2", "job_1"], limit)
    later = JobFilter(status=JobStatus.RUNNING, created_after=NOW + 1)
    assert await pages(store, limit, later, of=None) == in_pages(["job_3", "job_2"], limit)


def in_pages(ids: list[str], limit: int) -> list[list[str]]:
    return [ids[start : start + limit] for start in range(0, len(ids), limit)]


async def test_jobs_are_counted_by_status_of_one_workspace_and_of_all(store: Store) -> None:
    none = dict.fromkeys(JobStatus, 0)
    assert await store.count_jobs(None) == await store.count_jobs("ws_none") == none
    ended = [change for number in range(3) for change in life(f"job_{number}")]
    await store.record([*ended, created("job_new"), created("job_other", workspace=OTHER_WORKSPACE)])
    assert await store.count_jobs(WORKSPACE) == none | {JobStatus.COMPLETED: 3, JobStatus.PENDING: 1}
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    assert await store.count_jobs(WORKSPACE) == none | {JobStatus.COMPLETED: 2, JobStatus.PENDING: 1}
    assert await store.count_jobs(None) == none | {JobStatus.COMPLETED: 2, JobStatus.PENDING: 2}


async def test_what_is_new_does_not_disturb_pages_that_are_being_read(store: Store) -> None:
    await store.record([created(f"job_{number}") for number in range(4)])
    page, token = await store.jobs(WORKSPACE, limit=2)
    await store.record([created("job_new")])
    rest, token = await store.jobs(WORKSPACE, limit=2, token=token)
    assert [job.id for job in page + rest] == ["job_3", "job_2", "job_1", "job_0"]
    assert token is None


async def test_the_newest_job_is_the_one_recorded_last(store: Store) -> None:
    late, early = created("job_late", now=NOW + 50), created("job_early", now=NOW)
    await store.record([late, early, created("job_other", workspace=OTHER_WORKSPACE)])
    assert await store.newest_job(WORKSPACE) == early.job


async def test_many_jobs_are_read_at_once_and_only_the_workspaces_own(store: Store) -> None:
    changes = [created(f"job_{number}", now=NOW + number) for number in range(5)]
    await store.record([*changes, created("job_other", workspace=OTHER_WORKSPACE)])
    moved = advanced(changes[3].job)
    await store.record([moved])
    found = await store.jobs_of(WORKSPACE, ["job_3", "job_none", "job_1", "job_other", "job_1", "", "\x00", "[1]"])
    assert found == {"job_3": moved.job, "job_1": changes[1].job}
    assert await store.jobs_of(OTHER_WORKSPACE, ["job_3", "job_other"]) == {
        "job_other": await store.job(OTHER_WORKSPACE, "job_other")
    }
    assert await store.jobs_of(WORKSPACE, []) == {}


async def test_how_often_a_job_has_run_is_kept(store: Store) -> None:
    plan = Plan(pending_seconds=0, running_seconds=0, retries=1)
    first = created()
    changes = [msgspec.structs.replace(first, job=msgspec.structs.replace(first.job, plan=plan))]
    while not changes[-1].job.status.is_terminal:
        changes.append(advanced(changes[-1].job))
    for change in changes:
        await store.record([change])
        assert await store.job(WORKSPACE, "job_1") == change.job
    assert [change.job.runs for change in changes] == [0, 1, 1, 2, 2]


# Due moves


async def test_jobs_become_due_at_their_time_and_not_before(store: Store) -> None:
    change = created(now=NOW)
    await store.record([change])
    assert await store.due_jobs(NOW + 4.999, limit=10) == []
    assert await store.due_jobs(NOW + 5, limit=10) == [change.job]


async def test_the_longest_due_come_first_under_a_limit_and_from_all_workspaces(store: Store) -> None:
    await store.record(
        [
            created("job_3", now=NOW + 3),
            created("job_1", now=NOW + 1),
            created("job_2", now=NOW + 2, workspace=OTHER_WORKSPACE),
        ]
    )
    assert [job.id for job in await store.due_jobs(NOW + 60, limit=2)] == ["job_1", "job_2"]
    assert [job.id for job in await store.due_jobs(NOW + 60, limit=9)] == ["job_1", "job_2", "job_3"]


async def test_the_next_due_time_follows_the_moves(store: Store) -> None:
    assert await store.next_job_due() is None
    first, second, third = life(now=NOW)
    await store.record([first])
    assert await store.next_job_due() == NOW + 5
    await store.record([second])
    assert await store.next_job_due() == NOW + 10
    await store.record([third])
    assert await store.next_job_due() is None, "a terminal job is due for nothing"
    assert await store.due_jobs(NOW + 1e9, limit=9) == []


async def test_the_next_due_time_is_the_earliest_also_where_it_is_past(store: Store) -> None:
    await store.record([created("job_2", now=NOW + 2), created("job_1", now=NOW + 1)])
    assert await store.next_job_due() == NOW + 6
