"""The receiver as a FastAPI router, for a service that the user runs already.

It only adapts; verification and parsing are the receiver's, and reading the body is shared with `asgi`.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from video_translation_client._receiver import DEFAULT_PATH, Receiver
from video_translation_client.integrations.asgi import answer


def webhook_router(receiver: Receiver, path: str = DEFAULT_PATH) -> APIRouter:
    """Make a router that takes deliveries at `path`."""
    router = APIRouter()

    async def deliver(request: Request) -> Response:
        reply = await answer(receiver, request.scope, request.receive)
        if reply is None:
            return Response(status_code=400)  # nobody is left to read it
        return Response(reply.body or None, reply.status, dict(reply.headers))

    router.add_api_route(
        path, deliver, methods=["POST"], status_code=204, response_model=None, summary="Webhook deliveries"
    )
    router.add_api_route(
        path, deliver, methods=["GET", "HEAD", "OPTIONS"], response_model=None, include_in_schema=False
    )
    return router
