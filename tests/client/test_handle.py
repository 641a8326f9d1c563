from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from video_translation_client import (
    ClientClosedError,
    Job,
    JobCancelledError,
    JobFailedError,
    JobSnapshot,
    WaitTimeoutError,
)
from video_translation_client._jobs import JobRegistry
from video_translation_client._landing import Wish


class Port:
    """Answers a handle from a list, and runs deferred work at once."""

    def __init__(self) -> None:
        self.answers: list[JobSnapshot] = []
        self.deferred = 0
        self.sought = 0

    def read_job(self, job_id: str) -> JobSnapshot:
        assert job_id == "vt_1"
        return self.answers.pop(0)

    def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        raise NotImplementedError

    def cancel_job(self, job_id: str) -> JobSnapshot:
        return self.read_job(job_id)

    def events_come(self) -> bool:
        return False

    def wake(self, job_id: str) -> None:
        """Nobody asks for jobs here."""

    def seek_events(self) -> None:
        self.sought += 1

    def seek_beginning(self, job_id: str) -> None:
        raise NotImplementedError(job_id)

    def defer(self, work: Callable[[], object]) -> None:
        self.deferred += 1
        work()


def state(status: str, sequence: int | None = None, **fields: object) -> JobSnapshot:
    return JobSnapshot("vt_1", status, "pending", sequence=sequence, **fields)  # type: ignore[arg-type]


def test_an_end_ends_the_wait_though_the_job_went_on_at_that_sequence_before() -> None:
    """As after a restore of the service to an earlier point: no state of a higher sequence will come."""
    registry = JobRegistry(Port())
    job = registry.attach("vt_1", state("pending", 1))
    registry.observe(state("running", 2, progress=40.0))
    registry.observe(state("failed", 2, failure_message="no sound", progress=0.0))
    with pytest.raises(JobFailedError, match="no sound"):
        job.result(timeout=1)
    registry.observe(state("running", 2, progress=50.0))
    assert [event.job.status for event in job.events(timeout=1)] == ["running", "failed"]


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def job(port: Port) -> Job:
    return Job("vt_1", port, state("pending"))


@pytest.fixture
def registry(port: Port) -> JobRegistry:
    return JobRegistry(port, remember=3)


def test_a_terminal_state_resolves_the_handle_for_good(job: Job) -> None:
    job._update(state("running", 2))
    assert (job.status(), job.done(), job.wait(0)) == ("running", False, False)
    job._update(state("completed", 3, video_url="https://v"))
    job._update(state("failed", 4))
    assert job.result().video_url == "https://v"
    assert job.exception() is None
    assert (job.done(), job.status(), job.wait()) == (True, "completed", True)


def test_an_older_state_changes_nothing(job: Job) -> None:
    job._update(state("running", 2))
    job._update(state("pending", 1))
    assert job.status() == "running"


def test_a_failure_is_raised_with_its_message(job: Job) -> None:
    job._update(state("failed", 3, failure_message="no audio"))
    with pytest.raises(JobFailedError, match=r"vt_1.*no audio") as caught:
        job.result()
    assert caught.value.job_id == "vt_1"
    assert isinstance(job.exception(), JobFailedError)
    assert not isinstance(job.exception(), JobCancelledError)


def test_a_cancelled_job_says_so(job: Job) -> None:
    job._update(state("failed", 3, cancelled_at=1.0))
    with pytest.raises(JobCancelledError):
        job.result()


def test_a_timeout_is_the_builtin_one_and_carries_what_is_known(job: Job) -> None:
    job._update(state("running", 2))
    with pytest.raises(TimeoutError, match=r"vt_1.*running") as caught:
        job.result(timeout=0)
    assert isinstance(caught.value, WaitTimeoutError)
    assert (caught.value.job_id, caught.value.snapshot) == ("vt_1", job.snapshot)
    with pytest.raises(WaitTimeoutError):
        job.exception(timeout=0)


def test_status_asks_only_when_nothing_is_known(port: Port) -> None:
    port.answers.append(state("running", 2))
    assert Job("vt_1", port).status() == "running"
    assert port.answers == []
    assert "unknown" in repr(Job("vt_1", port))


def test_done_callbacks_are_deferred_or_run_at_once_and_their_errors_are_logged(
    job: Job, port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Job] = []
    job.add_done_callback(called.append)
    job.add_done_callback(lambda _: 1 / 0)
    assert called == []
    job._update(state("completed", 3))
    assert (called, port.deferred) == ([job], 2)
    job.add_done_callback(called.append)
    job.add_done_callback(lambda _: 1 / 0)
    assert (called, port.deferred) == ([job, job], 2)
    assert caplog.text.count("ZeroDivisionError") == 2


async def test_a_handle_can_be_awaited_and_a_cancelled_wait_leaves_it_alone(job: Job) -> None:
    async def wait() -> JobSnapshot:
        return await job

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.create_task(wait())
    await asyncio.sleep(0)
    threading.Thread(target=job._update, args=(state("completed", 3),)).start()
    assert (await again).status == "completed"


def test_a_state_that_came_before_the_handle_counts(registry: JobRegistry) -> None:
    assert registry.observe(state("completed", 3)) is True
    assert registry.observe(state("completed", 3)) is False
    assert registry.attach("vt_1", state("pending")).done()


def test_there_is_one_handle_per_job_while_anybody_holds_it(registry: JobRegistry) -> None:
    job = registry.attach("vt_1")
    assert registry.attach("vt_1") is job
    registry.observe(state("completed", 3))
    assert registry.attach("vt_1") is job
    assert registry.waiting() == []
    assert registry.get("vt_1") is None


def test_wait_for_sees_only_what_came_since(registry: JobRegistry) -> None:
    registry.observe(state("running", 2))
    since = registry.mark()
    assert registry.wait_for("running", since=since, timeout=0) is None
    registry.observe(state("completed", 3))
    found = registry.wait_for("completed", since=since)
    assert found is not None
    assert found.sequence == 3
    assert registry.wait_for("completed", since=since, job_id="vt_1") is found
    assert registry.wait_for("completed", since=since, job_id="vt_2", timeout=0) is None


def test_a_waiter_is_woken_by_another_thread(registry: JobRegistry) -> None:
    threading.Timer(0.01, registry.observe, [state("running", 2)]).start()
    assert registry.wait_for("running", since=0, timeout=PATIENCE) is not None


def test_closing_wakes_everybody(registry: JobRegistry) -> None:
    job = registry.attach("vt_1")
    registry.close(ClientClosedError("closed"))
    with pytest.raises(ClientClosedError):
        job.result()
    with pytest.raises(ClientClosedError):
        registry.wait_for("running", since=0)
    assert isinstance(registry.attach("vt_2").exception(), ClientClosedError)
    job._abandon(ValueError("too late"))
    assert isinstance(job.exception(), ClientClosedError)


def test_an_unknown_status_is_not_final_and_named_once(registry: JobRegistry, caplog: pytest.LogCaptureFixture) -> None:
    job = registry.attach("vt_1")
    registry.observe(state("dreaming", 2))
    registry.observe(state("dreaming", 3))
    assert not job.done()
    assert job.status() == "dreaming"
    assert caplog.text.count("dreaming") == 1


def test_the_board_is_bounded_and_waiting_handles_are_not_forgotten(registry: JobRegistry) -> None:
    job = registry.attach("vt_1")
    for number in range(2, 9):
        registry.observe(JobSnapshot(f"vt_{number}", "running", "pending"))
    assert len(registry._seen) == 3
    assert registry.get("vt_1") is job


def test_a_handle_that_cannot_be_followed_fails(registry: JobRegistry) -> None:
    job = registry.attach("vt_1")
    registry.abandon("vt_1", LookupError("gone"))
    registry.abandon("vt_2", LookupError("gone"))
    with pytest.raises(LookupError):
        job.result()
