"""A batch at a real server: its jobs are waited for, and its end is one event."""

from __future__ import annotations

import queue

import pytest

from tests.waiting import PATIENCE
from video_translation_client import BatchSnapshot, Event, InvalidRequestError, VideoTranslationClient
from video_translation_server.testing import TranslationServer

URL = "https://example.com/talk.mp4"


def test_a_batch_is_followed_to_its_end_and_its_end_is_pushed(translation_server: TranslationServer) -> None:
    ends: queue.SimpleQueue[BatchSnapshot] = queue.SimpleQueue()
    with VideoTranslationClient(translation_server.url) as client:

        @client.on_event
        def take(event: Event) -> None:
            found = BatchSnapshot.from_event(event)
            if found is not None:
                ends.put(found)

        client.register_webhook()
        batch = client.batches.create(
            [
                {"video": URL, "output_languages": ["Spanish (Spain)", "French (France)"], "title": "a"},
                {"video": URL, "output_languages": "German (Germany)", "simulation": {"outcome": "failed"}},
            ],
            title="week 47",
        )
        translation_server.advance(600)
        outcomes = batch.jobs.exceptions(20)
        assert [error is None for error in outcomes] == [True, True, False]
        end = ends.get(timeout=PATIENCE)
        assert (end.id, end.status, end.title, end.total) == (batch.id, "completed", "week 47", 3)
        assert end.counts == {"pending": 0, "running": 0, "completed": 2, "failed": 1}
        assert [item.status for item in client.batches.items(batch.id)] == ["completed", "completed", "failed"]
        assert client.batches.get(batch.id).terminal


def test_more_jobs_than_a_page_are_followed_and_a_bad_one_starts_none(translation_server: TranslationServer) -> None:
    with VideoTranslationClient(translation_server.url, mode="poll", auto_poll=False) as client:
        languages = client.languages()[:30]
        batch = client.batches.create([{"video": URL, "output_languages": languages}] * 4)
        assert [job.snapshot.output_language for job in batch.jobs if job.snapshot] == languages * 4
        assert [item.job_id for item in client.batches.items(batch.id)] == [job.id for job in batch.jobs]
        with pytest.raises(InvalidRequestError) as caught:
            client.batches.create([{"video": URL, "output_languages": ["French (France)", "Klingon"]}])
        assert caught.value.param == "video_translations[0].output_languages[1]"
        assert client.rename_job(batch.jobs[0].id, "Talk").title == "Talk"
        client.delete_job(batch.jobs[0].id)
        assert client.get_statuses([batch.jobs[0].id]) == {}
        assert client.me().billing_type == "wallet"
        assert sum(1 for _ in client.list_jobs()) == len(batch.jobs) - 1
