"""The receiver as a bare ASGI application: for Starlette mounts, other frameworks and the thread receiver.

It reads the raw body up to the limit and writes the reply; verification and parsing are the receiver's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future
from typing import Any, Final

from video_translation_client._receiver import MAX_BODY, SECRET_DEADLINE, STORING_DEADLINE, Receiver, Reply

_GLANCE: Final = 0.01

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ReceiverApp:
    """An ASGI application that answers every path alike: the signature, not the path, is the proof."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other kinds of connection are declined."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            reply = await answer(self._receiver, scope, receive)
            if reply is not None:
                await _write(reply, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})


async def answer(receiver: Receiver, scope: Scope, receive: Receive) -> Reply | None:
    """Read a request and let the receiver judge it; None when the sender went away in the middle."""
    # The names are in lower case already (ASGI specification, HTTP connection scope).
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if declares_too_much(headers.get("content-length", "")):
        return receiver.too_large()
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return receiver.too_large()
        more = message.get("more_body", False)
    return await judge(receiver, scope["method"], headers, bytes(body))


def declares_too_much(length: str) -> bool:
    """Whether a `content-length` is above the limit; one that is no number says nothing, and the body is counted."""
    return length.isascii() and length.isdigit() and int(length[:12]) > MAX_BODY


async def judge(receiver: Receiver, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Let the receiver answer a request that was read, as `Receiver.handle` does, without blocking the loop."""
    for _ in range(int(SECRET_DEADLINE / _GLANCE)):
        if not receiver.should_wait:
            break
        await asyncio.sleep(_GLANCE)
    reply = receiver.take(method, headers, body)
    return reply if isinstance(reply, Reply) else await _once_stored(receiver, reply)


async def _once_stored(receiver: Receiver, reply: Future[Reply]) -> Reply:
    try:
        async with asyncio.timeout(STORING_DEADLINE):
            return await asyncio.wrap_future(reply)
    except TimeoutError:
        return receiver.not_stored()


async def _write(reply: Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.body:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
