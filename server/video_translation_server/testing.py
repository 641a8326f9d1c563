"""A whole server inside a test process: on a thread of its own, a free port, a store in a folder that the test gives.

Its clock stands still until the test moves it, so that nothing happens by itself. `pytest_plugin` makes fixtures of it.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import structlog
import uvicorn

from video_translation_server.api import Simulator
from video_translation_server.app import Application, running
from video_translation_server.faults import Asked, Faults
from video_translation_server.model import DEFAULT_WORKSPACE, Delivery, DeliveryState
from video_translation_server.serve import Listening, bind, config_for, url_of
from video_translation_server.settings import Settings
from video_translation_server.store import DeliveryFilter
from video_translation_server.wire.simulator import ConfigRequest, FaultRequest

T = TypeVar("T")

DEFAULTS: dict[str, Any] = {"port": 0, "start_job": False, "error_rate": 0, "drain_timeout": 0, "seed": 1}
START_WITHIN = 30.0
"""Real seconds in which a server must answer."""

ALL = 1_000_000
LOOK_EVERY = 0.05
"""Real seconds between two looks at the deliveries when no bell has rung."""


class HasId(Protocol):
    """A job in the hand of a test, such as the client's `JobHandle`."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...


class TranslationServer:
    """A server to test an integration against; use it in a `with` block, from any thread.

    Attributes:
        url: Where it answers; there is none before the block begins.
    """

    url: str

    def __init__(self, folder: Path, **settings: Any) -> None:
        """Nothing runs yet.

        Args:
            folder: Gets the database.
            settings: Those of `serve`, by name; without them no job fails, and the seed is 1.

        Raises:
            ValidationError: A setting has a bad value (pydantic's).
        """
        self._settings = Settings.model_validate(DEFAULTS | {"store": str(folder / "server.db")} | settings)
        self._thread: threading.Thread | None = None
        self._started: Future[tuple[Application, _Brief]] = Future()
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        """Start it; returns when it answers.

        Raises:
            OSError: The port cannot be had.
            StoreError: The store cannot be opened.
        """
        self._thread = threading.Thread(target=self._main, name="translation-server", daemon=True)
        self._thread.start()
        self._application, self._server = self._started.result(START_WITHIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: attempts under way are aborted."""
        assert self._thread is not None  # noqa: S101  (the block has begun)
        self._loop.call_soon_threadsafe(self._server.ended.set)
        self._thread.join()

    # Time

    def advance(self, seconds: float) -> None:
        """Set the clock forward; returns when everything due on the way has happened, deliveries included."""
        self._run(self._simulator.timeline.advance(seconds))

    def advance_to_next(self) -> None:
        """Set the clock to the next instant at which anything is due; where nothing is, it stays."""
        self._run(self._simulator.timeline.advance_to_next())

    def resume(self, speed: float = 1.0) -> None:
        """Let the clock run by itself, `speed` seconds per second."""
        self._run(self._simulator.timeline.run(speed))

    def freeze(self) -> None:
        """Stop the clock again."""
        self._run(self._simulator.timeline.run(0))

    # Jobs

    def complete(self, job: str | HasId) -> None:
        """Complete a job now, whatever was planned.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: It has ended already.
        """
        self._run(self._simulator.control.complete(_id(job)))

    def fail(self, job: str | HasId, message: str = "The simulated translation failed") -> None:
        """Let a job fail now; raises as `complete` does."""
        self._run(self._simulator.control.fail(_id(job), message))

    def reset(self) -> None:
        """Forget jobs, events, endpoints, deliveries, faults and changed settings; stop the clock where it is."""
        self._run(self._simulator.control.erase())
        self.freeze()

    # The simulation

    def configure(self, **settings: Any) -> None:
        """Change settings for the jobs to come: those that decide what becomes of a job, by name, as of `serve`.

        Raises:
            ValidationError: There is no such setting, or its value is of another type (pydantic's).
            InvalidError: The value cannot be.
        """
        changes = ConfigRequest.model_validate(settings).model_dump(exclude_unset=True)

        async def work() -> None:
            self._simulator.conduct.configure(changes)

        self._run(work())

    def sow(self, seed: int | None) -> None:
        """Begin anew with a seed: fates and chance from its beginning, ids that there have not been before."""
        self._run(self._simulator.conduct.sow(seed))

    # Faults

    @property
    def faults(self) -> "FaultRules":
        """What goes wrong on order."""
        return FaultRules(self._simulator.faults, self._loop)

    @property
    def requests(self) -> list[Asked]:
        """The last requests to the API, at most 1000, the oldest first."""
        return list(self._simulator.faults.journal)

    # Deliveries

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery so far, the oldest first."""
        return self._run(self._deliveries())

    def wait_for_delivery(
        self,
        job: str | HasId | None = None,
        *,
        event_type: str | None = None,
        state: str = "delivered",
        timeout: float = 10.0,
    ) -> Delivery:
        """The first delivery that fits; waits for it.

        Args:
            job: Of this job only.
            event_type: Of this type only, such as `video_translate.success`.
            state: `delivered`, `due` (tried, and to be tried again), `waiting`, `superseded` or `dead`.
            timeout: Real seconds; the clock may stand still meanwhile.

        Raises:
            TimeoutError: None has come; the message tells which there are.
        """
        job_id, wanted = None if job is None else _id(job), DeliveryState(state)

        def fits(one: Delivery) -> bool:
            return (
                one.state is wanted
                and (wanted is not DeliveryState.DUE or one.attempts > 0)
                and job_id in (None, one.job_id)
                and event_type in (None, one.event_type)
            )

        return self._run(self._wait_for(fits, timeout))

    async def _deliveries(self) -> list[Delivery]:
        found, _ = await self._application.store.deliveries(DEFAULT_WORKSPACE, limit=ALL, wanted=DeliveryFilter())
        return found[::-1]

    async def _wait_for(self, fits: Callable[[Delivery], bool], timeout: float) -> Delivery:  # noqa: ASYNC109  (the caller's)
        deadline = self._loop.time() + timeout
        with self._application.store.bells.deliveries.listen() as bell:
            while True:
                bell.clear()
                seen = await self._deliveries()
                for one in filter(fits, seen):
                    return one
                if self._loop.time() >= deadline:
                    there = ", ".join(f"{one.event_type} of {one.job_id} {one.state}" for one in seen) or "none at all"
                    raise TimeoutError(f"no such delivery within {timeout:g} s; there is: {there}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), LOOK_EVERY)

    # The thread

    @property
    def _simulator(self) -> Simulator:
        if self._application.simulator is None:
            raise RuntimeError("this server has no simulator: do not set simulator to false")
        return self._application.simulator

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            # Whoever waits for the start is told.
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        with contextlib.closing(bind(self._settings)) as listening, _lines_to_logging():
            self.url = url_of(listening, "127.0.0.1" if self._settings.host == "localhost" else self._settings.host)
            async with running(self._settings, url=self.url) as application:
                if application.simulator is not None:
                    await application.simulator.timeline.run(0)
                config = config_for(application, self._settings)
                server = _Brief(config, lambda: self._started.set_result((application, server)), application.stopping)
                await server.serve(sockets=[listening])


class FaultRules:
    """The rules of a server under test."""

    def __init__(self, faults: Faults, loop: asyncio.AbstractEventLoop) -> None:
        """Rules change on the server's thread only."""
        self._faults = faults
        self._loop = loop

    def add(self, on: str, kind: str, **fields: Any) -> str:
        """Let answers (`api`) or deliveries (`webhook`) go wrong from here on; the id of the rule.

        Args:
            on: `api` or `webhook`.
            kind: `status`, `slow`, `reset`, `malformed`; or `drop`, `duplicate`, `delay`, `reorder`, `bad_signature`,
                `stale_timestamp`, `truncated`, `unknown_type`, `unknown_status`.
            fields: `probability`, `count`, `where`, `job_id`, `status`, `code`, `seconds`.

        Raises:
            ValidationError: A field has a bad value (pydantic's).
        """
        rule = FaultRequest.model_validate({"on": on, "kind": kind} | fields)
        return self._do(lambda: self._faults.add(**rule.model_dump())).id

    def clear(self) -> None:
        """Let everything go well again; the journal begins anew."""
        self._do(self._faults.clear)

    def _do(self, change: Callable[[], T]) -> T:
        async def work() -> T:
            return change()

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()


class _Brief(Listening):
    """Ends when it is told to, not at its next look."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], stopping: asyncio.Event) -> None:
        super().__init__(config, announce, stopping)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.ended.wait()


@contextlib.contextmanager
def _lines_to_logging() -> Iterator[None]:
    """The server's lines go where the test's own go; a program that has configured structlog keeps its way."""
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *names: logging.getLogger(".".join(("video_translation_server", *names))),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def _id(job: str | HasId) -> str:
    return job if isinstance(job, str) else job.id
