"""Where letters are held back until a later one has overtaken them, or for so long: how deliveries change their order.

That one is held back its sender does not know: to the store it has arrived (docs/guides/testing.md). What is held back
is in memory only; a server that stops forgets it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from video_translation_server.clock import Clock
from video_translation_server.delivery.courier import Letter
from video_translation_server.model import Outcome

log = structlog.get_logger("delivery")

Road = tuple[str, str | None]
"""A URL, and the job that a letter is about: on one road, letters keep their order."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A letter and until when it waits, by the server's clock; `taken` says that somebody else sends it."""

    letter: Letter
    until: float
    taken: asyncio.Event = field(default_factory=asyncio.Event)


class Detour:
    """Holds back at most one letter per road."""

    def __init__(self, clock: Clock, send: Callable[[Letter], Awaitable[Outcome]]) -> None:
        """Nobody hears of the outcome of `send`: who has overtaken a letter, or whose time is up, is not its sender."""
        self._clock = clock
        self._send = send
        self._held: dict[Road, _Held] = {}
        self._waiting: dict[asyncio.Task[None], _Held] = {}

    def __bool__(self) -> bool:
        """Whether any letter is held back."""
        return bool(self._held)

    def hold(self, road: Road, letter: Letter, seconds: float) -> None:
        """Hold a letter back until it is taken, for `seconds` of the server's clock at most."""
        held = self._held[road] = _Held(letter, self._clock.now() + seconds)
        task = asyncio.create_task(self._wait(road, held))
        self._waiting[task] = held
        task.add_done_callback(self._waiting.pop)

    def take(self, road: Road) -> Letter | None:
        """The letter that is held back on a road, if any: whoever takes it sends it."""
        held = self._held.pop(road, None)
        if held is None:
            return None
        held.taken.set()
        return held.letter

    async def send(self, letter: Letter) -> None:
        """Send what was held back."""
        outcome = await self._send(letter)
        log.info("sent late", event_id=letter.event_id, outcome=str(outcome.kind), status=outcome.status)

    def next_due(self) -> float | None:
        """When the next one has waited long enough, Unix seconds of the server's clock."""
        return min((held.until for held in self._waiting.values()), default=None)

    async def settle(self) -> None:
        """Return when those that have waited long enough are sent and answered."""
        now = self._clock.now()
        due = [task for task, held in self._waiting.items() if held.until <= now]
        if due:
            await asyncio.wait(due)

    async def clear(self) -> None:
        """Forget what is held back, and break off what is being sent."""
        self._held.clear()
        tasks = list(self._waiting)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait(self, road: Road, held: _Held) -> None:
        await self._clock.wait(held.taken, held.until)
        if not held.taken.is_set():
            del self._held[road]
            await self.send(held.letter)
