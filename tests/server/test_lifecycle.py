"""The job's life: every transition of the table, sequences without gaps, and what a move makes of a job."""

import itertools

import msgspec
import pytest

from tests.server.store.builders import LINKS
from video_translation_server import lifecycle
from video_translation_server.errors import ConflictError, InvalidError
from video_translation_server.links import Links
from video_translation_server.model import Change, Job, JobStatus, Plan

NOW = 1_800_000_000.0
LEGAL = {
    (JobStatus.PENDING, JobStatus.RUNNING),
    (JobStatus.PENDING, JobStatus.FAILED),
    (JobStatus.RUNNING, JobStatus.COMPLETED),
    (JobStatus.RUNNING, JobStatus.FAILED),
    (JobStatus.RUNNING, JobStatus.PENDING),
}
"""docs/state_machines.md, written down a second time."""


def new(failure_message: str | None = None) -> Change:
    return lifecycle.create(
        job_id="job_1",
        workspace_id="ws_1",
        output_language="Spanish",
        request={"title": "t", "callback_id": "cb"},
        plan=Plan(pending_seconds=2, running_seconds=3, failure_message=failure_message),
        event_id="evt_1",
        now=NOW,
    )


def in_status(status: JobStatus) -> Job:
    return msgspec.structs.replace(new().job, status=status, sequence=7, version=9)


def advance(job: Job, number: int) -> Change:
    return lifecycle.advance(job, event_id=f"evt_{number}", now=NOW + number, links=LINKS)


def body(change: Change) -> dict[str, object]:
    parsed: dict[str, object] = msgspec.json.decode(change.event.body)["event_data"]
    return parsed


def test_a_new_job_waits_for_its_turn() -> None:
    change = new()
    job = change.job
    assert (job.status, job.sequence, job.version, job.progress) == (JobStatus.PENDING, 1, 1, 0)
    assert (job.created_at, job.updated_at, job.due_at) == (NOW, NOW, NOW + 2)
    assert (job.id, job.workspace_id, job.output_language) == ("job_1", "ws_1", "Spanish")
    assert (job.files_at, job.failure_message, job.cancelled_at) == (None, None, None)


@pytest.mark.parametrize(("here", "there"), list(itertools.product(JobStatus, JobStatus)))
def test_only_the_table_is_legal(here: JobStatus, there: JobStatus) -> None:
    job = in_status(here)
    if (here, there) not in LEGAL:
        with pytest.raises(ConflictError, match=f"job_1 is {here} and cannot become {there}"):
            lifecycle.move(job, there, event_id="evt_2", now=NOW + 1)
        return
    change = lifecycle.move(job, there, event_id="evt_2", now=NOW + 1)
    assert (change.job.status, change.job.sequence, change.job.version) == (there, 8, 10)
    assert change.job.updated_at == NOW + 1
    assert change.job.created_at == NOW
    assert job == in_status(here), "the job that was given is as it was"


def test_terminal_is_what_has_no_way_out() -> None:
    assert {status for status in JobStatus if status.is_terminal} == set(JobStatus) - {here for here, _ in LEGAL}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (JobStatus.PENDING, "pending"),
        (JobStatus.RUNNING, "pending"),
        (JobStatus.COMPLETED, "completed"),
        (JobStatus.FAILED, "error"),
    ],
)
def test_each_status_has_the_missions_word(status: JobStatus, word: str) -> None:
    assert status.result == word


def test_a_plan_leads_to_completed() -> None:
    first = new()
    second = advance(first.job, 2)
    third = advance(second.job, 3)
    assert [change.job.status for change in (first, second, third)] == ["pending", "running", "completed"]
    assert [change.job.due_at for change in (first, second, third)] == [NOW + 2, NOW + 2 + 3, None]
    assert (third.job.files_at, third.job.progress) == (NOW + 3, 100)
    assert body(third)["url"] == body(third)["video_url"] == LINKS.of(third.job, now=NOW + 3).video_url
    assert third.job.failure_message is None


def test_a_plan_with_a_reason_leads_to_failed() -> None:
    second = advance(new("no sound").job, 2)
    third = advance(second.job, 3)
    assert second.job.status is JobStatus.RUNNING
    assert (third.job.status, third.job.failure_message, third.job.due_at) == (JobStatus.FAILED, "no sound", None)
    assert third.job.files_at is None


@pytest.mark.parametrize("failure_message", [None, "no sound"])
def test_sequences_have_no_gap_and_each_event_carries_the_whole_job(failure_message: str | None) -> None:
    changes = [new(failure_message)]
    while not changes[-1].job.status.is_terminal:
        changes.append(advance(changes[-1].job, len(changes) + 1))
    assert [change.job.sequence for change in changes] == [1, 2, 3]
    assert [change.job.version for change in changes] == [1, 2, 3]
    for change in changes:
        event, data = change.event, body(change)
        assert (event.job_id, event.sequence, event.workspace_id) == ("job_1", change.job.sequence, "ws_1")
        assert event.created_at == change.job.updated_at
        assert (data["sequence"], data["status"], data["result"]) == (
            change.job.sequence,
            change.job.status,
            change.job.status.result,
        )
        assert (data["title"], data["callback_id"], data["output_language"]) == ("t", "cb", "Spanish")


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
@pytest.mark.parametrize("failure_message", [None, "no sound"])
def test_a_terminal_job_has_nothing_planned(status: JobStatus, failure_message: str | None) -> None:
    job = msgspec.structs.replace(new(failure_message).job, status=status)
    with pytest.raises(ConflictError):
        advance(job, 2)


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
def test_a_cancelled_job_has_failed_and_says_by_whom(status: JobStatus) -> None:
    job = in_status(status)
    change = lifecycle.cancel(job, event_id="evt_2", now=NOW + 1)
    assert (change.job.status, change.job.sequence, change.job.version) == (JobStatus.FAILED, 8, 10)
    assert (change.job.cancelled_at, change.job.due_at) == (NOW + 1, None)
    assert change.job.failure_message == body(change)["message"] == "Cancelled by the caller"
    assert change.event.type == "video_translate.fail"
    assert job == in_status(status), "the job that was given is as it was"


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
def test_a_job_that_has_ended_cannot_be_cancelled(status: JobStatus) -> None:
    with pytest.raises(ConflictError, match=f"job_1 is {status} already"):
        lifecycle.cancel(in_status(status), event_id="evt_2", now=NOW + 1)


def test_the_plan_tells_when_a_job_will_have_ended() -> None:
    first = new()
    second = advance(first.job, 2)
    third = advance(second.job, 3)
    assert [change.job.ends_at for change in (first, second, third)] == [NOW + 2 + 3, NOW + 2 + 3, None]
    assert lifecycle.cancel(second.job, event_id="evt_3", now=NOW).job.ends_at is None


def test_a_move_may_set_other_fields() -> None:
    change = lifecycle.move(
        new().job, JobStatus.FAILED, event_id="evt_2", now=NOW + 1, cancelled_at=NOW + 1, failure_message="cancelled"
    )
    assert (change.job.cancelled_at, change.job.failure_message) == (NOW + 1, "cancelled")
    assert body(change)["message"] == "cancelled"


def test_a_pending_job_is_completed_by_running_first() -> None:
    ids = iter(["evt_2", "evt_3"])
    changes = lifecycle.complete(new("no sound").job, ids=lambda _: next(ids), now=NOW, links=LINKS)
    assert [(change.job.status, change.job.sequence) for change in changes] == [("running", 2), ("completed", 3)]
    assert (changes[-1].job.files_at, changes[-1].job.due_at) == (NOW, None)
    with pytest.raises(ConflictError):
        lifecycle.complete(changes[-1].job, ids=str, now=NOW, links=LINKS)


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
def test_a_job_that_stalls_waits_for_a_call(status: JobStatus) -> None:
    change = lifecycle.stall(in_status(status), event_id="evt_2", now=NOW + 1)
    assert (change.job.status, change.job.sequence, change.job.version) == (status, 7, 10)
    assert (change.job.due_at, change.event.type) == (None, "video_translate.progress")
    with pytest.raises(ConflictError, match="cannot stall"):
        lifecycle.stall(in_status(JobStatus.FAILED), event_id="evt_2", now=NOW)


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_job_is_reset_from_everywhere_and_its_sequence_goes_on(status: JobStatus) -> None:
    job = msgspec.structs.replace(in_status(status), progress=50, failure_message="no", cancelled_at=NOW)
    change = lifecycle.reset(job, event_id="evt_2", now=NOW + 1)
    assert (change.job.status, change.job.sequence, change.job.version) == (JobStatus.PENDING, 8, 10)
    assert (change.job.due_at, change.job.progress) == (NOW + 1 + 2, 0)
    assert (change.job.files_at, change.job.failure_message, change.job.cancelled_at) == (None, None, None)
    assert change.event.type == "video_translate.pending"


def run_to_its_end(plan: Plan) -> list[Change]:
    """Every change of a job that is moved when its next move is due."""
    changes = [lifecycle.create(
        job_id="job_1", workspace_id="ws_1", output_language="Spanish", request={}, plan=plan, event_id="evt_1", now=NOW
    )]  # fmt: skip
    while (due_at := changes[-1].job.due_at) is not None:
        changes.append(lifecycle.advance(changes[-1].job, event_id="evt", now=due_at, links=LINKS))
    return changes


def seen(changes: list[Change]) -> list[tuple[str, int, int, float]]:
    """Type, sequence, progress and seconds since the creation."""
    return [
        (
            one.event.type.removeprefix("video_translate."),
            one.job.sequence,
            one.job.progress,
            one.event.created_at - NOW,
        )
        for one in changes
    ]


def test_a_run_tells_its_progress_in_equal_parts() -> None:
    changes = run_to_its_end(Plan(pending_seconds=1, running_seconds=9, steps=3))
    assert seen(changes) == [
        ("pending", 1, 0, 0),
        ("running", 2, 0, 1),
        ("progress", 2, 33, 4),
        ("progress", 2, 67, 7),
        ("success", 3, 100, 10),
    ]
    assert {change.job.ends_at for change in changes[:-1]} == {NOW + 10}


def test_a_run_that_ends_badly_leads_back_to_the_queue_and_the_sequence_grows() -> None:
    changes = run_to_its_end(Plan(pending_seconds=1, running_seconds=9, retries=2, failure_message="no"))
    assert seen(changes) == [
        ("pending", 1, 0, 0),
        ("running", 2, 0, 1),
        ("pending", 3, 0, 10),
        ("running", 4, 0, 11),
        ("pending", 5, 0, 20),
        ("running", 6, 0, 21),
        ("fail", 7, 0, 30),
    ]
    assert {change.job.ends_at for change in changes[:-1]} == {NOW + 30}
    assert changes[4].job.failure_message is None


def test_a_run_that_stalls_is_given_up_after_the_time_out() -> None:
    plan = Plan(pending_seconds=0, running_seconds=8, steps=4, retries=1, stalled_runs=(1,), stall_timeout=60)
    changes = run_to_its_end(plan)
    assert seen(changes)[:5] == [
        ("pending", 1, 0, 0),
        ("running", 2, 0, 0),
        ("progress", 2, 25, 2),
        ("progress", 2, 50, 4),
        ("pending", 3, 0, 64),
    ]
    assert seen(changes)[-1] == ("success", 5, 100, 72)
    assert {change.job.ends_at for change in changes[:-1]} == {NOW + 72}
    stuck = changes[3].job
    assert lifecycle.as_of(stuck, NOW + 50) == stuck


def test_a_reader_sees_the_progress_between_two_moves() -> None:
    changes = run_to_its_end(Plan(pending_seconds=1, running_seconds=10, steps=2))
    pending, running, half, done = (change.job for change in changes)
    assert [lifecycle.as_of(running, NOW + second).progress for second in (0, 1, 2, 5, 6, 99)] == [0, 0, 10, 40, 50, 50]
    assert [lifecycle.as_of(half, NOW + second).progress for second in (6, 10, 11, 99)] == [50, 90, 99, 99]
    assert (lifecycle.as_of(pending, NOW + 9), lifecycle.as_of(done, NOW + 99)) == (pending, done)


def test_a_job_that_can_be_created_can_also_end() -> None:
    """The limit on a body is met at the creation, not in the middle of the simulation."""

    def create(size: int, reason: str | None) -> Change:
        return lifecycle.create(
            job_id="j" * 255,
            workspace_id="ws_1",
            output_language="Spanish",
            request={"title": "x" * size},
            plan=Plan(pending_seconds=0, running_seconds=0, failure_message=reason),
            event_id="evt_1",
            now=NOW,
        )

    links = Links(base="https://" + "m" * 247, key=b"", lifetime=86400)
    for reason in (None, 'The video "has" no sound.\n' * 400):
        accepted = 0
        for size in range(30_000, 66_000, 100):
            try:
                change = create(size, reason)
            except InvalidError:
                continue
            accepted += 1
            while not change.job.status.is_terminal:
                change = lifecycle.advance(change.job, event_id="evt_2", now=NOW, links=links)
        assert accepted > 0
