"""What every request passes before any route: an id, the limits, and one log line when it is answered.

Plain ASGI, outside of everything, so that nothing can leave without an id and in another shape than the wire's.
"""

import asyncio
import ipaddress
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_translation_server.api.answers import JSON, error_body
from video_translation_server.ids import Ids

log = structlog.get_logger("api")

UPLOADS = "/v3/assets"
"""The one path that takes a form rather than JSON."""

FORM = "multipart/form-data"
FORM_BYTES = 64 * 1024
"""What a form may be longer than the file in it."""

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Door:
    """ASGI middleware in front of the API."""

    def __init__(self, app: ASGIApp, *, ids: Ids, keyless: bool, max_request_bytes: int, max_upload_bytes: int) -> None:
        """`keyless` servers refuse what a web page could send them (decision 0014)."""
        self._app = app
        self._ids = ids
        self._keyless = keyless
        self._max_request_bytes = max_request_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, started, status = self._ids("req"), time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._pass(scope, receive, send_with_id)
        except (Exception, asyncio.CancelledError) as error:
            refusal = _refusal(error, scope, request_id)
            if not status:
                await _refuse(send_with_id, refusal)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                request_id=request_id,
            )

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if self._keyless:
            _refuse_foreign(headers)
        if scope["method"] in METHODS_WITH_BODY:
            is_upload = scope["path"] == UPLOADS
            _refuse_other_types(headers, FORM if is_upload else JSON)
            limit = self._max_upload_bytes if is_upload else self._max_request_bytes
            receive = _limited(headers, receive, limit)
        scope["query_string"] = _with_underscores(scope["query_string"])
        await self._app(scope, receive, send)


def _limited(headers: Headers, receive: Receive, limit: int) -> Receive:
    """Refuse a body that says it is too long at once, and one that turns out so when it does."""
    refusal = _RefusedError(413, "request_too_large", f"the body is larger than {limit} bytes")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limit:
        raise refusal
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            # The one kind that FastAPI lets pass where it reads a body; any other becomes a 400.
            raise HTTPException(refusal.status, refusal.message, {"Connection": "close"})
        return message

    return receive_limited


def _refusal(error: BaseException, scope: Scope, request_id: str) -> _RefusedError:
    """What the caller is told of an error that no route has answered."""
    if isinstance(error, _RefusedError):
        return error
    if isinstance(error, asyncio.CancelledError):  # the server stops, and has waited long enough
        return _RefusedError(503, "internal_error", "the server is stopping; try again")
    log.error("request crashed", request_id=request_id, method=scope["method"], path=scope["path"], exc_info=error)
    return _RefusedError(500, "internal_error", f"our fault; see {request_id}")


def _refuse_foreign(headers: Headers) -> None:
    """Without keys, only pages and programs of this machine may drive the server (DNS rebinding, CSRF)."""
    if not _is_local(_hostname("//" + headers.get("host", "localhost"))):
        raise _RefusedError(403, "forbidden", "this server has no keys and answers only to localhost as Host")
    origin = headers.get("origin")
    if origin is not None and not _is_local(_hostname(origin)):
        raise _RefusedError(403, "forbidden", "this server has no keys and answers no page of another origin")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_local(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_other_types(headers: Headers, wanted: str) -> None:
    """A body must say that it is JSON: a form from a web page cannot. An upload is a form, and must say so."""
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != wanted:
        raise _RefusedError(415, "unsupported_media_type", f"send the body as Content-Type: {wanted}")


def _with_underscores(query: bytes) -> bytes:
    """Query names may be written with hyphens (contract/README.md)."""
    if b"-" not in query:
        return query
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name.replace("-", "_"), value) for name, value in pairs]).encode()


async def _refuse(send: Send, refusal: _RefusedError) -> None:
    body = error_body(refusal.code, refusal.message)
    headers = [
        (b"content-type", JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        # The rest of the request was not read: the connection cannot carry another one.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
