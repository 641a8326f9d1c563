"""Event bodies: what each status says, frozen bytes, the limit; and times in ISO 8601."""

import json
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.store.builders import LINKS
from video_translation_server.errors import InvalidError
from video_translation_server.model import Job, JobStatus, Plan
from video_translation_server.wire.events import (
    BY_NAME_ONLY,
    EVENT_TYPES,
    FINAL_TYPES,
    MAX_BODY,
    NOTICES,
    OUR_TYPES,
    REAL_TYPES,
    TRANSITION_TYPES,
    iso_time,
    job_resource,
    maybe_iso_time,
    notice_event,
    status_answer,
    transition_event,
)

NOW = 1_763_683_200.123


def job(status: JobStatus = JobStatus.PENDING, **fields: Any) -> Job:
    defaults: dict[str, Any] = {
        "id": "vt_1",
        "workspace_id": "ws_1",
        "status": status,
        "sequence": 2,
        "version": 3,
        "output_language": "Spanish",
        "request": {"title": "Película: 映画", "callback_id": "order-7", "input_language": "German"},
        "plan": Plan(pending_seconds=1, running_seconds=1),
        "created_at": 1_763_683_190.9,
        "updated_at": 1_763_683_200.12345,
        "due_at": None,
    }
    ends: dict[JobStatus, dict[str, Any]] = {
        JobStatus.COMPLETED: {"files_at": NOW, "progress": 100},
        JobStatus.FAILED: {"failure_message": "no sound"},
    }
    return Job(**(defaults | ends.get(status, {}) | fields))


def parsed(made: Job) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        transition_event(made, event_id="evt_1", now=NOW, files=LINKS.of(made, now=NOW)).body
    )
    return body


# Schema

TEXT = {"type": "string"}
MAYBE_TEXT = {"type": ["string", "null"]}
RESOURCE: dict[str, Any] = {
    "title": MAYBE_TEXT,
    "input_language": MAYBE_TEXT,
    "translate_audio_only": {"type": "boolean"},
    "duration": {"type": ["number", "null"]},
    "video_url": MAYBE_TEXT,
    "audio_url": MAYBE_TEXT,
    "srt_caption_url": MAYBE_TEXT,
    "vtt_caption_url": MAYBE_TEXT,
    "failure_message": MAYBE_TEXT,
    "created_at": {"type": "integer"},
    "updated_at": {"type": "number"},
    "cancelled_at": {"type": ["number", "null"]},
    "estimated_completion_at": {"type": ["number", "null"]},
}
FIRST: dict[str, Any] = {
    "video_translate_id": TEXT,
    "callback_id": MAYBE_TEXT,
    "output_language": TEXT,
    "sequence": {"type": "integer", "minimum": 1},
    "progress": {"type": "integer", "minimum": 0, "maximum": 100},
}
ENDS: dict[JobStatus, dict[str, Any]] = {JobStatus.COMPLETED: {"url": TEXT}, JobStatus.FAILED: {"message": TEXT}}
RESULTS = {"pending": "pending", "running": "pending", "completed": "completed", "failed": "error"}


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def schema(status: JobStatus) -> dict[str, Any]:
    """All that a body of this status says, and nothing else."""
    words = {"status": {"const": status.value}, "result": {"const": RESULTS[status]}}
    return closed(
        {
            "event_id": {"const": "evt_1"},
            "event_type": {"const": TRANSITION_TYPES[status]},
            "created_at": {"const": "2025-11-21T00:00:00.123Z"},
            "event_data": closed(FIRST | words | RESOURCE | ENDS.get(status, {})),
        }
    )


@pytest.mark.parametrize("status", JobStatus)
def test_each_status_has_its_body(status: JobStatus) -> None:
    jsonschema.validate(parsed(job(status)), schema(status))


@pytest.mark.parametrize("status", JobStatus)
def test_a_bare_request_has_the_same_shape(status: JobStatus) -> None:
    jsonschema.validate(parsed(job(status, request={})), schema(status))


def test_the_types_are_the_real_services_where_it_has_them() -> None:
    assert dict(TRANSITION_TYPES) == {
        "pending": "video_translate.pending",
        "running": "video_translate.running",
        "completed": "video_translate.success",
        "failed": "video_translate.fail",
    }
    assert set(TRANSITION_TYPES.values()) <= set(EVENT_TYPES)
    assert set(BY_NAME_ONLY) <= set(OUR_TYPES)
    assert not set(OUR_TYPES) & set(REAL_TYPES)


def test_the_values_are_the_jobs() -> None:
    data = parsed(job(JobStatus.COMPLETED))["event_data"]
    assert data["video_translate_id"] == "vt_1"
    assert (data["title"], data["callback_id"], data["input_language"]) == ("Película: 映画", "order-7", "German")
    assert (data["created_at"], data["updated_at"]) == (1_763_683_190, 1_763_683_200.123)
    assert (data["sequence"], data["progress"]) == (2, 100)
    assert data["url"] == data["video_url"] == LINKS.of(job(JobStatus.COMPLETED), now=NOW).video_url
    assert parsed(job(JobStatus.FAILED))["event_data"]["message"] == "no sound"


def test_the_mapping_keys_come_first_in_the_order_of_the_wire() -> None:
    body = parsed(job())
    assert list(body) == ["event_id", "event_type", "created_at", "event_data"]
    assert list(body["event_data"])[:3] == ["video_translate_id", "callback_id", "output_language"]


def test_the_event_repeats_what_the_store_needs() -> None:
    event = transition_event(job(), event_id="evt_1", now=NOW)
    assert (event.id, event.workspace_id, event.job_id, event.sequence) == ("evt_1", "ws_1", "vt_1", 2)
    assert (event.type, event.created_at, event.position) == ("video_translate.pending", NOW, 0)


# Bytes


@pytest.mark.parametrize("status", JobStatus)
def test_the_same_job_makes_the_same_bytes(status: JobStatus) -> None:
    bodies = {transition_event(job(status), event_id="evt_1", now=NOW).body for _ in range(3)}
    copied = msgspec.json.decode(msgspec.json.encode(job(status)), type=Job)
    bodies.add(transition_event(copied, event_id="evt_1", now=NOW).body)
    assert len(bodies) == 1


def test_making_an_event_leaves_the_request_as_it_was() -> None:
    made = job()
    before = dict(made.request)
    transition_event(made, event_id="evt_1", now=NOW)
    assert made.request == before


def size_of(title: str) -> int:
    return len(transition_event(job(request={"title": title}), event_id="evt_1", now=NOW).body)


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f39e", '"'])
def test_a_body_of_64_kib_is_made_and_one_byte_more_refused(letter: str) -> None:
    room = MAX_BODY - size_of("")
    each = size_of(letter) - size_of("")
    fits = letter * (room // each) + "x" * (room % each)
    assert size_of(fits) == MAX_BODY
    with pytest.raises(InvalidError, match=f"{MAX_BODY + 1} bytes.*{MAX_BODY}") as caught:
        size_of(fits + "x")
    assert (caught.value.param, caught.value.code) == ("title", "invalid_parameter")


def test_room_for_later_events_counts_against_the_limit() -> None:
    made = job()
    left = MAX_BODY - len(transition_event(made, event_id="evt_1", now=NOW).body)
    transition_event(made, event_id="evt_1", now=NOW, room=left)
    with pytest.raises(InvalidError):
        transition_event(made, event_id="evt_1", now=NOW, room=left + 1)


@given(title=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_title_comes_back_as_it_was(title: str) -> None:
    assert parsed(job(request={"title": title}))["event_data"]["title"] == title


# The API's views


def test_the_resource_is_the_jobs_public_face() -> None:
    resource = job_resource(job(JobStatus.FAILED, cancelled_at=1_763_683_200.0))
    assert resource["id"] == "vt_1"
    assert (resource["status"], resource["failure_message"]) == ("failed", "no sound")
    assert resource["cancelled_at"] == 1_763_683_200.0
    assert not {"workspace_id", "plan", "version", "due_at", "request"} & set(resource)


@pytest.mark.parametrize("status", JobStatus)
def test_the_status_answer_begins_with_the_missions_word(status: JobStatus) -> None:
    answer = status_answer(job(status), job_resource(job(status)))
    assert next(iter(answer.items())) == ("result", RESULTS[status])
    assert {key: answer[key] for key in answer if key != "result"} == job_resource(job(status))


# Times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_763_683_200, "2025-11-21T00:00:00.000Z"),
        (1_763_683_200.123, "2025-11-21T00:00:00.123Z"),
        (1_763_683_199.9999, "2025-11-20T23:59:59.999Z"),
        (4_102_444_800.5, "2100-01-01T00:00:00.500Z"),
    ],
)
def test_times_are_iso_8601_in_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert iso_time(seconds) == text


@given(seconds=st.floats(min_value=0, max_value=4e9))
def test_every_time_has_the_same_form_and_sorts_as_text(seconds: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", iso_time(seconds))
    assert iso_time(seconds) <= iso_time(seconds + 1)


# Notices


@pytest.mark.parametrize("event_type", sorted(NOTICES))
def test_a_notice_has_the_shape_of_an_event_but_no_job(event_type: str) -> None:
    made = notice_event(event_type, {"endpoint_id": "ep_1"}, event_id="evt_1", workspace_id="ws_1", now=NOW)
    assert json.loads(made.body) == {
        "event_id": "evt_1",
        "event_type": event_type,
        "created_at": "2025-11-21T00:00:00.123Z",
        "event_data": {"endpoint_id": "ep_1"},
    }
    assert (made.id, made.type, made.workspace_id, made.created_at) == ("evt_1", event_type, "ws_1", NOW)
    assert (made.job_id, made.sequence, made.position) == (None, 0, 0)


def test_the_sets_of_types_fit_each_other() -> None:
    refused = {"video_translate.preflight.download_failed", "video_translate.preflight.validation_failed"}
    assert {"video_translate.success", "video_translate.fail"} | refused == FINAL_TYPES
    assert set(OUR_TYPES) >= NOTICES | BY_NAME_ONLY
    assert not NOTICES & BY_NAME_ONLY, "whoever asks for nothing by name is told what becomes of deliveries"


def test_a_time_that_is_not_there_stays_so() -> None:
    assert maybe_iso_time(None) is None
    assert maybe_iso_time(NOW) == iso_time(NOW)
