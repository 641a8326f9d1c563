"""A FastAPI service that takes the pushes in a router: `make run`, then `python -m examples.fastapi_app`.

`curl -X POST localhost:9000/translate` starts a job; its transitions are printed, and served at `/jobs/<id>`.
"""

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from video_translation_client import Event, VideoTranslationClient

PATH = "/webhooks/video-translation"
client = VideoTranslationClient()  # http://localhost:8000, or VIDEO_TRANSLATION_BASE_URL
seen: defaultdict[str, list[str]] = defaultdict(list)


@client.on_event
def note(event: Event) -> None:
    """Runs on the client's own thread, after the delivery was answered."""
    seen[event.job.id].append(event.job.status)
    print(event.job.id, event.job.status, flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Register on the way up, and remove the endpoint on the way down."""
    registration = await asyncio.to_thread(client.register_webhook, url=app.state.url)
    print("Receiving at", registration.url, flush=True)
    yield
    await asyncio.to_thread(client.close)


app = FastAPI(lifespan=lifespan)
app.include_router(client.webhook_router(PATH))


@app.post("/translate")
def translate() -> dict[str, str]:
    """Start a job."""
    (job,) = client.translate("https://example.com/talk.mp4", "French")
    return {"job": job.id}


@app.get("/jobs/{job_id}")
def show(job_id: str) -> list[str]:
    """The transitions of a job, as they were pushed."""
    return seen[job_id]


def main() -> None:
    """Serve until Ctrl-C; the socket comes first, so that no delivery finds it closed."""
    with socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "9000")))) as sock:
        app.state.url = f"http://127.0.0.1:{sock.getsockname()[1]}{PATH}"
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([sock])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
