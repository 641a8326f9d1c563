"""`GET /v3/webhooks/events`: history backwards, the catch-up door forwards."""

from typing import Any

import httpx
import pytest

from tests.server.promises import conforms, refused
from tests.server.rig import EVENTS, HOOK, JOBS, Rig
from video_translation_server.wire.responses import EventPage

OPERATION = "GET /v3/webhooks/events"


async def read(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    body: dict[str, Any] = conforms(await http.get(EVENTS, params=query), EventPage, OPERATION)
    return body


def order(page: dict[str, Any]) -> list[str]:
    return [event["event_id"] for event in page["data"]]


async def three_lives(rig: Rig) -> list[str]:
    """Three jobs to their ends: nine events, evt_1 to evt_9; the second fails."""
    await rig.translate("English", simulation={"outcome": "completed", "duration_seconds": 10})
    await rig.translate("German", simulation={"outcome": "failed", "duration_seconds": 10})
    await rig.translate("French", simulation={"outcome": "completed", "duration_seconds": 10})
    await rig.advance(1)
    await rig.advance(9)
    return ["vt_1", "vt_2", "vt_3"]


async def test_history_is_newest_first_and_paged(rig: Rig, http: httpx.AsyncClient) -> None:
    await three_lives(rig)
    seen: list[str] = []
    token: dict[str, str] = {}
    for expected in (4, 4, 1):
        page = await read(http, limit=4, **token)
        assert "cursor" not in page
        assert len(page["data"]) == expected
        assert page["has_more"] == (page["next_token"] is not None) == (expected == 4)
        seen += order(page)
        token = {"token": page["next_token"]}
    assert seen == [f"evt_{number}" for number in range(9, 0, -1)]


async def test_an_item_is_what_a_webhook_carries(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.register()
    await three_lives(rig)
    posted = {post.event["event_id"]: post.event for post in rig.sender.posts}
    logged = {event["event_id"]: event for event in (await read(http))["data"]}
    assert posted == logged
    assert len(logged) == 9


async def test_forward_reading_is_in_log_order_to_its_end(rig: Rig, http: httpx.AsyncClient) -> None:
    await three_lives(rig)
    seen, cursor, more = [], "cur_0", True
    while more:
        page = await read(http, after=cursor, limit=4)
        assert page["next_token"] is None
        seen += order(page)
        cursor, more = page["cursor"], page["has_more"]
    assert seen == [f"evt_{number}" for number in range(1, 10)]
    again = await read(http, after=cursor)
    assert (again["data"], again["cursor"], again["has_more"]) == ([], cursor, False)
    await rig.translate()
    assert order(await read(http, after=cursor)) == ["evt_10"]


async def test_after_takes_an_event_id(rig: Rig, http: httpx.AsyncClient) -> None:
    await three_lives(rig)
    assert order(await read(http, after="evt_7")) == ["evt_8", "evt_9"]
    assert order(await read(http, after="evt_9")) == []


async def test_filters_narrow_both_directions(rig: Rig, http: httpx.AsyncClient) -> None:
    jobs = await three_lives(rig)
    for direction in ({}, {"after": "cur_0"}):
        kind = await read(http, event_type="video_translate.fail", **direction)
        assert [event["event_data"]["video_translate_id"] for event in kind["data"]] == [jobs[1]]
        for name in ("video_translate_id", "entity_id"):
            page = await read(http, **{name: jobs[2]}, **direction)
            assert {event["event_data"]["video_translate_id"] for event in page["data"]} == {jobs[2]}
            assert len(page["data"]) == 3
        both = await read(http, event_type="video_translate.success", video_translate_id=jobs[0], **direction)
        assert len(both["data"]) == 1
        assert order(await read(http, video_translate_id="vt_none", **direction)) == []
        assert order(await read(http, event_type="batch.finished", **direction)) == []


async def test_a_filtered_page_moves_the_cursor_past_what_it_left_out(rig: Rig, http: httpx.AsyncClient) -> None:
    await three_lives(rig)
    page = await read(http, after="cur_0", event_type="video_translate.fail")
    assert page["cursor"] == (await read(http, after="evt_9"))["cursor"]
    full = await read(http, after="cur_0", event_type="video_translate.pending", limit=1)
    assert (order(full), full["cursor"], full["has_more"]) == (["evt_1"], "cur_1", True)


async def test_filters_that_contradict_each_other_are_refused(rig: Rig, http: httpx.AsyncClient) -> None:
    jobs = await three_lives(rig)
    answer = await http.get(EVENTS, params={"entity_id": jobs[0], "video_translate_id": jobs[1]})
    refused(answer, 400, "invalid_parameter", "entity_id", "different jobs")
    assert len((await read(http, entity_id=jobs[0], video_translate_id=jobs[0]))["data"]) == 3


async def test_an_endpoint_for_one_job_gets_only_its_events(rig: Rig) -> None:
    await rig.register(entity_id="vt_2")
    await three_lives(rig)
    assert rig.sender.sequences("vt_2") == [1, 2, 3]
    assert len(rig.sender.posts) == 3


async def test_an_endpoint_gets_the_types_that_it_asked_for(rig: Rig) -> None:
    await rig.register(events=["video_translate.success", "video_translate.fail"])
    await rig.register(url=f"{HOOK}/progress", events=["video_translate.progress"])
    await three_lives(rig)
    assert sorted((post.job, post.sequence) for post in rig.sender.posts) == [("vt_1", 3), ("vt_2", 3), ("vt_3", 3)]


@pytest.mark.parametrize("name", ["video_translate_id", "video-translate-id", "entity-id"])
async def test_query_names_may_have_hyphens(rig: Rig, http: httpx.AsyncClient, name: str) -> None:
    await three_lives(rig)
    assert len((await read(http, **{name: "vt_1"}))["data"]) == 3
    refused(await http.get(EVENTS, params={"event-type": "no-such"}), 400, "invalid_parameter", "event_type")


@pytest.mark.parametrize(
    "after",
    [
        "evt_none",
        "",
        "cur_",
        "cur_-1",
        "cur_1.5",
        "cur_٣",
        "cur_10",  # ahead of the log
        "cur_999999999999999999",
        "cur_99999999999999999999999",
        "vt_1",
        "x" * 255,
        "x" * 256,
        "\x00",
        "' OR 1=1 --",
    ],
)
async def test_an_after_that_names_nothing_is_refused(rig: Rig, http: httpx.AsyncClient, after: str) -> None:
    await three_lives(rig)
    refused(await http.get(EVENTS, params={"after": after}), 400, "invalid_parameter", "after")


async def test_a_cursor_ahead_of_the_log_says_so(http: httpx.AsyncClient) -> None:
    answer = await http.get(EVENTS, params={"after": "cur_1"})
    refused(answer, 400, "invalid_parameter", "after", "ahead of the log")


async def test_after_and_token_exclude_each_other(rig: Rig, http: httpx.AsyncClient) -> None:
    await three_lives(rig)
    token = (await read(http, limit=1))["next_token"]
    answer = await http.get(EVENTS, params={"after": "cur_0", "token": token})
    refused(answer, 400, "invalid_parameter", "token", "after=<cursor>")


LISTS = (JOBS, "/v3/webhooks/endpoints", EVENTS)


async def test_a_token_of_another_list_is_refused(rig: Rig, http: httpx.AsyncClient) -> None:
    await rig.translate("English", "German")
    for _ in range(2):
        await rig.register()
    tokens = {path: (await http.get(path, params={"limit": 1})).json()["next_token"] for path in LISTS}
    for path in LISTS:
        for source, token in tokens.items():
            answer = await http.get(path, params={"token": token})
            if source == path:
                assert answer.status_code == 200
            else:
                refused(answer, 400, "invalid_parameter", "token", "start again without one")
