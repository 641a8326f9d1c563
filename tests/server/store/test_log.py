"""The event log: log order is commit order (decision 0008), cursors are positions, filters narrow."""

import asyncio

import pytest

from tests.server.store.builders import (
    ALL,
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    created,
    endpoint,
    life,
    read_log,
)
from tests.server.store.engines import RealTime, Reopen
from tests.waiting import PATIENCE
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Event
from video_translation_server.store import EventFilter, Store

# Order


async def tail(store: Store, total: int, *, limit: int) -> list[Event]:
    """Read the log while it grows, by the cursor alone."""
    found: list[Event] = []
    cursor = 0
    async with asyncio.timeout(PATIENCE):
        while len(found) < total:
            with store.bells.events.listen() as rung:
                page, cursor = await store.events_after(WORKSPACE, cursor, limit=limit, wanted=ALL)
                found += page
                if not page:
                    await rung.wait()
    return found


async def write_lives(store: Store, name: str, jobs: int) -> None:
    """A writer of whole lives, one commit each move."""
    for number in range(jobs):
        for change in life(f"job_{name}_{number}"):
            assert await store.record([change]) == [True]


async def write_strangers(store: Store, stop: asyncio.Event) -> None:
    """A writer in another workspace and one that fails: both take part in the numbering."""
    number = 0
    await store.record([created("job_taken")])
    while not stop.is_set():
        number += 1
        await store.record([created(f"job_stranger_{number}", workspace=OTHER_WORKSPACE)])
        with pytest.raises(ConflictError):
            await store.record([created(f"job_never_{number}"), created("job_taken")])


async def test_without_a_workspace_the_log_of_all_is_read(store: Store) -> None:
    await store.record([created("job_a"), created("job_b", workspace=OTHER_WORKSPACE), created("job_c")])
    both, read_to = await store.events_after(None, 0, limit=2, wanted=ALL)
    rest, end = await store.events_after(None, read_to, limit=2, wanted=ALL)
    assert [event.id for event in both + rest] == ["evt_job_a_1", "evt_job_b_1", "evt_job_c_1"]
    assert [event.workspace_id for event in both] == [WORKSPACE, OTHER_WORKSPACE]
    assert (read_to, end) == (both[-1].position, rest[-1].position)


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_a_tailing_reader_misses_nothing_while_many_write(store: Store, limit: int) -> None:
    writers, jobs = 8, 12
    total = writers * jobs * 3 + 1
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(tail(store, total, limit=limit)) for _ in range(3)]
        strangers = tasks.create_task(write_strangers(store, stop))
        await asyncio.gather(*(write_lives(store, str(writer), jobs) for writer in range(writers)))
        stop.set()
        await strangers
    log = await read_log(store)
    assert len(log) == total
    assert [one.position for one in log] == sorted({one.position for one in log})
    for reader in readers:
        assert [one.id for one in reader.result()] == [one.id for one in log]


async def test_a_cursor_that_was_answered_is_never_overtaken_from_behind(store: Store) -> None:
    """What a read did not see gets a position behind the cursor that it answered with."""
    calls = [asyncio.ensure_future(store.record([created(f"job_{number}")])) for number in range(200)]
    known: set[str] = set()
    ended_at = 0
    while not all(call.done() for call in calls):
        page, cursor = await store.events_after(WORKSPACE, 0, limit=1000, wanted=ALL)
        late = [one for one in page if one.id not in known and one.position <= ended_at]
        assert late == []
        known, ended_at = {one.id for one in page}, cursor
    assert len(await read_log(store)) == 200


async def test_one_call_is_appended_in_its_own_order_and_without_strangers_between_its_jobs(store: Store) -> None:
    lives = [life(f"job_{number}") for number in range(10)]
    await asyncio.gather(*(store.record(changes) for changes in lives))
    log = await read_log(store)
    for changes in lives:
        ids = [one.id for one in log]
        start = ids.index(changes[0].event.id)
        assert ids[start : start + 3] == [change.event.id for change in changes]


async def test_positions_are_never_used_twice(store: Store) -> None:
    given: set[int] = set()
    for number in range(5):
        await store.record([created(f"job_{number}")])
        position = await store.last_position()
        assert position not in given
        given.add(position)
        with pytest.raises(ConflictError):
            await store.record([created(f"job_extra_{number}"), created(f"job_{number}")])
    assert sorted(given) == [one.position for one in await read_log(store)]


async def test_a_log_that_is_opened_leaves_room_for_what_a_lost_later_copy_gave_out(
    store: Store, reopen: Reopen, real_time: RealTime
) -> None:
    """So that after a restore, what is behind a cursor of before is all that is new (decision 0035)."""
    await store.record([created("job_1")])
    store = await reopen()
    await store.record([created(f"job_{number}") for number in range(2, 7)])
    lost = [event.position for event in await read_log(store)][1:]
    real_time.advance(1)
    store = await reopen()
    await store.record([created("job_7")])
    assert [event.job_id for event in await read_log(store, lost[-1])] == ["job_7"]
    assert (await read_log(store))[-1].position > 5_001 * 1_000_000, "microseconds of the time at which it was opened"


# Reading forward


async def test_an_empty_log_reads_as_empty_and_leaves_the_cursor(store: Store) -> None:
    assert await store.events_after(WORKSPACE, 0, limit=10, wanted=ALL) == ([], 0)
    assert await store.events_before(WORKSPACE, None, limit=10, wanted=ALL) == []
    assert await store.last_position() == 0


async def test_a_page_ends_where_its_cursor_says(store: Store) -> None:
    await store.record(life())
    log = await read_log(store)
    page, cursor = await store.events_after(WORKSPACE, 0, limit=2, wanted=ALL)
    assert (page, cursor) == (log[:2], log[1].position)
    page, cursor = await store.events_after(WORKSPACE, cursor, limit=2, wanted=ALL)
    assert (page, cursor) == (log[2:], await store.last_position())
    assert await store.events_after(WORKSPACE, cursor, limit=2, wanted=ALL) == ([], cursor)


async def test_a_full_page_does_not_jump_over_what_is_left(store: Store) -> None:
    """The end of the log is the cursor only where the page is not full."""
    await store.record(life())
    wanted = EventFilter(type="video_translate.pending")
    page, cursor = await store.events_after(WORKSPACE, 0, limit=1, wanted=wanted)
    assert cursor == page[0].position < await store.last_position()


async def test_what_does_not_match_is_passed_over_for_good(store: Store) -> None:
    await store.record(life("job_1"))
    await store.record([created("job_2", workspace=OTHER_WORKSPACE)])
    end = await store.last_position()
    wanted = EventFilter(entity_id="job_none")
    assert await store.events_after(WORKSPACE, 0, limit=10, wanted=wanted) == ([], end)


async def test_a_cursor_beyond_the_end_stays_where_it_is(store: Store) -> None:
    await store.record([created()])
    ahead = await store.last_position() + 100
    assert await store.events_after(WORKSPACE, ahead, limit=10, wanted=ALL) == ([], ahead)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(), ["evt_job_1_1", "evt_job_2_1", "evt_job_1_2"]),
        (EventFilter(type="video_translate.pending"), ["evt_job_1_1", "evt_job_2_1"]),
        (EventFilter(entity_id="job_1"), ["evt_job_1_1", "evt_job_1_2"]),
        (EventFilter(type="video_translate.running", entity_id="job_1"), ["evt_job_1_2"]),
        (EventFilter(type="video_translate.running", entity_id="job_2"), []),
        (EventFilter(type="no.such.type"), []),
        (EventFilter(entity_id="job_elsewhere"), []),
    ],
)
async def test_filters_narrow_both_ways_of_reading(store: Store, wanted: EventFilter, found: list[str]) -> None:
    one, two = created("job_1"), created("job_2")
    elsewhere = created("job_elsewhere", workspace=OTHER_WORKSPACE)
    await store.record([one, elsewhere, two, advanced(one.job)])
    forward, _ = await store.events_after(WORKSPACE, 0, limit=10, wanted=wanted)
    back = await store.events_before(WORKSPACE, None, limit=10, wanted=wanted)
    assert [event.id for event in forward] == found
    assert [event.id for event in back] == found[::-1]


# Reading back


async def test_reading_back_in_pages_finds_all_the_newest_first(store: Store) -> None:
    await store.record([*life("job_1"), *life("job_2")])
    found: list[Event] = []
    position: int | None = None
    while page := await store.events_before(WORKSPACE, position, limit=4, wanted=ALL):
        assert len(page) <= 4
        found += page
        position = page[-1].position
    assert found == (await read_log(store))[::-1]


# Positions


async def test_an_event_id_resolves_to_its_position(store: Store) -> None:
    await store.record(life())
    for event in await read_log(store):
        assert await store.event_position(WORKSPACE, event.id) == event.position


@pytest.mark.parametrize("workspace", [WORKSPACE, OTHER_WORKSPACE])
async def test_an_unknown_event_has_no_position(store: Store, workspace: str) -> None:
    await store.record([created("job_1", workspace=WORKSPACE)])
    event_id = "evt_job_1_1" if workspace == OTHER_WORKSPACE else "evt_none"
    with pytest.raises(NotFoundError, match=event_id):
        await store.event_position(workspace, event_id)


async def test_the_last_position_counts_all_workspaces(store: Store) -> None:
    await store.record([created("job_1")])
    before = await store.last_position()
    await store.record([created("job_2", workspace=OTHER_WORKSPACE)])
    assert await store.last_position() > before


async def test_a_new_endpoints_cursor_is_the_end_of_the_log(store: Store) -> None:
    assert await store.create_endpoint(endpoint("ep_1")) == 0
    await store.record(life(now=NOW))
    assert await store.create_endpoint(endpoint("ep_2")) == await store.last_position()
