"""The classic way to follow a job: ask, wait, ask again, give up in time. One loop for both kinds of client.

The loop neither asks nor sleeps itself: its two drivers at the end do, with what their callers give them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass

from video_translation_client._errors import (
    APIError,
    RateLimitError,
    ServerError,
    ServerUnreachableError,
    VideoTranslationError,
    WaitTimeoutError,
)
from video_translation_client._models import JobSnapshot
from video_translation_client._operations import Operation, get_job, get_status
from video_translation_client._polling import PollPolicy, check_policy

logger = logging.getLogger("video_translation_client")

Answer = JobSnapshot | VideoTranslationError
"""What came of asking: the job's state, or why there is none."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: sleep `pause` seconds, then ask `question`."""

    pause: float
    question: Operation[JobSnapshot]


Asking = Generator[Step, Answer, JobSnapshot]
"""Is sent the answer to each step, and returns the job's final state."""


def is_passing(error: VideoTranslationError) -> bool:
    """Whether the same question may be answered later: the service was away, overloaded or at fault."""
    return isinstance(error, ServerUnreachableError | ServerError | RateLimitError)


def ask_until_it_ends(
    job_id: str | None,
    policy: PollPolicy,
    *,
    timeout: float | None,
    clock: Callable[[], float],
    now: Callable[[], float] = time.time,
) -> Asking:
    """Ask at once, then as the policy says, until the job has ended.

    Args:
        job_id: the job; None takes the one that is the newest now, and stays with it.
        policy: when to ask, how often at most, and for how long.
        timeout: seconds in all, instead of the policy's; None takes the policy's.
        clock: monotonic seconds.
        now: the wall clock, unix seconds.

    Raises:
        WaitTimeoutError: the time or the questions are used up; it has the last known state.
        VideoTranslationError: the service refused the question, and would again.
        TypeError: the policy is none.
    """
    check_policy("policy", policy)
    limit = policy.timeout if timeout is None else timeout
    began, attempt, pause = clock(), 0, 0.0
    last: JobSnapshot | None = None
    while True:
        answer = yield Step(pause, get_status() if job_id is None else get_job(job_id))
        attempt += 1
        if isinstance(answer, JobSnapshot):
            last, job_id = answer, answer.id or job_id
            if answer.terminal:
                logger.info("attempt %d: job %s is %s", attempt, answer.id, answer.status)
                return answer
        elif not is_passing(answer):
            raise answer
        pause = policy.delay(attempt, floor=_floor(policy, answer, now()))
        spent = clock() - began
        if policy.max_attempts is not None and attempt >= policy.max_attempts:
            raise _gave_up(job_id, last, answer, f"{attempt} questions")
        if limit is not None and spent + pause > limit:
            if spent >= limit:
                raise _gave_up(job_id, last, answer, f"{limit:g} s")
            pause = limit - spent  # one last question when the time is up
        said = f"job {answer.id} is {answer.status}" if isinstance(answer, JobSnapshot) else str(answer)
        logger.info("attempt %d: %s; next in %.1f s", attempt, said, pause)


def _floor(policy: PollPolicy, answer: Answer, now: float) -> float | None:
    if isinstance(answer, JobSnapshot):
        return policy.hint(answer, now=now, retry_after=answer.retry_after)
    return answer.retry_after if isinstance(answer, APIError) else None


def _gave_up(job_id: str | None, last: JobSnapshot | None, answer: Answer, limit: str) -> WaitTimeoutError:
    known = f"{last.status} (sequence {last.sequence})" if last else "unknown"
    trouble = f"; the last question failed: {answer}" if not isinstance(answer, JobSnapshot) else ""
    return WaitTimeoutError(
        f"job {job_id or '(the newest)'} has not ended after {limit}; its last known state is {known}{trouble}",
        job_id=job_id or "",
        snapshot=last,
    )


def drive(
    asking: Asking, ask: Callable[[Operation[JobSnapshot]], JobSnapshot], sleep: Callable[[float], object]
) -> JobSnapshot:
    """Carry a loop out on this thread; raises what the loop raises."""
    step = next(asking)
    while True:
        sleep(step.pause)
        answer: Answer
        try:
            answer = ask(step.question)
        except VideoTranslationError as error:
            answer = error
        try:
            step = asking.send(answer)
        except StopIteration as end:
            return _final(end)


async def drive_async(
    asking: Asking,
    ask: Callable[[Operation[JobSnapshot]], Awaitable[JobSnapshot]],
    sleep: Callable[[float], Awaitable[object]],
) -> JobSnapshot:
    """Carry a loop out on this event loop; raises what the loop raises."""
    step = next(asking)
    while True:
        await sleep(step.pause)
        answer: Answer
        try:
            answer = await ask(step.question)
        except VideoTranslationError as error:
            answer = error
        try:
            step = asking.send(answer)
        except StopIteration as end:
            return _final(end)


def _final(end: StopIteration) -> JobSnapshot:
    snapshot: JobSnapshot = end.value
    return snapshot
