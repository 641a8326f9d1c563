from __future__ import annotations

import asyncio
import functools
import threading
import tracemalloc
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer
from tests.client.test_job_events import Port
from tests.waiting import PATIENCE
from video_translation_client import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    AsyncJob,
    AsyncJobGroup,
    Job,
    JobFailedError,
    JobGroup,
    JobSnapshot,
    WaitTimeoutError,
    as_completed,
    wait,
    wait_async,
)
from video_translation_client._jobs import JobRegistry
from video_translation_client._landing import Wish


@pytest.fixture
def registry() -> JobRegistry:
    return JobRegistry(Port(told=True), remember=20_000)


def make(registry: JobRegistry, count: int = 3) -> list[Job]:
    states = [
        JobSnapshot(f"vt_{number}", "pending", "pending", output_language=f"L{number}") for number in range(count)
    ]
    return [registry.attach(state.id, state) for state in states]


class AsyncPort:
    """Nobody asks the service here."""

    async def read_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)

    async def download(self, job_id: str, known: JobSnapshot | None, wish: Wish) -> Path:
        raise NotImplementedError

    async def cancel_job(self, job_id: str) -> JobSnapshot:
        raise NotImplementedError(job_id)


def view(job: Job) -> AsyncJob:
    return AsyncJob(job, AsyncPort())


def end(registry: JobRegistry, job: Job | AsyncJob, status: str = "completed") -> None:
    registry.observe(JobSnapshot(job.id, status, "completed", sequence=3), by_event=True)


def test_wait_tells_who_has_ended(registry: JobRegistry) -> None:
    one, two, three = make(registry)
    end(registry, two)
    assert wait([one, two, two, three], 0) == ({two}, {one, three})
    assert wait([one, two], return_when=FIRST_COMPLETED).done == {two}
    assert wait([]) == (set(), set())
    threading.Timer(0.01, end, [registry, three, "failed"]).start()
    assert wait([one, two, three], 10, FIRST_EXCEPTION) == ({two, three}, {one})
    end(registry, one)
    assert wait([one, two, three]).not_done == set()
    with pytest.raises(ValueError, match="FIRST_COMPLETED"):
        wait([one], return_when="SOON")
    assert one._notices == ()


def test_jobs_of_several_clients_may_mix(registry: JobRegistry) -> None:
    other = JobRegistry(Port(told=True))
    mine, theirs = make(registry, 1)[0], make(other, 1)[0]
    end(other, theirs)
    end(registry, mine)
    assert wait([mine, theirs]).done == {mine, theirs}


def test_as_completed_gives_each_job_once_as_it_ends(registry: JobRegistry) -> None:
    one, two, three = make(registry)
    end(registry, three)
    stream = iter(as_completed([one, two, three, one], timeout=PATIENCE))
    assert next(stream) is three
    end(registry, two, "failed")
    assert next(stream) is two
    end(registry, one)
    assert list(stream) == [one]
    assert list(as_completed([])) == []


def test_as_completed_runs_out_of_time_with_the_names_of_the_late(registry: JobRegistry) -> None:
    one, two, _ = make(registry)
    end(registry, one)
    found: list[Job] = []
    with pytest.raises(TimeoutError, match=r"1 of 2 jobs.*vt_1") as caught:
        found.extend(as_completed([one, two], timeout=0))
    assert isinstance(caught.value, WaitTimeoutError)
    assert list(caught.value.snapshots) == ["vt_1"]
    assert two._notices == ()


async def test_the_async_twins_wait_the_same_way(registry: JobRegistry) -> None:
    one, two, three = jobs = [view(job) for job in make(registry)]
    end(registry, two)
    assert await wait_async(jobs, 0) == ({two}, {one, three})
    assert [job async for job in as_completed([two, view(two._job)])] == [two]
    threading.Timer(0.01, end, [registry, one]).start()
    assert (await one.result(PATIENCE)).status == "completed"
    for late in (three.result, three.exception):
        with pytest.raises(WaitTimeoutError, match=r"vt_2 has not ended after 0\.01 s"):
            await late(0.01)
    with pytest.raises(WaitTimeoutError, match="1 of 3"):
        assert len([job async for job in as_completed(jobs, 0.05)]) == 2
    end(registry, three, "failed")
    assert isinstance(await three.exception(), JobFailedError)
    assert (await wait_async(jobs)).not_done == set()
    assert (await three.status(), three.running(), three.cancelled()) == ("failed", False, False)
    called: list[AsyncJob] = []
    three.add_done_callback(called.append)
    assert called == [three]
    assert three._job._notices == ()


async def test_a_done_callback_that_nobody_would_await_is_refused(registry: JobRegistry) -> None:
    async def done(_: object) -> None:
        """What nobody would await."""

    for job in (make(registry, 1)[0], view(make(registry, 1)[0])):
        with pytest.raises(TypeError, match="coroutine function"):
            job.add_done_callback(done)


@pytest.mark.parametrize("endless", [float("inf"), 1e12])
def test_an_endless_timeout_is_none(server: FakeServer, make_client: MakeClient, endless: float) -> None:
    client = make_client()
    registration = client.register_webhook()
    jobs = client.translate("https://v", ["French", "German"])
    threading.Timer(0.05, lambda: server.push(*(server.move(job.id, "completed") for job in jobs))).start()
    assert jobs[0].result(endless).status == "completed"
    assert wait(jobs, endless).not_done == set()
    assert len(list(jobs.as_completed(endless))) == len(jobs)
    assert [event.job.status for event in jobs[0].events(endless)][-1] == "completed"
    assert registration.wait_for("completed", endless) is not None


def test_a_timeout_that_is_no_number_is_refused(registry: JobRegistry) -> None:
    with pytest.raises(ValueError, match="NaN"):
        make(registry)[0].result(float("nan"))


async def test_async_done_callbacks_run_on_the_loop(registry: JobRegistry, caplog: pytest.LogCaptureFixture) -> None:
    job = view(make(registry, 1)[0])
    where: asyncio.Queue[int] = asyncio.Queue()
    job.add_done_callback(lambda _: 1 / 0)
    job.add_done_callback(lambda _: where.put_nowait(threading.get_ident()))
    await asyncio.to_thread(end, registry, job)
    assert await where.get() == threading.get_ident()
    assert "ZeroDivisionError" in caplog.text


def test_a_group_is_a_sequence_that_ends_as_a_whole(registry: JobRegistry) -> None:
    group = JobGroup(make(registry))
    assert list(group) == [group[0], group[1], group[2]]
    assert isinstance(group[1:], JobGroup)
    assert len(group + group[1:]) == 5
    assert group.by_language["L1"] is group[1]
    assert repr(group) == "<JobGroup of 3: 3 pending>"
    end(registry, group[2])
    assert not group.done()
    with pytest.raises(TimeoutError, match="2 of 3"):
        group.result(timeout=0)
    end(registry, group[0])
    end(registry, group[1])
    assert [state.id for state in group.result()] == ["vt_0", "vt_1", "vt_2"]
    assert group.exceptions() == [None] * 3
    assert {job.id for job in group.as_completed()} == {"vt_0", "vt_1", "vt_2"}
    assert JobGroup([]).result() == []


async def test_a_group_raises_at_the_first_failure(registry: JobRegistry) -> None:
    group = JobGroup(make(registry))
    twin = AsyncJobGroup(view(job) for job in group)
    end(registry, group[1], "failed")
    with pytest.raises(JobFailedError, match="vt_1"):
        group.result(PATIENCE)
    with pytest.raises(JobFailedError, match="vt_1"):
        await group
    with pytest.raises(JobFailedError, match="vt_1"):
        await twin
    with pytest.raises(WaitTimeoutError):
        await twin.exceptions(0)


def test_a_waiting_handle_costs_little_memory(registry: JobRegistry) -> None:
    states = [JobSnapshot(f"vt_{number}", "pending", "pending") for number in range(500)]
    tracemalloc.start()
    jobs = [registry.attach(state.id, state) for state in states]
    for job in jobs:
        assert job._notify(list)
    bytes_per_handle = tracemalloc.get_traced_memory()[0] / len(jobs)
    tracemalloc.stop()
    assert bytes_per_handle < 1600


def test_ten_thousand_waiting_handles_need_no_thread(registry: JobRegistry) -> None:
    before = threading.active_count()
    jobs = make(registry, 10_000)
    called: list[str] = []
    for job in jobs:
        job.add_done_callback(lambda job: called.append(job.id))
    assert threading.active_count() == before
    stream = iter(as_completed(jobs, timeout=PATIENCE))

    def end_all() -> None:
        for job in jobs:
            end(registry, job)

    ends = threading.Thread(target=end_all)
    ends.start()
    assert [job.id for job in stream] == [job.id for job in jobs]
    ends.join()
    assert called == [job.id for job in jobs]
    assert wait(jobs, 0).not_done == set()


async def test_awaits_need_no_thread(registry: JobRegistry) -> None:
    jobs = make(registry, 500)
    before = threading.active_count()

    async def waits(job: Job) -> JobSnapshot:
        return await job

    tasks = [asyncio.create_task(waits(job)) for job in jobs]
    await asyncio.sleep(0)
    assert threading.active_count() == before
    for job in jobs:
        end(registry, job)
    assert len(await asyncio.gather(*tasks)) == len(jobs)


def test_callbacks_that_are_added_while_the_job_ends_run_once_each(registry: JobRegistry) -> None:
    for job in make(registry, 100):
        called: list[int] = []
        barrier = threading.Barrier(3)

        def add(start: int, job: Job = job, called: list[int] = called, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            for number in range(start, start + 20):
                job.add_done_callback(functools.partial(_nested, called, number))

        threads = [threading.Thread(target=add, args=(start,)) for start in (0, 20)]
        for thread in threads:
            thread.start()
        barrier.wait()
        end(registry, job)
        for thread in threads:
            thread.join()
        assert sorted(called) == sorted([*range(40), *range(1000, 1040)])


def _nested(called: list[int], number: int, job: Job) -> None:
    called.append(number)
    job.add_done_callback(lambda _: called.append(1000 + number))


async def test_what_awaits_may_be_cancelled_and_leaves_nothing_behind(registry: JobRegistry) -> None:
    jobs = make(registry)
    views = [view(job) for job in jobs]
    group, twin = JobGroup(jobs), AsyncJobGroup(views)

    async def joins(group: JobGroup | AsyncJobGroup) -> object:
        return await group

    async def iterates() -> object:
        return [job async for job in twin.as_completed()]

    waits: list[Coroutine[Any, Any, object]] = [
        *(joins(each) for each in (group, twin)),
        *(twin.result(), twin.exceptions(), twin.wait(), iterates()),
        *(views[0].wait(), views[0].result(), views[0].exception(), anext(views[0].events())),
    ]
    tasks = [asyncio.create_task(each) for each in waits]
    await asyncio.sleep(0)
    assert all(job._notices for job in jobs)
    assert jobs[0]._transitions._wakes
    for task in tasks:
        task.cancel()
    assert {type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}
    assert [job._notices for job in jobs] == [()] * 3
    assert jobs[0]._transitions._wakes == ()
    for job in jobs:
        end(registry, job)
    assert [state.id for state in await twin] == ["vt_0", "vt_1", "vt_2"]
    assert (await views[0].result()).status == "completed"


def test_what_a_later_answer_does_not_say_is_kept(make_client: MakeClient) -> None:
    client = make_client()
    group = client.translate("https://v", ["French", "German"])
    client._engine.intake.learn(replace(group[0].refresh(), title="Talk"))
    for status, sequence in (("running", None), ("running", 2), ("completed", 3)):
        bare = JobSnapshot(group[0].id, status, "pending", sequence=sequence)
        client._engine.intake.learn(bare)
        assert group.by_language["French"] is group[0]
    final = group[0].result(0)
    assert (final.status, final.output_language, final.title) == ("completed", "French", "Talk")


def test_what_is_no_job_is_named_with_the_way_to_wait_for_groups(registry: JobRegistry) -> None:
    group = JobGroup(make(registry))
    with pytest.raises(TypeError, match=r"wait\(group \+ other\)"):
        wait([group])  # type: ignore[type-var]
    assert wait(group + group, 0).not_done == set(group)
