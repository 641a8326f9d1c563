"""Routes that can pass over unknown fields of a body, where the server is told to (`--lenient`).

The models stay strict: what they do not know is taken out of the body, and the request is read once more.
"""

import copy
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Message

from video_translation_server.api.context import Context

Place = Sequence[str | int]


class LenientRoute(APIRoute):
    """A route with a body, for a router's `route_class`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, tried again without what it does not know."""
        strict = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await strict(request)
            except RequestValidationError as error:
                unknown = _unknown(error)
                if not unknown or not cast("Context", request.app.state.context).is_lenient:
                    raise
                body = _without(error.body, unknown)
            return await strict(_with_body(request, body))

        return handler


def _unknown(error: RequestValidationError) -> list[Place]:
    return [one["loc"][1:] for one in error.errors() if one["type"] == "extra_forbidden" and one["loc"][0] == "body"]


def _without(body: Any, places: Iterable[Place]) -> Any:
    rest = copy.deepcopy(body)
    for *parents, name in places:
        inside = rest
        for parent in parents:
            inside = inside[parent]
        del inside[name]
    return rest


def _with_body(request: Request, body: Any) -> Request:
    content = json.dumps(body).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return Request(request.scope, receive)
