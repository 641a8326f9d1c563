"""The HTTP API: routes by noun over the store, one door in front of them, one table of errors.

It drives the rest of the server through the ports in `context` and opens no outgoing socket.
"""

from collections.abc import Iterable
from types import ModuleType

from fastapi import FastAPI

from video_translation_server import __version__
from video_translation_server.api import (
    admin,
    assets,
    batches,
    cancellations,
    deliveries,
    endpoints,
    events,
    files,
    health,
    overview,
    simulator,
    status,
    statuses,
    stream,
    translations,
    users,
)
from video_translation_server.api.context import Context, Simulator
from video_translation_server.api.door import FORM_BYTES, Door
from video_translation_server.api.errors import install_error_handlers
from video_translation_server.api.faulty import Faulty
from video_translation_server.api.polls import Polls
from video_translation_server.api.tail import Tail
from video_translation_server.api.waiters import Waiters

MODULES = (
    # To `translations` the path of `statuses` would be a job's id.
    statuses,
    assets,
    batches,
    translations,
    cancellations,
    status,
    endpoints,
    events,
    stream,
    deliveries,
    admin,
    overview,
    users,
    health,
    files,
)

__all__ = ["Context", "Polls", "Simulator", "Tail", "Waiters", "create_api"]


def create_api(context: Context) -> FastAPI:
    """The application that answers the API's requests with what `context` holds."""
    api = FastAPI(
        title="Video translation server",
        version=__version__,
        description="HeyGen-v3-compatible video translation for your own machine. Not affiliated with HeyGen.",
        redoc_url=None,
        # A path with a slash too many is unknown, in the shape of every other error.
        redirect_slashes=False,
        # As they are: `include_router` would make each of them anew for every application, at its first request.
        routes=[route for module in _modules(context) for route in module.router.routes],
    )
    api.state.context = context
    if context.simulator is not None and context.is_answering:
        api.add_middleware(Faulty, faults=context.simulator.faults)
    install_error_handlers(api)
    api.add_middleware(
        Door,
        ids=context.ids,
        keyless=context.is_open,
        max_request_bytes=context.max_request_bytes,
        max_upload_bytes=context.max_asset_bytes + FORM_BYTES,
    )
    return api


def _modules(context: Context) -> Iterable[ModuleType]:
    """Those whose routes are answered, in the order in which they are asked whether a path is theirs."""
    if not context.is_answering:
        return [health]
    return MODULES if context.simulator is None else (*MODULES, simulator)
