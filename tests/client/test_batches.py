"""`client.batches`: started, followed, read page by page; and the other calls about jobs that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import NEVER, MakeClient
from tests.client.fake_server import FakeServer, error
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import (
    AsyncVideoTranslationClient,
    BatchItem,
    BatchSnapshot,
    Event,
    NotFoundError,
    ServerError,
    User,
)

URL = "https://example.com/talk.mp4"
TWO: list[dict[str, Any]] = [
    {"video": URL, "output_languages": ["French", "German"], "title": "a"},
    {"video": {"type": "url", "url": URL}, "output_languages": "Polish"},
]


def test_a_batch_is_started_and_its_jobs_are_waited_for(server: FakeServer, make_client: MakeClient) -> None:
    client = make_client()
    client.register_webhook()
    batch = client.batches.create(TWO, title="week 47", callback_url="https://example.com/hook")
    assert server.bodies[-1] == (
        "create_batch",
        {
            "video_translations": [
                {"video": {"type": "url", "url": URL}, "output_languages": ["French", "German"], "title": "a"},
                {"video": {"type": "url", "url": URL}, "output_languages": ["Polish"]},
            ],
            "title": "week 47",
            "callback_url": "https://example.com/hook",
        },
    )
    assert server.headers[-1]["idempotency-key"]
    assert (batch.id, batch.snapshot.status, batch.snapshot.total, batch.snapshot.terminal) == (
        *("batch_1", "processing", 3),
        False,
    )
    assert batch.snapshot.counts == {"pending": 3, "running": 0, "completed": 0, "failed": 0}
    assert list(batch.jobs.by_language) == ["French", "German", "Polish"]
    server.push(*[server.move(job.id, "completed") for job in batch.jobs])
    assert [end.status for end in batch.jobs.result(PATIENCE)] == ["completed"] * 3
    assert client.batches.get(batch.id).terminal


def test_the_end_of_a_batch_is_an_event(server: FakeServer, make_client: MakeClient, recorder: Recorder) -> None:
    client = make_client()
    registration = client.register_webhook(recorder)
    batch = client.batches.create(TWO)
    for job in batch.jobs:
        server.move(job.id, "completed")
    server.finish(batch.id)
    server.push(*server.log)
    recorder.wait_for(7)
    *others, found = [BatchSnapshot.from_event(event) for event in recorder.events]
    assert others == [None] * 6
    assert found is not None
    assert (found.id, found.status, found.counts["completed"]) == (batch.id, "completed", 3)
    assert registration.wait_for("completed", 0) is not None
    with pytest.raises(ValueError, match="batch_id"):
        BatchSnapshot.from_event(Event.from_raw({"event_type": "batch.finished"}))


def test_more_jobs_than_a_page_holds_are_all_followed_and_walked_through(
    server: FakeServer, make_client: MakeClient
) -> None:
    server.batch_page = 2
    client = make_client()
    batch = client.batches.create([{"video": URL, "output_languages": [f"L{n}" for n in range(5)]}])
    assert [(job.id, job.snapshot.output_language) for job in batch.jobs if job.snapshot] == [
        (f"vt_{n + 1}", f"L{n}") for n in range(5)
    ]
    assert list(client.batches.items(batch.id)) == [BatchItem(n, f"vt_{n + 1}", "pending") for n in range(5)]
    assert len(client.batches.get(batch.id).items) == 2
    assert [job.id for job in client.batches.follow(batch.id).jobs] == [job.id for job in batch.jobs]
    assert client.with_raw_response.get_batch(batch.id).parse().total == 5


def test_an_error_behind_the_first_page_tells_that_the_batch_was_started(
    server: FakeServer, make_client: MakeClient
) -> None:
    server.batch_page = 1
    server.overrides["batch"] = lambda: error(500, "internal_error")
    with pytest.raises(ServerError) as caught:
        make_client(max_retries=0).batches.create(TWO)
    (note,) = caught.value.__notes__
    assert note == "the batch batch_1 was started: come back to it with client.batches.follow('batch_1')"


def test_what_no_batch_can_be_made_of_is_refused(server: FakeServer, make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client()
    with pytest.raises(ValueError, match="video and output_languages"):
        client.batches.create([{"video": URL}])
    with pytest.raises(FileNotFoundError):
        client.batches.create([{"video": tmp_path / "none.mp4", "output_languages": "French"}])
    with pytest.raises(ValueError, match="batch_id must be"):
        client.batches.get("")
    with pytest.raises(NotFoundError):
        client.batches.follow("batch_9")
    assert server.jobs == {}


async def test_the_async_client_does_the_same(server: FakeServer, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"video")
    server.batch_page = 2
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        await client.register_webhook()
        batch = await client.batches.create([*TWO, {"video": video, "output_languages": ["Thai"]}])
        server.push(*[server.move(job.id, "completed") for job in batch.jobs])
        assert [end.output_language for end in await batch.jobs.result(PATIENCE)] == [
            "French",
            "German",
            "Polish",
            "Thai",
        ]
        assert [item.job_id async for item in client.batches.items(batch.id)] == [job.id for job in batch.jobs]
        again = await client.batches.follow(batch.id)
        assert list(again.jobs) == list(batch.jobs)
        assert (await client.batches.get(batch.id)).terminal
    assert server.bodies[-1][1]["video_translations"][2]["video"] == {"type": "asset_id", "asset_id": "asset_1"}


def test_a_job_gets_another_title_and_is_deleted(server: FakeServer, make_client: MakeClient) -> None:
    client, job_id = make_client(), server.new_job()
    assert client.rename_job(job_id, "Talk").title == "Talk"
    assert server.bodies[-1] == ("rename_job", {"title": "Talk"})
    client.delete_job(job_id)
    for gone in (lambda: client.delete_job(job_id), lambda: client.rename_job(job_id, "x")):
        with pytest.raises(NotFoundError):
            gone()
    with pytest.raises(ValueError, match="job_id"):
        client.delete_job("")


async def test_the_async_client_renames_deletes_and_says_who_it_is(server: FakeServer) -> None:
    job_id = server.new_job()
    async with AsyncVideoTranslationClient(server.url, poll=NEVER, safety_net=NEVER) as client:
        assert (await client.rename_job(job_id, "Talk")).title == "Talk"
        await client.delete_job(job_id)
        assert (await client.me()).username == "ws_1"
        assert (await client.with_raw_response.me()).request_id == "req_1"
    assert server.jobs == {}


def test_whoever_calls_is_told_who_that_is(make_client: MakeClient) -> None:
    me = make_client().me()
    assert me == User("ws_1", billing_type="wallet", wallet={"currency": "usd"}, extra={"new": 1})
