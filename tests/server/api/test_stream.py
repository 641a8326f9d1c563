"""`GET /v3/events/stream`: the log as server-sent events; nothing missed, nothing twice, nobody hurt by the slow."""

import asyncio
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.listening import STREAM, Listener, blocks, listening
from tests.server.promises import refused
from tests.server.rig import EVENTS, Rig, serving
from tests.server.store.builders import created, life, progressed
from tests.waiting import eventually
from video_translation_server.api import tail
from video_translation_server.errors import StoreError
from video_translation_server.store import EventFilter


async def names(rig: Rig, after: str = "cur_0") -> list[str]:
    """The log's event ids behind a cursor."""
    answer = await rig.http.get(EVENTS, params={"after": after, "limit": 100})
    return [event["event_id"] for event in answer.json()["data"]]


async def write(rig: Rig, *jobs: str) -> None:
    """The whole life of each job, one commit each move."""
    for job in jobs:
        for change in life(job):
            assert await rig.store.record([change]) == [True]


async def test_an_event_arrives_as_the_very_bytes_of_its_webhook(rig: Rig) -> None:
    await rig.register(url="https://receiver.example/all")
    async with listening(rig) as listener:
        assert (listener.status, listener.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert listener.headers["cache-control"] == "no-store"
        assert listener.headers["x-accel-buffering"] == "no"
        assert listener.headers["x-request-id"]
        assert "content-length" not in listener.headers
        await rig.translate(title="基調講演\nwith a break")
        await listener.got(1)
        await eventually(lambda: rig.sender.posts)
        body = rig.sender.posts[0].body.decode()
        first, event = listener.text.split("\n\n")[:2]
        assert first == "retry: 1000\nid: cur_0"
        assert event == f"id: cur_1\nevent: video_translate.pending\ndata: {body}"


async def test_without_a_place_it_begins_now_and_says_where_that_is(rig: Rig) -> None:
    await write(rig, "a")
    async with listening(rig) as cut_at_once:
        assert cut_at_once.last_id == "cur_3"
    await write(rig, "b")
    async with listening(rig, headers={"Last-Event-ID": str(cut_at_once.last_id)}) as listener:
        assert await listener.got(3) == ["evt_b_1", "evt_b_2", "evt_b_3"], "what came in between is not lost"


@pytest.mark.parametrize("place", ["cur_2", "evt_a_2"])
@pytest.mark.parametrize("how", ["header", "query"])
async def test_it_reads_on_from_a_cursor_or_an_event(rig: Rig, place: str, how: str) -> None:
    await write(rig, "a", "b")
    given: dict[str, Any] = {"headers": {"Last-Event-ID": place}} if how == "header" else {"after": place}
    async with listening(rig, **given) as listener:
        assert await listener.got(4) == ["evt_a_3", "evt_b_1", "evt_b_2", "evt_b_3"]


async def test_the_header_is_stronger_since_a_browser_repeats_the_query(rig: Rig) -> None:
    await write(rig, "a")
    async with listening(rig, headers={"Last-Event-ID": "cur_2"}, after="cur_0") as listener:
        assert await listener.got(1) == ["evt_a_3"]
    async with listening(rig, headers={"Last-Event-ID": ""}, after="cur_1") as listener:
        assert await listener.got(2) == ["evt_a_2", "evt_a_3"]


@pytest.mark.parametrize("place", ["evt_none", "cur_-1", "cur_10", "x" * 256, "' OR 1=1 --"])
async def test_a_place_that_is_unknown_is_refused(rig: Rig, place: str) -> None:
    refused(await rig.http.get(STREAM, params={"after": place}), 400, "invalid_parameter", "after")
    answer = await rig.http.get(STREAM, headers={"Last-Event-ID": place})
    refused(answer, 400, "invalid_parameter", "last-event-id")


async def test_a_place_that_was_pruned_is_gone(rig: Rig) -> None:
    await write(rig, "a")
    await rig.advance(31 * 86400)
    answer = await rig.http.get(STREAM, headers={"Last-Event-ID": "cur_0"})
    refused(answer, 410, "cursor_expired", "last-event-id", "the oldest is cur_")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"event_type": "no.such"}, "event_type"),
        ({"event_type": "video_translate.fail,no.such"}, "event_type"),
        ({"event_type": ["video_translate.fail", "VIDEO"]}, "event_type"),
        ({"entity_id": "a", "video_translate_id": "b"}, "entity_id"),
        ({"entity_id": "x" * 256}, "entity_id"),
        ({"after": ""}, "after"),
    ],
)
async def test_a_bad_filter_is_refused(rig: Rig, query: dict[str, Any], param: str) -> None:
    refused(await rig.http.get(STREAM, params=query), 400, "invalid_parameter", param)


ENDS = ["evt_a_3", "evt_b_3"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"event_type": "video_translate.success"}, ENDS),
        ({"event-type": "video_translate.success,video_translate.fail"}, ENDS),
        ({"event_type": ["video_translate.fail", "video_translate.success"]}, ENDS),
        ({"entity_id": "b"}, ["evt_b_1", "evt_b_2", "evt_b_3"]),
        ({"video_translate_id": "a", "event_type": "video_translate.running"}, ["evt_a_2"]),
    ],
)
async def test_a_filter_narrows_what_was_and_what_comes(
    rig: Rig, query: dict[str, Any], expected: list[str], when: str
) -> None:
    if when == "before":
        await write(rig, "a", "b")
    async with listening(rig, after="cur_0", **query) as listener:
        if when == "after":
            await write(rig, "a", "b")
        assert await listener.got(len(expected)) == expected


async def test_progress_comes_only_where_it_is_asked_for_by_name(rig: Rig) -> None:
    first = created("a")
    await rig.store.record([first])
    async with listening(rig) as all_others, listening(rig, event_type="video_translate.progress") as asking:
        await rig.store.record([progressed(first.job, 50)])
        await write(rig, "b")
        await eventually(lambda: asking.last_id == "cur_2")
        assert [block["event"] for block in blocks(asking.text)[1:]] == ["video_translate.progress"]
        assert await all_others.got(3) == ["evt_b_1", "evt_b_2", "evt_b_3"]


async def test_a_quiet_stream_has_a_heartbeat_that_moves_its_place(tmp_path: Path) -> None:
    failures: dict[str, Any] = {"event_type": "video_translate.fail"}
    async with serving(tmp_path, stream_heartbeat=0.02) as rig, listening(rig, **failures) as listener:
        await eventually(lambda: listener.text.count(": ping") >= 2)
        await write(rig, "a")
        await eventually(lambda: listener.last_id == "cur_3")
        assert listener.events == []
        assert set(blocks(listener.text)[-1]) == {"id"}, "no event, only the place to resume from"


async def test_streams_share_one_reading_of_the_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    events_after = rig.store.events_after

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await events_after(*arguments, **options)

    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listening(rig, entity_id="b")) for _ in range(20)]
        monkeypatch.setattr(rig.store, "events_after", counted)
        await write(rig, "a", "b")
        assert [await listener.got(3) for listener in listeners] == [["evt_b_1", "evt_b_2", "evt_b_3"]] * 20
    assert reads <= 7, "one per commit at most, whatever the number of streams"


async def test_a_reader_behind_the_window_reads_the_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "WINDOW", 2)
    monkeypatch.setattr(tail, "BATCH", 3)
    async with listening(rig, after="cur_0") as slow, listening(rig) as quick:
        slow.takes.clear()
        await write(rig, *"abcdefgh")
        assert len(await quick.got(24)) == 24
        slow.takes.set()
        assert await slow.got(24) == quick.names == await names(rig)


async def test_a_reader_that_takes_nothing_is_cut_and_the_others_go_on(tmp_path: Path) -> None:
    async with serving(tmp_path, stream_stall=0.05) as rig, listening(rig) as stalled, listening(rig) as other:
        stalled.takes.clear()
        await write(rig, "a")
        assert await other.got(3) == ["evt_a_1", "evt_a_2", "evt_a_3"]
        await eventually(stalled.task.done)
        assert not stalled.is_complete
        assert len(rig.lines("stream cut: its reader takes nothing")) == 1
        await write(rig, "b")
        assert len(await other.got(6)) == 6
    assert not rig.lines("request crashed")


async def test_a_reader_that_leaves_leaves_nothing_behind(rig: Rig) -> None:
    for job in "abc":
        async with listening(rig), listening(rig, after="cur_0"):
            await write(rig, job)
            assert streaming()
    assert not streaming()
    assert not rig.lines("request crashed")


def streaming() -> list[str]:
    """The tasks of this moment that belong to a stream."""
    return [str(task.get_coro()) for task in asyncio.all_tasks() if "tream" in str(task.get_coro())]


async def test_more_streams_than_allowed_are_sent_away(tmp_path: Path) -> None:
    async with serving(tmp_path, stream_limit=2) as rig:
        async with listening(rig), listening(rig):
            answer = await rig.http.get(STREAM)
            refused(answer, 429, "rate_limit_exceeded", message="2 event streams")
            assert answer.headers["retry-after"] == "5"
        async with listening(rig) as listener:
            assert listener.status == 200


async def test_a_stop_ends_every_stream_properly(rig: Rig) -> None:
    async with listening(rig) as idle, listening(rig, after="cur_0") as behind:
        await write(rig, "a")
        await behind.got(3)
        rig.application.stopping.set()
        await eventually(lambda: idle.task.done() and behind.task.done())
        assert idle.is_complete
        assert behind.is_complete


async def test_a_log_that_cannot_be_read_ends_the_stream_which_resumes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(rig, "a")
    async with listening(rig):

        async def broken(*_: Any, **__: Any) -> Any:
            raise StoreError("the disk is gone")

        with monkeypatch.context() as patched:
            patched.setattr(rig.store, "events_after", broken)
            async with listening(rig, after="cur_0") as listener:
                await eventually(listener.task.done)
                assert listener.is_complete
        async with listening(rig, after=listener.last_id) as again:
            assert len(await again.got(3)) == 3


# Whatever is cut, whenever: every event once, in the order of the log

steps = st.lists(
    st.tuples(st.just("write"), st.integers(1, 5)) | st.tuples(st.just("stall"), st.booleans()), min_size=1, max_size=8
)
Moves = list[tuple[str, int]]


@pytest.fixture(scope="module")
def cut() -> Iterator[Callable[..., None]]:
    """One server for all examples of the module; each begins where the log ends."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        stack = AsyncExitStack()
        rig = runner.run(stack.enter_async_context(serving(Path(folder), stream_heartbeat=0.005)))
        jobs = map("job{}".format, itertools.count())
        yield lambda *given: runner.run(example(rig, jobs, *given))
        runner.run(stack.aclose())


async def example(rig: Rig, jobs: Iterator[str], moves: Moves, rooms: list[int], types: list[str]) -> None:
    """Events are written while one stream after the other is cut after some bytes; the last one reads to the end."""
    start = await rig.store.last_position()
    place, left, seen = f"cur_{start}", iter(moves), list[str]()
    for room in [*rooms, None]:
        async with listening(rig, room=room, headers={"Last-Event-ID": place}, event_type=types) as listener:
            await carry_out(rig, jobs, left, listener)
            if room is None:
                await eventually(functools.partial(is_at, listener, f"cur_{await rig.store.last_position()}"))
        seen += listener.names
        place = listener.last_id or place
    log, _ = await rig.store.events_after("ws_default", start, limit=1000, wanted=EventFilter())
    assert seen == [event.id for event in log if not types or event.type in types]


async def carry_out(rig: Rig, jobs: Iterator[str], moves: Iterator[tuple[str, int]], listener: Listener) -> None:
    for kind, value in moves:
        if kind == "write":
            await write(rig, *itertools.islice(jobs, value))
        elif value:
            listener.takes.clear()
        else:
            listener.takes.set()
        if listener.task.done():
            break
    listener.takes.set()


def is_at(listener: Listener, place: str) -> bool:
    return listener.last_id == place


@settings(max_examples=50, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    moves=steps,
    rooms=st.lists(st.integers(1, 4000), max_size=5),
    types=st.sampled_from([[], ["video_translate.success"], ["video_translate.pending", "video_translate.fail"]]),
)
def test_every_event_once_and_in_order_whatever_is_cut(
    cut: Callable[..., None], moves: Moves, rooms: list[int], types: list[str]
) -> None:
    cut(moves, rooms, types)
