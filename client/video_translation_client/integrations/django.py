"""The receiver as a Django view, blocking or async, for a service that the user runs already.

It moves bytes; what a request means is decided by the receiver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from video_translation_client._receiver import MAX_BODY, Receiver, Reply
from video_translation_client.integrations.asgi import declares_too_much, judge

try:
    from django.http import HttpRequest, HttpResponse
    from django.http.request import UnreadablePostError
    from django.views.decorators.csrf import csrf_exempt
except ImportError as error:
    raise ImportError(
        "the Django view needs Django: pip install video-translation-client[django]", name="django"
    ) from error


def webhook_view(receiver: Receiver) -> Callable[[HttpRequest], HttpResponse]:
    """Make a view that takes deliveries, exempt from CSRF checks: the signature is the proof.

    Args:
        receiver: `client.webhook_receiver`.
    """

    @csrf_exempt
    def deliver(request: HttpRequest) -> HttpResponse:
        body = _read(request)
        if body is None:
            return _answer(receiver.too_large())
        return _answer(receiver.handle(request.method or "", request.headers, body))

    return deliver


def async_webhook_view(receiver: Receiver) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Make the same as an async view, for Django under ASGI: no thread is held while an event is stored.

    Args:
        receiver: `client.webhook_receiver`.
    """

    @csrf_exempt
    async def deliver(request: HttpRequest) -> HttpResponse:
        body = _read(request)
        if body is None:
            return _answer(receiver.too_large())
        return _answer(await judge(receiver, request.method or "", request.headers, body))

    return deliver


def _read(request: HttpRequest) -> bytes | None:
    # Not `request.body`: that would read a body of any length, or refuse by a limit of the project's.
    if declares_too_much(request.headers.get("content-length", "")):
        return None
    try:
        body: bytes = request.read(MAX_BODY + 1)
    except UnreadablePostError:
        return b""  # the sender went away in the middle: nobody reads the refusal that follows
    return None if len(body) > MAX_BODY else body


def _answer(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    del response["content-type"]  # an empty answer has none, the others name theirs
    for name, value in reply.end_to_end.items():
        response[name] = value
    return response
