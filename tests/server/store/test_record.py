"""`record`: job, event and deliveries together or not at all; each change answered for by itself."""

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    PROGRESS,
    WORKSPACE,
    advanced,
    created,
    deliveries_of,
    endpoint,
    failed,
    life,
    progressed,
    read_log,
)
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import DeliveryState, JobStatus
from video_translation_server.store import Store


async def test_a_created_job_is_kept_field_by_field(store: Store) -> None:
    change = created(title="Película: 映画", nested={"list": [1, None, True]})
    assert await store.record([change]) == [True]
    assert await store.job(WORKSPACE, "job_1") == change.job


async def test_an_event_is_kept_byte_by_byte(store: Store) -> None:
    change = created(title="Película: 映画 \U0001f39e")
    await store.record([change])
    [event] = await read_log(store)
    assert event == msgspec.structs.replace(change.event, position=event.position)
    assert event.position > 0


async def test_a_move_replaces_every_field_that_moves(store: Store) -> None:
    changes = life()
    for change in changes:
        assert await store.record([change]) == [True]
        assert await store.job(WORKSPACE, "job_1") == change.job
    assert [event.sequence for event in await read_log(store)] == [1, 2, 3]


async def test_a_cancelled_job_keeps_when_and_why(store: Store) -> None:
    first = created()
    given_up = failed(first.job, event_id="evt_cancel")
    job = msgspec.structs.replace(given_up.job, cancelled_at=NOW + 1)
    await store.record([first, msgspec.structs.replace(given_up, job=job)])
    assert await store.job(WORKSPACE, "job_1") == job


async def test_a_whole_life_can_be_recorded_in_one_call(store: Store) -> None:
    assert await store.record(life()) == [True, True, True]
    assert (await store.job(WORKSPACE, "job_1")).status is JobStatus.COMPLETED


async def test_nothing_to_record_is_nothing(store: Store) -> None:
    assert await store.record([]) == []
    assert await store.last_position() == 0


async def test_a_lost_race_changes_nothing_and_says_so(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    winner, loser = advanced(first.job), failed(first.job, event_id="evt_loser")
    await store.record([first, winner])
    assert await store.record([loser]) == [False]
    assert await store.job(WORKSPACE, "job_1") == winner.job
    assert [event.id for event in await read_log(store)] == ["evt_job_1_1", "evt_job_1_2"]
    assert await deliveries_of(store, WORKSPACE, "evt_loser") == []


async def test_a_lost_race_does_not_stop_the_others_of_its_batch(store: Store) -> None:
    one, two = created("job_1"), created("job_2")
    await store.record([one, two])
    late = failed(one.job, event_id="evt_late")
    await store.record([advanced(one.job)])
    assert await store.record([late, advanced(two.job), created("job_3")]) == [False, True, True]
    assert (await store.job(WORKSPACE, "job_2")).status is JobStatus.RUNNING
    assert (await store.job(WORKSPACE, "job_3")).status is JobStatus.PENDING


async def test_the_second_of_two_moves_from_one_version_loses_within_a_batch(store: Store) -> None:
    first = created()
    assert await store.record([first, advanced(first.job), failed(first.job, event_id="evt_late")]) == [
        True,
        True,
        False,
    ]


async def test_a_move_that_skips_a_version_loses(store: Store) -> None:
    first, _, third = life()
    await store.record([first])
    assert await store.record([third]) == [False]
    assert await store.job(WORKSPACE, "job_1") == first.job


async def test_a_move_of_a_job_that_does_not_exist_loses(store: Store) -> None:
    _, second, _ = life()
    assert await store.record([second]) == [False]
    assert await read_log(store) == []
    with pytest.raises(NotFoundError):
        await store.job(WORKSPACE, "job_1")


async def test_a_known_id_is_a_conflict_and_nothing_of_the_call_is_kept(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first])
    with pytest.raises(ConflictError, match="job_1"):
        await store.record([created("job_2"), advanced(first.job), created("job_1"), created("job_3")])
    jobs, _ = await store.jobs(WORKSPACE, limit=10)
    assert jobs == [first.job]
    assert [event.id for event in await read_log(store)] == ["evt_job_1_1"]
    assert await deliveries_of(store, WORKSPACE, "evt_job_2_1") == []


@pytest.mark.parametrize("place", [0, 2, 3, 4])
async def test_of_many_ids_the_known_one_is_named(store: Store, place: int) -> None:
    await store.record([created("job_known")])
    changes = [created(f"job_{number}") for number in range(5)]
    changes[place] = created("job_known")
    with pytest.raises(ConflictError, match="job_known "):
        await store.record(changes)
    changes[place] = created("job_new")
    changes[place] = msgspec.structs.replace(changes[place], event=created("job_known").event)
    with pytest.raises(ConflictError, match="evt_job_known_1 "):
        await store.record(changes)
    assert [event.id for event in await read_log(store)] == ["evt_job_known_1"]


async def test_an_id_is_taken_over_all_workspaces(store: Store) -> None:
    await store.record([created("job_1")])
    with pytest.raises(ConflictError):
        await store.record([created("job_1", workspace=OTHER_WORKSPACE)])


async def test_an_event_id_that_is_known_is_a_conflict_too(store: Store) -> None:
    first = created("job_1")
    await store.record([first])
    twin = created("job_2")
    event = msgspec.structs.replace(twin.event, id=first.event.id)
    with pytest.raises(ConflictError, match="evt_job_1_1"):
        await store.record([msgspec.structs.replace(twin, event=event)])
    with pytest.raises(NotFoundError):
        await store.job(WORKSPACE, "job_2")


async def test_a_job_is_not_found_in_another_workspace(store: Store) -> None:
    await store.record([created("job_1")])
    with pytest.raises(NotFoundError, match="job_1") as caught:
        await store.job(OTHER_WORKSPACE, "job_1")
    assert caught.value.code == "resource_not_found"


# Deliveries


async def receivers(store: Store, event_id: str, workspace: str = WORKSPACE) -> list[str]:
    return [one.endpoint_id for one in await deliveries_of(store, workspace, event_id)]


async def test_each_endpoint_gets_one_delivery_in_the_order_of_their_creation(store: Store) -> None:
    for name in ("ep_b", "ep_a", "ep_c"):
        await store.create_endpoint(endpoint(name))
    await store.record([created()])
    assert await receivers(store, "evt_job_1_1") == ["ep_b", "ep_a", "ep_c"]


async def test_a_first_delivery_is_due_at_the_transition_and_a_later_one_waits(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life(now=NOW + 7))
    [first] = await deliveries_of(store, WORKSPACE, "evt_job_1_1")
    [second] = await deliveries_of(store, WORKSPACE, "evt_job_1_2")
    assert (first.state, first.due_at, first.attempts, first.first_attempt_at) == (DeliveryState.DUE, NOW + 7, 0, None)
    assert (second.state, second.due_at, second.attempts) == (DeliveryState.WAITING, None, 0)
    assert (first.event_id, first.endpoint_id, first.job_id) == ("evt_job_1_1", "ep_1", "job_1")


async def test_an_event_without_endpoints_is_stored_all_the_same(store: Store) -> None:
    await store.record(life())
    assert await receivers(store, "evt_job_1_1") == []
    assert len(await read_log(store)) == 3


@pytest.mark.parametrize(
    ("events", "received"),
    [
        (None, ["evt_job_1_1", "evt_job_1_2", "evt_job_1_4"]),
        (("video_translate.success", "video_translate.fail"), ["evt_job_1_4"]),
        (("video_translate.pending", PROGRESS), ["evt_job_1_1", "evt_job_1_3"]),
        ((PROGRESS,), ["evt_job_1_3"]),
        (("avatar_video.success",), []),
        ((), []),
    ],
)
async def test_an_endpoint_gets_the_types_it_wants_and_by_default_all_but_progress(
    store: Store, events: tuple[str, ...] | None, received: list[str]
) -> None:
    await store.create_endpoint(endpoint(events=events))
    first = created()
    second = advanced(first.job)
    third = progressed(second.job, 40)
    fourth = advanced(third.job)
    changes = [first, second, third, fourth]
    assert all(await store.record(changes))
    assert [change.event.id for change in changes if await receivers(store, change.event.id)] == received


async def test_an_endpoint_of_one_job_gets_nothing_of_the_others(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_narrow", entity_id="job_2"))
    await store.record([created("job_1"), created("job_2")])
    assert await receivers(store, "evt_job_1_1") == []
    assert await receivers(store, "evt_job_2_1") == ["ep_narrow"]


async def test_workspaces_get_nothing_of_each_other(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_here"))
    await store.create_endpoint(endpoint("ep_there", workspace=OTHER_WORKSPACE))
    await store.record([created("job_1"), created("job_2", workspace=OTHER_WORKSPACE)])
    assert await receivers(store, "evt_job_1_1") == ["ep_here"]
    assert await receivers(store, "evt_job_2_1", OTHER_WORKSPACE) == ["ep_there"]
    assert await receivers(store, "evt_job_2_1", WORKSPACE) == [], "asked for in the wrong workspace"


async def test_a_deleted_endpoint_gets_nothing_new(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_gone"))
    await store.create_endpoint(endpoint("ep_stays"))
    await store.delete_endpoint(WORKSPACE, "ep_gone", now=NOW)
    await store.record([created()])
    assert await receivers(store, "evt_job_1_1") == ["ep_stays"]


async def test_an_endpoint_gets_what_follows_its_first_cursor_and_nothing_before(store: Store) -> None:
    changes = life()
    await store.record(changes[:1])
    cursor = await store.create_endpoint(endpoint())
    await store.record(changes[1:])
    behind = [event.id for event in await read_log(store, cursor)]
    got = [change.event.id for change in changes if await receivers(store, change.event.id)]
    assert behind == got == ["evt_job_1_2", "evt_job_1_3"]


async def test_a_progress_update_keeps_the_sequence(store: Store) -> None:
    first = created()
    second = advanced(first.job)
    await store.record([first, second, progressed(second.job, 40)])
    job = await store.job(WORKSPACE, "job_1")
    assert (job.sequence, job.version, job.progress) == (2, 3, 40)
    assert [event.sequence for event in await read_log(store)] == [1, 2, 2]
