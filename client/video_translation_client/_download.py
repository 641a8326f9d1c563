"""A job's file, from its URL into a file: what to do next, and what came of it. Both kinds of client only do it.

The steps are given out by a generator, which may block on the disk but opens no connection; its two drivers are at the
end. Nothing of the client's goes along, neither its key nor its headers: the URL is signed, and may be a stranger's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from video_translation_client._errors import DownloadError, ServerUnreachableError, WaitTimeoutError
from video_translation_client._exchange import Lost, Terms, user_agent
from video_translation_client._job_state import failure_of
from video_translation_client._landing import Landing, Wish
from video_translation_client._models import COMPLETED, JobSnapshot
from video_translation_client._polling import FILE_POLL, PollPolicy
from video_translation_client._retry import is_passing, read_retry_after
from video_translation_client._transfer import NO_SUCH_PART, SENT, Fetch, Transfer, finish_in_thread

logger = logging.getLogger("video_translation_client")

SILENCE: Final = 60.0
"""Seconds without a byte after which a connection is taken for dead; a file may be made when it is first asked for."""
PATIENCE: Final = 300.0
"""Seconds for which the URLs of a completed job are waited for, where the caller sets no time of their own."""
_NAME: Final = "download"
_MOST_HOPS: Final = 6
_ENOUGH: Final = 1024 * 1024
_FIELDS: Final = {
    "video": "video_url",
    "audio": "audio_url",
    "srt": "srt_caption_url",
    "vtt": "vtt_caption_url",
}
_REFUSED: Final = range(400, 500)


@dataclass(frozen=True, slots=True)
class Read:
    """Ask the service for the job; the answer is its state."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; `seconds` is 0 or more."""

    seconds: float


Step = Read | Pause | Fetch
Steps = Generator[Step, Any, Path]
"""Is sent the answer to each step, and returns where the file lies."""


class Download:
    """One download: the job's URL, the file, tries and pauses.

    Args:
        job_id: the job.
        wish: what is wanted.
        terms: how the client sends: how often it repeats, and after what pauses.
        poll: when to look again for a URL that is not there yet.
    """

    def __init__(self, job_id: str, wish: Wish, terms: Terms, poll: PollPolicy = FILE_POLL) -> None:
        self._job_id = job_id
        self._wish = wish
        self._terms = terms
        self._poll = poll
        self._began = terms.clock()
        self._latest: JobSnapshot | None = None

    def steps(self, known: JobSnapshot | None) -> Steps:
        """Give out what to do; `known` is the newest state known of the job.

        1. Where the file shall lie is checked before anything is asked. 2. The URL is taken from what is known, else
        asked for, and waited for where the job is completed and has none yet. 3. The file comes, in as many parts as
        it takes. 4. It is put in its place, or nothing of it is left.
        """
        place = self._wish.place(self._job_id)
        url = self._url_of(known) if known is not None and known.status == COMPLETED else None
        if url is None:
            url = yield from self._locate()
        landing = Landing(place, self._wish)
        try:
            yield from self._bring(url, Transfer(landing, self._wish, self._silence))
            return landing.settle()
        finally:
            landing.discard()

    def _locate(self) -> Generator[Step, Any, str]:
        limit = PATIENCE if self._wish.timeout is None else self._wish.timeout
        attempt = 0
        while True:
            snapshot: JobSnapshot = yield Read()
            self._latest = snapshot
            self._check(snapshot)
            url = self._url_of(snapshot)
            if url is not None:
                return url
            attempt += 1
            left = limit - (self._terms.clock() - self._began)
            if left <= 0:
                raise self._late(f"has no URL for its {self._wish.kind} yet")
            yield Pause(min(left, self._poll.delay(attempt, floor=snapshot.retry_after)))

    def _check(self, snapshot: JobSnapshot) -> None:
        failure = failure_of(self._job_id, snapshot)
        if failure is not None:
            raise failure
        if snapshot.status != COMPLETED:
            raise self._error(f"is {snapshot.status}: wait for its end first, with job.result()")
        others = [kind for kind, name in _FIELDS.items() if getattr(snapshot, name) is not None]
        if others and self._wish.kind not in others:
            raise self._error(f"has no {self._wish.kind}; it has {', '.join(others)}")

    def _url_of(self, snapshot: JobSnapshot) -> str | None:
        url: str | None = getattr(snapshot, _FIELDS[self._wish.kind])
        return None if url is None else self._checked(url)

    def _checked(self, url: str) -> str:
        if not url.lower().startswith(("http://", "https://")):
            raise self._error(f"has a URL for its {self._wish.kind} that is none of HTTP")
        return url

    def _bring(self, url: str, transfer: Transfer) -> Generator[Step, Any, None]:
        repetitions, was_renewed, counted = 0, False, 0
        while True:
            fetch, trouble = yield from self._try(url, transfer)
            if trouble is None:
                return
            if transfer.size - counted >= _ENOUGH:  # it goes forward: a long file over a poor line is no endless try
                repetitions, was_renewed, counted = 0, False, transfer.size
            if not _is_refused(fetch.status):
                repetitions += 1
                yield Pause(self._pause(repetitions, fetch, trouble))
            elif was_renewed:
                raise self._error(f"cannot be downloaded: {_host(url)} {trouble}", fetch.status)
            else:
                was_renewed, url = True, (yield from self._locate())  # a signed URL is good for a while only

    def _try(self, url: str, transfer: Transfer) -> Generator[Step, Any, tuple[Fetch, str | None]]:
        """Make one try, wherever it leads; return what went wrong, or None where the file is whole."""
        for _ in range(_MOST_HOPS):
            fetch = Fetch(url, {"user-agent": user_agent(), **transfer.headers()}, self._silence(), transfer)
            trouble = yield from self._ask(fetch)
            if fetch.location is None:
                break
            url = self._checked(urljoin(url, fetch.location))
        return fetch, trouble

    def _ask(self, fetch: Fetch) -> Generator[Step, Any, str | None]:
        meter, began = self._terms.meter, self._terms.clock()
        meter.request(_NAME)
        lost: Lost | None = yield fetch
        if lost is not None:
            meter.no_response(_NAME)
            self._silence()  # raises where the time is up
            return f"{'gave no answer' if fetch.status is None else 'broke off'} ({lost.reason})"
        meter.response(_NAME, self._terms.clock() - began, fetch.fits)
        if not fetch.fits:
            return f"answered with {fetch.status}"
        shortfall = fetch.transfer.shortfall()
        return f"sent what is not the file: {shortfall}" if shortfall else None

    def _pause(self, repetition: int, fetch: Fetch, trouble: str) -> float:
        terms, transfer = self._terms, fetch.transfer
        hint = read_retry_after(fetch.retry_after, now=terms.now())
        pause = terms.policy.pause(repetition, hint=hint)
        came = f"{transfer.size} of {'?' if transfer.total is None else transfer.total} bytes"
        if pause is None or repetition > (terms.options.max_retries or 0):
            message = f"job {self._job_id} cannot be downloaded: {_host(fetch.url)} {trouble}; {came} had come"
            if fetch.status is None or fetch.status in SENT:
                raise ServerUnreachableError(message)
            raise DownloadError(message, job_id=self._job_id, kind=self._wish.kind, status=fetch.status)
        terms.meter.count("retries")
        logger.warning(
            "the %s of job %s: %s %s; %s have come, the next attempt follows in %.1f s",
            *(self._wish.kind, self._job_id, _host(fetch.url), trouble, came, pause),
        )
        left = self._left()
        return pause if left is None else min(pause, left)

    def _silence(self) -> float:
        left = self._left()
        if left is not None and left <= 0:
            raise self._late("was not downloaded")
        return SILENCE if left is None else min(SILENCE, left)

    def _left(self) -> float | None:
        timeout = self._wish.timeout
        return None if timeout is None else timeout - (self._terms.clock() - self._began)

    def _late(self, what: str) -> WaitTimeoutError:
        seconds = self._terms.clock() - self._began
        message = f"job {self._job_id} {what} after {seconds:.1f} s; nothing was written, try again"
        return WaitTimeoutError(message, job_id=self._job_id, snapshot=self._latest)

    def _error(self, what: str, status: int | None = None) -> DownloadError:
        return DownloadError(f"job {self._job_id} {what}", job_id=self._job_id, kind=self._wish.kind, status=status)


def _is_refused(status: int | None) -> bool:
    """Whether the same URL would be answered the same again."""
    return status in _REFUSED and status != NO_SUCH_PART and not is_passing(status or 0, None)


def _host(url: str) -> str:
    """Return what of a signed URL may be told."""
    return urlsplit(url).netloc.rpartition("@")[2]


def drive(
    steps: Steps,
    *,
    read: Callable[[], JobSnapshot],
    fetch: Callable[[Fetch], Lost | None],
    pause: Callable[[float], object],
) -> Path:
    """Carry the steps out on this thread; raises what they raise."""
    answer: object = None
    try:
        while True:
            step = _advance(steps, answer)
            if isinstance(step, Path):
                return step
            if isinstance(step, Fetch):
                answer = fetch(step)
            else:
                answer = read() if isinstance(step, Read) else pause(step.seconds)
    finally:
        steps.close()


async def drive_async(
    steps: Steps,
    *,
    read: Callable[[], Awaitable[JobSnapshot]],
    fetch: Callable[[Fetch], Awaitable[Lost | None]],
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Path:
    """Carry the steps out on this event loop, with the disk in a thread; raises what they raise."""
    answer: object = None
    try:
        while True:
            step = await finish_in_thread(_advance, steps, answer)
            if isinstance(step, Path):
                return step
            if isinstance(step, Fetch):
                answer = await fetch(step)
            else:
                answer = await (read() if isinstance(step, Read) else pause(step.seconds))
    finally:
        await finish_in_thread(steps.close)


def _advance(steps: Steps, answer: object) -> Step | Path:
    """Return the next step, or where the file lies: no thread can hand a StopIteration on."""
    try:
        return steps.send(answer)
    except StopIteration as end:
        place: Path = end.value
        return place
