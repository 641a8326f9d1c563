"""One operation's way through tries, servers and pauses, without any I/O: both senders only do what it says.

Each try is a `Request`; what came of it goes into `settle`, which says how long to wait before the next one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from video_translation_client._base_urls import BaseUrls
from video_translation_client._errors import ServerUnreachableError
from video_translation_client._limiter import Limiter
from video_translation_client._metrics import Meter
from video_translation_client._operations import FilePart, Operation, error_details
from video_translation_client._options import Options, lowered, refuse_unsendable
from video_translation_client._retry import AWAY, RetryPolicy, is_passing, read_retry_after

logger = logging.getLogger("video_translation_client")

DEFAULTS: Final = Options(timeout=10.0, max_retries=2)
_FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Request:
    """One try, ready to be sent; `timeout` is in seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str | int]
    body: Mapping[str, Any] | None
    timeout: float
    file: FilePart | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered to a try, whatever the status. `elapsed` is in seconds."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A try without an answer.

    Attributes:
        reason: in words.
        sent: whether the service may have taken the request all the same.
    """

    reason: str
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Terms:
    """What all requests of a client have in common.

    Attributes:
        urls: where the service is.
        meter: counts requests.
        api_key: sent as `X-Api-Key`; None sends none.
        options: of requests about which nothing else is said.
        limiter: keeps requests below a rate.
        policy: how long to wait before a repetition.
        clock: monotonic seconds.
        now: the wall clock, unix seconds.
        new_key: makes idempotency keys.
    """

    urls: BaseUrls
    meter: Meter
    api_key: str | None = field(default=None, repr=False)
    options: Options = DEFAULTS
    limiter: Limiter = field(default_factory=lambda: Limiter(None))
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    new_key: Callable[[], str] = lambda: f"vtc-{uuid.uuid4().hex}"

    def __post_init__(self) -> None:
        refuse_unsendable("api_key", self.api_key)

    def begin(self, operation: Operation[Any], options: Options | None = None) -> Exchange:
        """Begin to send an operation."""
        said = (options or Options()).over(Options(operation.patience)).over(self.options)
        return Exchange(operation, said.over(DEFAULTS), self)

    def headers(self, options: Options, operation: Operation[Any]) -> dict[str, str]:
        """Build a request's headers: ours, the client's, the call's, each winning over those before."""
        ours = {"user-agent": user_agent(), "accept": "application/json"}
        if self.api_key:
            ours["x-api-key"] = self.api_key
        return ours | lowered(options.headers) | lowered(operation.headers)


class Exchange:
    """One operation on its way. Used by one thread or task."""

    def __init__(self, operation: Operation[Any], options: Options, terms: Terms) -> None:
        self._operation = operation
        self._options = options
        self._terms = terms
        self._headers = terms.headers(options, operation)
        if operation.keyed or options.idempotency_key:
            # One key for all tries: that is how the service knows them for one.
            self._headers["idempotency-key"] = options.idempotency_key or terms.new_key()
        self._url = ""
        self._tried: set[str] = set()
        self._repetitions = 0
        self._began = 0.0
        self._answer: Answer | None = None

    def request(self) -> Request:
        """Return the next try."""
        self._url = self._terms.urls.current()
        self._tried.add(self._url)
        self._terms.meter.request(self._operation.name)
        self._began = self._terms.clock()
        return Request(
            method=self._operation.method,
            url=self._url + self._operation.path,
            headers=self._headers,
            query=self._operation.query,
            body=self._operation.body,
            timeout=self._options.timeout or 0.0,
            file=self._operation.file,
        )

    def settle(self, outcome: Answer | Lost, *, leaving: bool = False) -> float | None:
        """Take in what came of a try.

        Args:
            outcome: what came of it.
            leaving: the client is about to close, so that nothing is repeated.

        Returns:
            Seconds to wait before the next try; None where this was the last, and `answer` has its answer.

        Raises:
            ServerUnreachableError: no answer came, and there is no further try.
        """
        self._note(outcome)
        pause = None if leaving else self._pause(outcome)
        if pause is not None:
            self._log(outcome, pause)
        elif isinstance(outcome, Lost):
            raise self._unreachable(outcome)
        else:
            self._answer = outcome
        return pause

    @property
    def answer(self) -> Answer:
        """The final answer."""
        if self._answer is None:
            raise AssertionError("an exchange has an answer once settle() has returned None")
        return self._answer

    def _note(self, outcome: Answer | Lost) -> None:
        terms, name = self._terms, self._operation.name
        if isinstance(outcome, Lost):
            terms.meter.no_response(name)
        else:
            terms.meter.response(name, terms.clock() - self._began, outcome.status < _FIRST_ERROR)
        if isinstance(outcome, Lost) or outcome.status in AWAY:
            terms.urls.set_aside(self._url)
        else:
            terms.urls.works(self._url)

    def _pause(self, outcome: Answer | Lost) -> float | None:
        hint = None
        if isinstance(outcome, Lost):
            may_repeat = self._is_repeatable or not outcome.sent
        else:
            may_repeat = self._is_repeatable and is_passing(outcome.status, error_details(outcome.content).get("code"))
            hint = read_retry_after(outcome.headers.get("retry-after"), now=self._terms.now())
        if not may_repeat:
            return None
        away = isinstance(outcome, Lost) or outcome.status in AWAY
        if away and self._terms.urls.current() not in self._tried:
            return 0.0  # another server that has not been asked: at once, and not counted as a repetition
        self._repetitions += 1
        if self._repetitions > (self._options.max_retries or 0):
            return None
        return self._terms.policy.pause(self._repetitions, hint=hint)

    @property
    def _is_repeatable(self) -> bool:
        return self._operation.repeatable or "idempotency-key" in self._headers

    def _log(self, outcome: Answer | Lost, pause: float) -> None:
        self._terms.meter.count("retries")
        said = f"got no answer ({outcome.reason})" if isinstance(outcome, Lost) else f"was answered {outcome.status}"
        logger.warning(
            "%s %s from %s; attempt %d follows in %.1f s",
            self._operation.name,
            said,
            self._url,
            self._repetitions + len(self._tried),
            pause,
        )

    def _unreachable(self, lost: Lost) -> ServerUnreachableError:
        where = ", ".join(url for url in self._terms.urls if url in self._tried)
        return ServerUnreachableError(
            f"no answer from {where} ({lost.reason}): is the server running there? "
            "Start it, or say where it is with base_url or VIDEO_TRANSLATION_BASE_URL"
        )


def user_agent() -> str:
    """Return what this package calls itself."""
    try:
        version = importlib.metadata.version("video-translation-client")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return f"video-translation-client/{version}"
