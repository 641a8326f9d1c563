from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.conftest import FAST, MakeClient
from tests.client.real_service import RealService
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import (
    AsyncVideoTranslationClient,
    JobFailedError,
    NotFoundError,
    VideoTranslationClient,
)


@pytest.fixture
def real() -> Iterator[RealService]:
    service = RealService()
    service.start()
    yield service
    service.stop()


def test_the_double_has_nothing_that_the_real_service_lacks(real: RealService) -> None:
    with VideoTranslationClient(real.url, max_retries=0) as client:
        with pytest.raises(NotFoundError):
            client.get_status()
        (job_id,) = (real.new_job(),)
        with pytest.raises(NotFoundError):
            client.cancel(job_id)
        snapshot = client.get_job(job_id)
    assert (snapshot.sequence, snapshot.progress, snapshot.updated_at, snapshot.extra) == (None, None, None, {})
    assert real.refused == ["GET /status", f"POST /v3/video-translations/{job_id}/cancel"]


def test_jobs_are_followed_to_their_end_by_asking(real: RealService, make_client: MakeClient) -> None:
    client = make_client(real.url, poll=FAST, safety_net=FAST)
    good, bad = client.translate("https://v", ["French", "German"])
    real.finish(good.id)
    real.finish(bad.id, message="No speech found")
    result = good.result(PATIENCE)
    assert (result.status, result.video_url) == ("completed", "https://cdn.example/" + good.id)
    with pytest.raises(JobFailedError, match="No speech found"):
        bad.result(PATIENCE)


def test_pushes_signed_in_the_real_family_resolve_jobs_and_reach_callbacks(
    real: RealService, make_client: MakeClient, recorder: Recorder
) -> None:
    client = make_client(real.url)
    registration = client.register_webhook(recorder)
    good, bad = client.translate("https://v", ["French", "German"])
    done, failed = real.finish(good.id), real.finish(bad.id, message="No speech found")
    assert [real.deliver(event) for event in (done, failed, done)] == [[204]] * 3
    assert good.result(PATIENCE).video_url == "https://cdn.example/" + good.id
    with pytest.raises(JobFailedError, match="No speech found"):
        bad.result(PATIENCE)
    types = [event.type for event in recorder.wait_for(2)]
    assert types == ["video_translate.success", "video_translate.fail"]
    registration.close()
    assert (len(recorder.events), real.endpoints) == (2, {})


def test_lists_statuses_and_languages(real: RealService, make_client: MakeClient) -> None:
    client = make_client(real.url)
    ids = [real.new_job() for _ in range(5)]
    real.finish(ids[0])
    real.page_size = 2
    assert [job.id for job in client.list_jobs()] == ids[::-1]
    assert [job.id for job in client.list_jobs("completed")] == ids[:1]
    statuses = client.get_statuses([*ids, "vt_nobody"])
    assert {job_id: job.status for job_id, job in statuses.items()} == {
        job_id: "completed" if job_id == ids[0] else "pending" for job_id in ids
    }
    assert client.get_statuses(ids[0]).keys() == {ids[0]}
    assert client.languages() == ["English", "French"]


async def test_the_async_client_works_as_well(real: RealService) -> None:
    async with AsyncVideoTranslationClient(real.url, poll=FAST, safety_net=FAST) as client:
        (job,) = await client.translate("https://v", ["French"])
        assert (await client.get_statuses([job.id]))[job.id].status == "pending"
        real.finish(job.id)
        assert (await job).video_url == "https://cdn.example/" + job.id
        assert [found.id async for found in client.list_jobs()] == [job.id]


def test_a_repeated_create_makes_one_job(real: RealService, make_client: MakeClient) -> None:
    client = make_client(real.url)
    first = client.translate("https://v", ["French"], idempotency_key="order-17")
    again = client.translate("https://v", ["French"], idempotency_key="order-17")
    assert ([job.id for job in first], len(real.jobs)) == ([job.id for job in again], 1)
