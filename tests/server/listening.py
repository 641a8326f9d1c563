"""A reader of the event stream inside a test: real application, no socket, every byte and pause in the test's hand.

`listening` opens a stream; what it got so far is in `Listener.text`, and as WHATWG messages in `Listener.events`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from tests.server.rig import Rig
from tests.waiting import PATIENCE, eventually

STREAM = "/v3/events/stream"


def blocks(text: str) -> list[dict[str, str]]:
    """Each whole block's fields, as the HTML standard reads them; what is cut off does not count."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields = [line.partition(":") for line in block.split("\n") if not line.startswith(":")]
        found.append({name: value.removeprefix(" ") for name, _, value in fields})
    return found


class Listener:
    """One open stream."""

    def __init__(self, rig: Rig, query: dict[str, Any], headers: dict[str, str], room: int | None) -> None:
        """After `room` bytes the connection is cut."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.is_complete = False
        self.takes = asyncio.Event()
        self.takes.set()
        self._room = room
        self._gone = asyncio.Event()
        sent = {"host": "localhost"} | headers
        scope = {
            "type": "http",
            "method": "GET",
            "path": STREAM,
            "query_string": urlencode(query, doseq=True).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "http_version": "1.1",
            "scheme": "http",
            "state": {"drop": self.leave},
        }
        self.task = asyncio.create_task(rig.application.api(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        self.is_complete = not message.get("more_body", False)
        self.text += message["body"].decode()
        if self._room is not None and len(self.text) >= self._room:
            self.text = self.text[: self._room]
            self._gone.set()

    def leave(self) -> None:
        """The connection is lost."""
        self._gone.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of every event so far."""
        return [json.loads(block["data"]) for block in blocks(self.text) if "data" in block]

    @property
    def names(self) -> list[str]:
        """The ids of the events so far, as in their data."""
        return [event["event_id"] for event in self.events]

    @property
    def last_id(self) -> str | None:
        """What a reader that was cut now would resume with."""
        return next((block["id"] for block in reversed(blocks(self.text)) if "id" in block), None)

    async def got(self, count: int) -> list[str]:
        """Wait for so many events; their ids."""
        await eventually(lambda: len(self.events) >= count or self.task.done())
        return self.names


@asynccontextmanager
async def listening(
    rig: Rig, *, headers: dict[str, str] | None = None, room: int | None = None, **query: Any
) -> AsyncIterator[Listener]:
    """A stream that is open, its first bytes there; it has left when the block ends."""
    listener = Listener(rig, query, headers or {}, room)
    await eventually(lambda: listener.text or listener.task.done())
    try:
        yield listener
    finally:
        listener.takes.set()
        listener.leave()
        await asyncio.wait_for(listener.task, PATIENCE)
