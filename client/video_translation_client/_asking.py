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
    known, began, pause = _Known(job_id), clock(), 0.0
    while True:
        answer = yield Step(pause, known.question())
        known.take(answer)
        if isinstance(answer, JobSnapshot) and answer.terminal:
            logger.info("attempt %d: job %s is %s", known.attempt, answer.id, answer.status)
            return answer
        pause = policy.delay(known.attempt, floor=_floor(policy, answer, now()))
        if policy.max_attempts is not None and known.attempt >= policy.max_attempts:
            raise known.gave_up(f"{known.attempt} questions")
        spent = clock() - began
        if limit is not None and spent >= limit:
            raise known.gave_up(f"{limit:g} s")
        if limit is not None:
            pause = min(pause, limit - spent)  # one last question when the time is up
        logger.info("attempt %d: %s; next in %.1f s", known.attempt, known, pause)


@dataclass(slots=True)
class _Known:
    """What the questions about a job have brought so far; `error` is why the last one brought nothing."""

    job_id: str | None
    attempt: int = 0
    last: JobSnapshot | None = None
    error: VideoTranslationError | None = None

    def question(self) -> Operation[JobSnapshot]:
        return get_status() if self.job_id is None else get_job(self.job_id)

    def take(self, answer: Answer) -> None:
        """Note an answer; raise one that would be the same another time."""
        self.attempt += 1
        if isinstance(answer, JobSnapshot):
            self.last, self.error, self.job_id = answer, None, answer.id or self.job_id
        elif is_passing(answer):
            self.error = answer
        else:
            raise answer

    def gave_up(self, limit: str) -> WaitTimeoutError:
        job = f"job {self.job_id or '(the newest)'}"
        state = f"{self.last.status} (sequence {self.last.sequence})" if self.last else "unknown"
        trouble = f"; the last question failed: {self.error}" if self.error else ""
        return WaitTimeoutError(
            f"{job} has not ended after {limit}; its last known state is {state}{trouble}",
            job_id=self.job_id or "",
            snapshot=self.last,
        )

    def __str__(self) -> str:
        return str(self.error) if self.error or not self.last else f"job {self.last.id} is {self.last.status}"


def _floor(policy: PollPolicy, answer: Answer, now: float) -> float | None:
    if isinstance(answer, JobSnapshot):
        return policy.hint(answer, now=now, retry_after=answer.retry_after)
    return answer.retry_after if isinstance(answer, APIError) else None


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
