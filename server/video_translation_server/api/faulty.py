"""Answers that go wrong on order, and the journal of what was asked: ASGI around the routes, inside the door.

`/_sim`, the probes of the process and event streams are never touched.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_translation_server.api.answers import JSON, error_body
from video_translation_server.faults import Asked, Fault, Faults

SPARED = ("/_sim", "/healthz", "/readyz", "/docs", "/openapi.json", "/v3/events/stream")
BUSY = 429

CODES = {
    400: "invalid_parameter",
    401: "unauthorized",
    402: "insufficient_credit",
    403: "forbidden",
    404: "resource_not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "cursor_expired",
    413: "request_too_large",
    415: "unsupported_media_type",
    BUSY: "rate_limit_exceeded",
}
"""What an error of a status is called, where the rule does not say; any other is `internal_error`."""


class Faulty:
    """ASGI middleware that carries out the rules for answers."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, well or badly."""
        if scope["type"] != "http" or scope["path"].startswith(SPARED):
            await self._app(scope, receive, send)
            return
        at, fault = time.time(), self._faults.pick("api", scope["path"], _about(scope))

        def note(status: int) -> None:
            asked = Asked(at, scope["method"], scope["path"], status, fault.id if fault else None)
            self._faults.journal.append(asked)

        async def noted(message: Message) -> None:
            # Before it leaves: who has the answer finds it in the journal.
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        if fault is None:
            await self._app(scope, receive, noted)
        elif fault.kind == "reset":
            note(0)
            await _lose(self._app, scope, receive)
        else:
            await self._go_wrong(fault, scope, receive, noted)

    async def _go_wrong(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "status":
            await _refuse(fault, send)
            return
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
            return
        # What was asked for is done: only the answer is damaged.
        collected: list[Message] = []

        async def collect(message: Message) -> None:
            collected.append(message)

        await self._app(scope, receive, collect)
        body = b"".join(message.get("body", b"") for message in collected[1:])
        half = body[: len(body) // 2]
        start = collected[0]
        kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*kept, (b"content-length", str(len(half)).encode())]})
        await send({"type": "http.response.body", "body": half})


async def _lose(app: ASGIApp, scope: Scope, receive: Receive) -> None:
    """Do what was asked for, and drop the connection instead of an answer."""

    async def swallow(_: Message) -> None:
        """It is lost."""

    await app(scope, receive, swallow)
    scope.get("state", {}).get("drop", lambda: None)()
    await asyncio.sleep(0.01)  # the transport tells its protocol in a later turn of the loop


def _about(scope: Scope) -> str:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


async def _refuse(fault: Fault, send: Send) -> None:
    code = fault.code or CODES.get(fault.status, "internal_error")
    body = error_body(code, f"a fault on order ({fault.id})")
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    if fault.status == BUSY:
        headers.append((b"retry-after", str(max(1, round(fault.seconds))).encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
