from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_translation_client._models import JobSnapshot, read_event, read_job, read_time

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["event_id", "event_type", "created_at", "event_data", "status", "result", "sequence", "progress", "id"]
    ),
    JSON,
)


def test_a_job_of_the_resource_is_read() -> None:
    job = read_job(
        {
            "id": "vt_1",
            "status": "failed",
            "sequence": 3,
            "progress": 40,
            "failure_message": "no audio",
            "created_at": 1_763_683_200,
            "updated_at": 1_763_683_201.5,
            "srt_caption_url": "https://cdn.example/1.srt",
            "translate_audio_only": False,
        }
    )
    assert (job.id, job.status, job.result, job.sequence, job.progress) == ("vt_1", "failed", "error", 3, 40)
    assert (job.failure_message, job.created_at, job.updated_at) == ("no audio", 1_763_683_200, 1_763_683_201.5)
    assert (job.video_url, job.audio_url, job.vtt_caption_url) == (None, None, None)
    assert job.srt_caption_url == "https://cdn.example/1.srt"
    assert job.extra == {"translate_audio_only": False}
    assert job.terminal


@pytest.mark.parametrize(
    ("result", "status"), [("pending", "pending"), ("completed", "completed"), ("error", "failed"), ("new", "new")]
)
def test_the_missions_word_stands_in_for_a_missing_status(result: str, status: str) -> None:
    job = read_job({"result": result})
    assert (job.result, job.status, job.id) == (result, status, "")


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"status": 3}])
def test_what_is_no_job_is_a_value_error(data: Any) -> None:
    with pytest.raises(ValueError, match="job"):
        read_job(data)


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"event_type": 3}, {"event_data": {}}])
def test_what_is_no_event_is_a_value_error(payload: Any) -> None:
    with pytest.raises(ValueError, match="event"):
        read_event(payload)


def test_an_event_of_the_real_service_has_its_status_in_its_type() -> None:
    event = read_event(
        {"event_type": "video_translate.success", "event_data": {"video_translate_id": "vt_1", "url": "https://v"}},
        fallback_id="given",
    )
    assert (event.id, event.job.status, event.job.video_url) == ("given", "completed", "https://v")
    assert (event.job.sequence, event.created_at) == (None, None)


def test_a_failure_names_its_reason_and_an_unknown_type_is_not_final() -> None:
    failed = read_event({"event_type": "video_translate.fail", "event_data": {"message": "no audio"}})
    assert (failed.job.status, failed.job.result, failed.job.failure_message) == ("failed", "error", "no audio")
    unknown = read_event({"event_type": "endpoint.disabled", "event_data": ["odd"]})
    assert (unknown.job.id, unknown.job.status, unknown.job.terminal) == ("", "unknown", False)


def test_times_are_read_in_both_forms() -> None:
    moment = dt.datetime(2026, 11, 20, 23, 40, 0, 123000, tzinfo=dt.UTC)
    assert read_time("2026-11-20T23:40:00.123Z") == moment.timestamp()
    assert read_time("2026-11-20T23:40:00.123") == moment.timestamp()
    assert read_time(1_763_683_200) == 1_763_683_200


@pytest.mark.parametrize("value", ["soon", "", None, True, 1e300, 10**400, float("nan"), float("inf"), [], {}])
def test_what_is_no_time_is_none(value: Any) -> None:
    assert read_time(value) is None


def snapshot(status: str, sequence: int | None = None, progress: float | None = None) -> JobSnapshot:
    return JobSnapshot("vt_1", status, "pending", sequence=sequence, progress=progress)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (snapshot("running", 2), None, True),
        (snapshot("running", 2), snapshot("pending", 1), True),
        (snapshot("pending", 1), snapshot("running", 2), False),
        (snapshot("running", 2, 50), snapshot("running", 2, 40), True),
        (snapshot("running", 2, 30), snapshot("running", 2, 40), False),
        (snapshot("running"), snapshot("pending"), True),
        (snapshot("running"), snapshot("completed"), False),
        (snapshot("completed"), snapshot("failed", 3), True),
    ],
)
def test_the_newer_state_wins(new: JobSnapshot, old: JobSnapshot | None, expected: bool) -> None:
    assert new.supersedes(old) is expected


@given(payload=st.one_of(JSON, FIELDS))
def test_any_json_is_an_event_or_a_value_error(payload: Any) -> None:
    # Through text, as it comes: Python's reader also takes NaN and Infinity.
    for reader in (read_event, read_job):
        try:
            reader(json.loads(json.dumps(payload)))
        except ValueError:
            continue
