"""`GET /v3/events/stream`: the event log as server-sent events, for those whom nobody can call.

Which events there are and how they are read is `tail`'s business; this module frames them, and ends a stream when
its reader leaves, stalls, or the server stops.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Response
from starlette.types import Receive, Scope, Send

from video_translation_server.api.auth import KeyId, Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.events import encode_cursor, entity_filter, known_type, position_of
from video_translation_server.api.tail import Reader, Wish
from video_translation_server.errors import StoreError, UnauthorizedError
from video_translation_server.model import Event

log = structlog.get_logger("api")

router = APIRouter(prefix="/v3/events", tags=["events"], responses=RESPONSES)

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 1000
"""Milliseconds after which a reader that was cut comes back."""

CHUNK = 64 * 1024
"""Bytes after which frames are handed to the connection; what one stream has pending is a little more."""

LAST_WORDS = 0.2
"""Seconds that a reader gets to take the end of its stream."""

_Until = Annotated[str | None, Query(max_length=255, description="An event id or a cursor to read on from")]
_JobId = Annotated[str | None, Query(max_length=255, description="A job id")]


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"description": "Server-sent events", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def stream(
    *,
    workspace: Workspace,
    context: Surroundings,
    key_id: KeyId,
    after: _Until = None,
    last_event_id: Annotated[str | None, Header(max_length=255, description="As `after`, and stronger")] = None,
    event_type: Annotated[list[str], Query(max_length=100, description="Types, repeated or with commas")] = [],  # noqa: B006  (FastAPI copies it)
    entity_id: _JobId = None,
    video_translate_id: _JobId = None,
) -> Response:
    """Events in log order as they happen, from now on or from behind a point in the log."""
    names = [name.strip() for names in event_type for name in names.split(",")]
    types = frozenset(known_type(name) for name in names if name)
    wish = Wish(workspace, types or None, entity_filter(entity_id, video_translate_id), key_id)
    if last_event_id:
        position = await position_of(context, workspace, last_event_id, param="last-event-id")
    elif after is not None:
        position = await position_of(context, workspace, after, param="after")
    else:
        position = await context.store.last_position()
    return EventStream(context, wish, position)


class EventStream(Response):
    """An answer that goes on until its reader leaves or stalls, or the server stops."""

    media_type = MEDIA_TYPE

    def __init__(self, context: Context, wish: Wish, position: int) -> None:
        """Begins behind `position`; nothing is read before it is called."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]
        self._context = context
        self._wish = wish
        self._position = position

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream.

        Raises:
            BusyError: There are as many streams as there may be; nothing was sent.
        """
        context = self._context
        with context.tail.reader(self._wish, self._position) as reader:
            feeding = asyncio.create_task(self._feed(reader, send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await _first(feeding, leaving, asyncio.create_task(context.stopping.wait()))
                if not leaving.done():
                    await self._end(feeding, scope, send)
                    await _first(leaving, asyncio.create_task(asyncio.sleep(LAST_WORDS)))
            finally:
                await _cancel(feeding, leaving)

    async def _feed(self, reader: Reader, send: Send) -> None:
        """Send what there is, and a comment with the place in the log where there is nothing for long.

        Raises:
            TimeoutError: The reader takes nothing.
        """
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send(send, b"retry: %d\nid: %s\n\n" % (RETRY_MS, _cursor(reader.position)))
        while True:
            events = await reader.batch(self._context.stream_heartbeat)
            for chunk in _chunks(events):
                await self._send(send, chunk)
            if not events:
                await self._send(send, b": ping\nid: %s\n\n" % _cursor(reader.position))

    async def _send(self, send: Send, chunk: bytes) -> None:
        # The connection holds back the next chunk while its own buffer is full.
        async with asyncio.timeout(self._context.stream_stall):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _end(self, feeding: asyncio.Task[None], scope: Scope, send: Send) -> None:
        """End the answer properly; a connection that does not take even that is dropped."""
        await _cancel(feeding)
        failure = None if feeding.cancelled() else feeding.exception()
        stalled = isinstance(failure, TimeoutError)
        if isinstance(failure, StoreError | UnauthorizedError):
            log.warning("stream ended", workspace=self._wish.workspace_id, reason=str(failure))
        elif failure is not None and not stalled:
            raise failure
        try:
            async with asyncio.timeout(0 if stalled else LAST_WORDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.warning("stream cut: its reader takes nothing", workspace=self._wish.workspace_id)
            drop: Callable[[], None] = scope.get("state", {}).get("drop", lambda: None)
            drop()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Return when one of the tasks is done; the last one is there for this only and ends with it."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(tasks[-1])


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _chunks(events: Iterable[Event]) -> Iterator[bytes]:
    """The events' frames, a few in one piece."""
    frames: list[bytes] = []
    size = 0
    for event in events:
        frames.append(_frame(event))
        size += len(frames[-1])
        if size >= CHUNK:
            yield b"".join(frames)
            frames, size = [], 0
    if frames:
        yield b"".join(frames)


def _frame(event: Event) -> bytes:
    """One server-sent event; the body is JSON and has no line break of its own."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (_cursor(event.position), event.type.encode(), event.body)


def _cursor(position: int) -> bytes:
    return encode_cursor(position).encode()
