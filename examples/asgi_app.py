"""A Starlette service that mounts the receiver, a bare ASGI app: `make run`, then `python -m examples.asgi_app`.

`curl -X POST localhost:9000/translate` starts a job; its transitions are printed, and served at `/jobs/<id>`.
"""

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from video_translation_client import Event, VideoTranslationClient

PATH = "/webhooks"
client = VideoTranslationClient()  # http://localhost:8000, or VIDEO_TRANSLATION_BASE_URL
seen: defaultdict[str, list[str]] = defaultdict(list)


@client.on_event
def note(event: Event) -> None:
    """Runs on the client's own thread, after the delivery was answered."""
    seen[event.job.id].append(event.job.status)
    print(event.job.id, event.job.status, flush=True)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Register on the way up, and remove the endpoint on the way down."""
    registration = await asyncio.to_thread(client.register_webhook, url=app.state.url)
    print("Receiving at", registration.url, flush=True)
    yield
    await asyncio.to_thread(client.close)


async def translate(_: Request) -> JSONResponse:
    """Start a job; the client blocks, so a thread makes the call."""
    (job,) = await asyncio.to_thread(client.translate, "https://example.com/talk.mp4", "French")
    return JSONResponse({"job": job.id})


async def show(request: Request) -> JSONResponse:
    """The transitions of a job, as they were pushed."""
    return JSONResponse(seen[request.path_params["job_id"]])


app = Starlette(
    lifespan=lifespan,
    routes=[
        Mount(PATH, client.webhook_app()),
        Route("/translate", translate, methods=["POST"]),
        Route("/jobs/{job_id}", show),
    ],
)


def main() -> None:
    """Serve until Ctrl-C; the socket comes first, so that no delivery finds it closed."""
    with socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "9000")))) as sock:
        app.state.url = f"http://127.0.0.1:{sock.getsockname()[1]}{PATH}/video-translation"
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([sock])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
