"""The line: who is next where not all jobs run at once, and where a job stands."""

import msgspec
import pytest

from tests.server.store.builders import NOW, OTHER_WORKSPACE, WORKSPACE, advanced, created, failed, queued
from video_translation_server.model import FAST, Workers
from video_translation_server.store import Store


async def following(store: Store, workers: Workers, limit: int = 100) -> list[str]:
    return [job.id for job in await store.due_jobs(NOW + 1000, limit, workers=workers)]


async def test_a_job_in_line_is_kept_field_by_field(store: Store) -> None:
    first = queued("job_1", head_start=7)
    changes = [first, advanced(first.job)]
    for change in changes:
        await store.record([change])
        assert await store.job(WORKSPACE, "job_1") == change.job
    assert [change.job.rank for change in changes] == [NOW - 7, None]


async def test_as_many_run_as_there_are_workers_and_the_lowest_rank_is_next(store: Store) -> None:
    changes = [
        queued("a", at=2),
        queued("b", at=1, workspace=OTHER_WORKSPACE),
        queued("c", at=9, head_start=9),
        queued("d", at=2),
    ]
    await store.record(changes)
    assert await following(store, Workers(main=9)) == ["c", "b", "a", "d"]
    assert await following(store, Workers(main=2)) == ["c", "b"]
    assert await following(store, Workers(main=9), limit=3) == ["c", "b", "a"]
    assert await following(store, Workers()) == ["c", "b", "a", "d"], "without a limit nobody waits"
    await store.record([advanced(changes[2].job, now=NOW + 5000)])
    assert await following(store, Workers(main=2)) == ["b"]
    assert await following(store, Workers(main=1)) == []


async def test_a_worker_is_free_again_once_a_job_has_ended_or_failed_or_come_back(store: Store) -> None:
    running = [advanced(queued(name, at=-9).job, now=NOW + 5000) for name in ("a", "b", "c")]
    await store.record([queued(name, at=-9) for name in ("a", "b", "c")])
    await store.record([*running, queued("d")])
    assert await following(store, Workers(main=3)) == []
    await store.record([failed(running[0].job, event_id="evt_f")])
    assert await following(store, Workers(main=3)) == ["d"]
    await store.record([advanced(running[1].job, now=NOW + 5001)])
    assert await following(store, Workers(main=3)) == ["d", "b"], "it stands at the back"


async def test_due_moves_come_before_those_in_line(store: Store) -> None:
    await store.record([queued("line"), created("due")])
    assert await following(store, Workers(main=1)) == ["due", "line"]
    assert await following(store, Workers(main=1), limit=1) == ["due"]


async def test_each_lane_has_workers_of_its_own(store: Store) -> None:
    await store.record([queued("a"), queued("b"), queued("short_1", lane=FAST), queued("short_2", lane=FAST)])
    assert await following(store, Workers(main=1, fast=1)) == ["a", "short_1"]
    assert await following(store, Workers(main=2)) == ["a", "b", "short_1", "short_2"], "no lane is forgotten"


async def test_a_place_tells_who_is_ahead_and_who_runs(store: Store) -> None:
    first = queued("first")
    running = advanced(first.job, now=NOW)
    await store.record([first, running, queued("b", at=1, seconds=20), queued("c", at=2, seconds=30)])
    await store.record([queued("short", lane=FAST), queued("urgent", at=3, head_start=60, seconds=40)])
    place = await store.place(queued("c").job)
    assert place is not None
    assert (place.ahead, place.beyond, place.busy) == ([40, 20], 0, [running.job])
    assert await store.place(running.job) is None, "it runs"


async def test_who_was_given_up_stands_in_line_no_more(store: Store) -> None:
    await store.record([queued("a"), queued("b", at=1)])
    await store.record([failed(queued("a").job, event_id="evt_f")])
    place = await store.place(queued("b", at=1).job)
    assert place is not None
    assert place.ahead == []
    assert await following(store, Workers(main=9)) == ["b"]


async def test_beyond_the_first_thousand_a_place_is_estimated(store: Store) -> None:
    changes = [queued(f"job_{number}", at=number * 0.01, seconds=1) for number in range(3000)]
    await store.record(changes)
    await store.record([advanced(change.job) for change in changes[:500]])
    for number in (500, 1499, 1500, 2999):
        place = await store.place(changes[number].job)
        assert place is not None
        assert len(place.ahead) == min(number - 500, 1000)
        assert len(place.ahead) + place.beyond == pytest.approx(number - 500, rel=0.01)


async def test_a_deleted_job_is_due_for_nothing(store: Store) -> None:
    first = created()
    plan = msgspec.structs.replace(first.job.plan, url_delay=60)
    second = advanced(msgspec.structs.replace(first.job, plan=plan))
    third = advanced(second.job)
    await store.record([first, second, third])
    assert await store.next_job_due() == NOW + 60
    await store.delete_job(WORKSPACE, "job_1", now=NOW)
    assert await store.next_job_due() is None
