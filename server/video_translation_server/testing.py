"""A whole server inside a test process: on a thread of its own, a free port, a store in a folder that the test gives.

Its clock stands still until the test moves it, so that nothing happens by itself. `pytest_plugin` makes fixtures of it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from video_translation_server.api import Simulator
from video_translation_server.faults import Asked, Faults
from video_translation_server.hosting import Host
from video_translation_server.model import DEFAULT_WORKSPACE, Delivery, DeliveryState
from video_translation_server.settings import Settings
from video_translation_server.store import DeliveryFilter
from video_translation_server.wire.simulator import ConfigRequest, FaultRequest

T = TypeVar("T")

DEFAULTS: dict[str, Any] = {"port": 0, "start_job": False, "error_rate": 0, "drain_timeout": 0, "seed": 1}
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
        self._host = Host(Settings.model_validate(DEFAULTS | {"store": str(folder / "server.db")} | settings))

    def __enter__(self) -> Self:
        """Start it; returns when it answers.

        Raises:
            OSError: The port cannot be had.
            StoreError: The store cannot be opened.
        """
        self._application = self._host.start()
        self.url = self._host.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: attempts under way are aborted."""
        self._host.stop()

    # Time

    def advance(self, seconds: float) -> None:
        """Set the clock forward; returns when everything due on the way has happened, deliveries included."""
        self._host.run(self._simulator.timeline.advance(seconds))

    def advance_to_next(self) -> None:
        """Set the clock to the next instant at which anything is due; where nothing is, it stays."""
        self._host.run(self._simulator.timeline.advance_to_next())

    def resume(self, speed: float = 1.0) -> None:
        """Let the clock run by itself, `speed` seconds per second."""
        self._host.run(self._simulator.timeline.run(speed))

    def freeze(self) -> None:
        """Stop the clock again."""
        self._host.run(self._simulator.timeline.run(0))

    # Jobs

    def complete(self, job: str | HasId) -> None:
        """Complete a job now, whatever was planned.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: It has ended already.
        """
        self._host.run(self._simulator.control.complete(_id(job)))

    def fail(self, job: str | HasId, message: str = "The simulated translation failed") -> None:
        """Let a job fail now; raises as `complete` does."""
        self._host.run(self._simulator.control.fail(_id(job), message))

    def reset(self) -> None:
        """Forget jobs, events, endpoints, deliveries, faults and changed settings; stop the clock where it is."""
        self._host.run(self._simulator.control.erase())
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

        self._host.run(work())

    def sow(self, seed: int | None) -> None:
        """Begin anew with a seed: fates and chance from its beginning, ids that there have not been before."""
        self._host.run(self._simulator.conduct.sow(seed))

    # Faults

    @property
    def faults(self) -> "FaultRules":
        """What goes wrong on order."""
        return FaultRules(self._simulator.faults, self._host)

    @property
    def requests(self) -> list[Asked]:
        """The last requests to the API, at most 1000, the oldest first."""
        return list(self._simulator.faults.journal)

    # Deliveries

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery so far, the oldest first."""
        return self._host.run(self._deliveries())

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

        return self._host.run(self._wait_for(fits, timeout))

    async def _deliveries(self) -> list[Delivery]:
        found, _ = await self._application.store.deliveries(DEFAULT_WORKSPACE, limit=ALL, wanted=DeliveryFilter())
        return found[::-1]

    async def _wait_for(self, fits: Callable[[Delivery], bool], timeout: float) -> Delivery:  # noqa: ASYNC109  (the caller's)
        deadline = time.monotonic() + timeout
        with self._application.store.bells.deliveries.listen() as bell:
            while True:
                bell.clear()
                seen = await self._deliveries()
                for one in filter(fits, seen):
                    return one
                if time.monotonic() >= deadline:
                    there = ", ".join(f"{one.event_type} of {one.job_id} {one.state}" for one in seen) or "none at all"
                    raise TimeoutError(f"no such delivery within {timeout:g} s; there is: {there}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), LOOK_EVERY)

    @property
    def _simulator(self) -> Simulator:
        if self._application.simulator is None:
            raise RuntimeError("this server has no simulator: do not set simulator to false")
        return self._application.simulator


class FaultRules:
    """The rules of a server under test."""

    def __init__(self, faults: Faults, host: Host) -> None:
        """Rules change on the server's thread only."""
        self._faults = faults
        self._host = host

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

        return self._host.run(work())


def _id(job: str | HasId) -> str:
    return job if isinstance(job, str) else job.id
