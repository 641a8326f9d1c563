"""`Idempotency-Key`: what is sent again is answered again, and done once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.promises import refused
from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, HOOK, JOBS, VIDEO, Rig, seeded_ids, serving
from video_translation_server.errors import StoreError
from video_translation_server.model import Mark

JOB = {"video": VIDEO, "output_languages": ["English", "German"]}
REPLAYED = "idempotent-replayed"


async def post(rig: Rig, path: str = JOBS, body: Any = JOB, *, key: str = "key-1") -> httpx.Response:
    return await rig.http.post(path, json=body, headers={"Idempotency-Key": key})


async def same(rig: Rig, path: str, body: Any = None) -> httpx.Response:
    """Twice with one key: the first answer, after the second was the same."""
    first, again = await post(rig, path, body, key="twice"), await post(rig, path, body, key="twice")
    assert first.status_code == 200, first.text
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert [REPLAYED in one.headers for one in (first, again)] == [False, True]
    assert again.headers[REPLAYED] == "true"
    return first


async def test_a_creation_that_is_sent_again_is_answered_again_and_done_once(rig: Rig) -> None:
    first = await same(rig, JOBS, JOB)
    assert await rig.stored() == (2, 2, 0)
    assert len((await rig.http.get(JOBS)).json()["data"]) == len(first.json()["data"]["video_translation_ids"])


async def test_the_first_answer_counts_also_for_another_body(rig: Rig) -> None:
    first = await post(rig)
    again = await post(rig, body={"video": VIDEO, "output_languages": ["Japanese"]})
    assert (again.content, again.headers[REPLAYED]) == (first.content, "true")
    assert await rig.stored() == (2, 2, 0)


async def test_without_a_key_or_with_another_it_is_done_again(rig: Rig) -> None:
    for key in ("a", "b", "A"):
        await post(rig, key=key)
    await rig.http.post(JOBS, json=JOB)
    assert await rig.stored() == (8, 8, 0)


async def test_every_post_can_have_a_key(rig: Rig) -> None:
    endpoint = (await same(rig, ENDPOINTS, {"url": HOOK, "ttl_seconds": 60})).json()["data"]
    assert "secret" in endpoint
    one = f"{ENDPOINTS}/{endpoint['endpoint_id']}"
    for verb, body in (("renew", None), ("test", None), ("replay", None), ("recover", {"since": "2020-01-01T00:00Z"})):
        await same(rig, f"{one}/{verb}", body)
    rotated = (await same(rig, f"{one}/rotate-secret")).json()["data"]["secret"]
    await rig.quiet()
    assert rotated != endpoint["secret"]
    assert len([post for post in rig.sender.posts if post.event["event_type"] == "endpoint.test"]) == 1
    await same(rig, f"{DELIVERIES}/dlv_1/resend")
    [job_id] = await rig.translate()
    assert (await same(rig, f"{JOBS}/{job_id}/cancel")).json()["data"]["status"] == "failed"


async def test_a_key_counts_for_one_path_and_one_workspace(rig: Rig) -> None:
    ids = await rig.translate("English", "German")
    answers = [await post(rig, f"{JOBS}/{job_id}/cancel", None) for job_id in ids]
    assert [answer.json()["data"]["id"] for answer in answers] == ids
    await post(rig)
    assert (await rig.stored())[0] == 4


async def test_a_refusal_is_not_kept(rig: Rig) -> None:
    refused(
        await post(rig, body=JOB | {"output_languages": ["Klingon"]}), 400, "invalid_parameter", "output_languages[0]"
    )
    asset = {"video": {"type": "asset_id", "asset_id": "none"}, "output_languages": ["English"]}
    refused(await post(rig, body=asset), 400, "invalid_parameter", "video.asset_id")
    assert (await post(rig)).status_code == 200
    [job_id] = await rig.translate(simulation={"duration_seconds": 0})
    cancel = f"{JOBS}/vt_none/cancel"
    for _ in range(2):
        refused(await post(rig, cancel, None), 404, "resource_not_found", "video_translation_id")
    await rig.advance(1)
    for _ in range(2):
        refused(await post(rig, f"{JOBS}/{job_id}/cancel", None), 409, "conflict", "video_translation_id")


async def test_a_failure_of_ours_frees_the_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(rig.store, "record", fail)
    refused(await post(rig), 503, "internal_error")
    monkeypatch.undo()
    answer = await post(rig)
    assert (answer.status_code, REPLAYED in answer.headers) == (200, False)


async def test_while_the_first_is_under_way_the_others_are_told_to_wait(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, arrived, go_on = rig.store.record, asyncio.Event(), asyncio.Event()

    async def slow(*changes: Any, **options: Any) -> list[bool]:
        arrived.set()
        await go_on.wait()
        return await record(*changes, **options)

    monkeypatch.setattr(rig.store, "record", slow)
    first = asyncio.create_task(post(rig))
    await arrived.wait()
    second = await post(rig)
    refused(second, 409, "request_in_progress", message="key-1")
    assert second.headers["retry-after"] == "1"
    go_on.set()
    assert (await post(rig)).content == (await first).content
    assert (await rig.stored())[0] == 2


async def test_of_many_at_once_one_is_done(rig: Rig) -> None:
    answers = await asyncio.gather(*(post(rig) for _ in range(30)))
    done = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in done}) == 1
    assert len([answer for answer in done if REPLAYED not in answer.headers]) == 1
    assert await rig.stored() == (2, 2, 0)


async def test_a_caller_that_leaves_before_the_answer_gets_it_the_next_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs are committed, the answer never arrives: what a retry is for."""
    record = rig.store.record

    async def record_and_break(*changes: Any, **options: Any) -> list[bool]:
        await record(*changes, **options)
        raise asyncio.CancelledError

    monkeypatch.setattr(rig.store, "record", record_and_break)
    with pytest.raises(asyncio.CancelledError):
        await post(rig)
    monkeypatch.undo()
    again = await post(rig)
    assert again.headers[REPLAYED] == "true"
    jobs = (await rig.http.get(JOBS)).json()["data"]
    assert [job["id"] for job in jobs][::-1] == again.json()["data"]["video_translation_ids"]


async def test_an_answer_outlives_the_server(tmp_path: Path) -> None:
    ids = seeded_ids()
    async with serving(tmp_path, ids=ids) as rig:
        first = await post(rig)
        clock = rig.clock
        mark = await rig.store.start_request("ws_default", f"POST {JOBS}", "cut-short", now=clock.now(), lease=1e9)
        assert isinstance(mark, Mark)
    async with serving(tmp_path, clock=clock, ids=ids) as rig:
        assert (await post(rig)).content == first.content
        assert (await post(rig, key="cut-short")).status_code == 200
        assert await rig.stored() == (4, 4, 0)


async def test_after_24_hours_a_key_is_new_and_its_answer_gone(rig: Rig) -> None:
    await post(rig)
    await rig.advance(86_399)
    assert REPLAYED in (await post(rig)).headers
    await rig.advance(1)
    assert REPLAYED not in (await post(rig)).headers
    await rig.advance(86_400 + 61)
    assert await rig.store.prune_requests(rig.clock.now(), limit=10) == 0, "upkeep has done it"


GOOD = ["a", "x" * 255, "0", "order-17:2026.11_A", "--", "..."]
BAD = ["", " ", "x" * 256, "a b", "a,b", "a/b", "a\tb", "é", "{}", '"a"', "a+b", "a=b", "x" * 5000]


@pytest.mark.parametrize("key", GOOD)
async def test_these_are_keys(rig: Rig, key: str) -> None:
    first, again = await post(rig, key=key), await post(rig, key=key)
    assert (first.status_code, again.content) == (200, first.content)


async def test_what_is_no_key_is_refused_by_every_post(rig: Rig) -> None:
    await rig.register()
    before = await rig.stored()
    paths = [JOBS, ENDPOINTS, f"{JOBS}/vt_1/cancel", f"{DELIVERIES}/dlv_1/resend"]
    paths += [f"{ENDPOINTS}/ep_1/{verb}" for verb in ("renew", "test", "rotate-secret", "recover", "replay")]
    for path in paths:
        for key in BAD:
            raw = [(b"Idempotency-Key", key.encode()), (b"Content-Type", b"application/json")]
            body = {JOBS: JOB, ENDPOINTS: {"url": HOOK}}.get(path, {"since": "2020-01-01T00:00Z"})
            if path.endswith(("rotate-secret", "cancel", "renew", "test", "resend")):
                body = {}
            answer = await rig.http.post(path, content=json.dumps(body), headers=raw)
            refused(answer, 400, "invalid_parameter", "Idempotency-Key")
    assert await rig.stored() == before


async def test_two_keys_are_refused(rig: Rig) -> None:
    raw = [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")]
    refused(await rig.http.post(JOBS, json=JOB, headers=raw), 400, "invalid_parameter", "Idempotency-Key", "once")


async def test_other_methods_do_not_care(rig: Rig) -> None:
    for method, path in (("GET", JOBS), ("GET", EVENTS), ("GET", "/healthz")):
        answer = await rig.http.request(method, path, headers={"Idempotency-Key": "not a key"})
        assert answer.status_code == 200
