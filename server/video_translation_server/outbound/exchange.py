"""One request on its way: a future of its outcome, which whoever cancels it takes off its connection.

A future and no task, because nearly every request meets a kept connection and needs nothing but to be written.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from video_translation_server.model import Outcome
from video_translation_server.outbound.request import Place


class Carrier(Protocol):
    """What an exchange runs on."""

    def give_up(self, exchange: "Exchange") -> None:
        """Close, if this exchange still runs here."""
        ...


class Exchange(asyncio.Future[Outcome]):
    """Resolved by the connection that carries it.

    Args:
        place: Where it goes.
        request: All of it, as bytes.
        when: The loop's time at which the answer must have ended.
        deadline: The seconds that `when` came from, for the words about it.
        stale: Called in place of a result where a kept connection was found closed before any byte of the answer.
    """

    __slots__ = ("carrier", "deadline", "place", "request", "stale", "when")

    def __init__(  # noqa: PLR0917  (one is made for each delivery, and names cost as much as the rest)
        self,
        loop: asyncio.AbstractEventLoop,
        place: Place,
        request: bytes,
        when: float,
        deadline: float,
        stale: "Callable[[Exchange, str], None] | None" = None,
    ) -> None:
        super().__init__(loop=loop)
        self.place = place
        self.request = request
        self.when = when
        self.deadline = deadline
        self.stale = stale
        self.carrier: Carrier | None = None

    def cancel(self, msg: object = None) -> bool:
        """Cancel, and close the connection: its answer is not wanted any more."""
        carrier, self.carrier = self.carrier, None
        cancelled = super().cancel(msg)
        if cancelled and carrier is not None:
            carrier.give_up(self)
        return cancelled


class Repeat:
    """Carries an exchange whose kept connection was stale: a task that sends once more, on a new connection."""

    def __init__(self, task: asyncio.Task[Outcome], exchange: Exchange) -> None:
        self._task = task
        self._exchange = exchange
        exchange.carrier = self
        task.add_done_callback(self._end)

    def give_up(self, exchange: Exchange) -> None:
        """See `Carrier.give_up`."""
        del exchange
        self._task.cancel()

    def _end(self, task: asyncio.Task[Outcome]) -> None:
        exchange = self._exchange
        if task.cancelled():
            exchange.cancel()
        elif (error := task.exception()) is not None:
            if not exchange.done():
                exchange.set_exception(error)
        elif not exchange.done():
            exchange.set_result(task.result())
