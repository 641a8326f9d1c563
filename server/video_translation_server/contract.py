"""Writes the generated half of contract/: OpenAPI, the event schema, and examples from the real API.

`python -m video_translation_server.contract FOLDER` writes, `--check FOLDER` only compares. Time, ids and secrets
are fixed, so that the same code always writes the same bytes.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from video_translation_server import lifecycle, logs
from video_translation_server.api import Context, Polls, Simulator, Tail, Waiters, create_api
from video_translation_server.clock import ManualClock, VirtualClock
from video_translation_server.conduct import Conduct
from video_translation_server.ids import Ids, Names
from video_translation_server.links import Links
from video_translation_server.media.gallery import Gallery
from video_translation_server.media.studio import Studio
from video_translation_server.model import DEFAULT_WORKSPACE
from video_translation_server.settings import Settings
from video_translation_server.shelf import Shelf
from video_translation_server.signing import new_private_key
from video_translation_server.simulation.control import Control
from video_translation_server.simulation.timeline import Timeline
from video_translation_server.store import EventFilter, Store, open_store
from video_translation_server.wire.responses import EventBody

LINKS = Links(base="https://translations.example.com", key=b"contract", lifetime=7 * 86400)
SECRET = "whsec_" + "Y29udHJhY3Q" * 3 + "="

TRANSLATION = {
    "video": {"type": "url", "url": "https://example.com/talk.mp4"},
    "output_languages": ["Spanish (Spain)", "Japanese"],
    "title": "Keynote: 基調講演",
    "callback_id": "order-17",
    "simulation": {"outcome": "completed", "duration_seconds": 10},
}
FAILING = {
    "video": {"type": "url", "url": "https://example.com/broken.mp4"},
    "output_languages": ["French (France)"],
    "simulation": {"outcome": "failed", "error_message": "The video has no audio track"},
}
BATCH = {"title": "week 47", "video_translations": [TRANSLATION, FAILING]}
ENDPOINT = {"url": "http://127.0.0.1:3120/webhooks", "ttl_seconds": 3600, "description": "an example"}


def main(arguments: list[str]) -> int:
    """Write or check; the exit code is 1 where a file is stale."""
    check, folder = "--check" in arguments, Path(arguments[-1])
    logs.configure(level="warning", form="text", file=None)
    files = asyncio.run(_generate())
    stale = [name for name, content in files.items() if not _is(folder / name, content)]
    if check:
        for name in stale:
            print(f"stale: {folder / name}", file=sys.stderr)  # noqa: T201
        return 1 if stale else 0
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_bytes(files[name])
    return 0


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


async def _generate() -> dict[str, bytes]:
    """Every generated file: its name below the folder, its bytes."""
    numbers: Counter[str] = Counter()

    def ids(prefix: str) -> str:
        numbers[prefix] += 1
        return f"{prefix}_{numbers[prefix]:032x}"

    with tempfile.TemporaryDirectory() as folder:
        store, clock = await open_store(f"{folder}/contract.db", ids=ids), ManualClock(1_795_219_200.0)
        tail, studio = Tail(store), Studio()
        conduct = Conduct(Settings(error_rate=0, seed=1), store, Names())
        context = Context(
            store=store,
            clock=clock,
            ids=ids,
            planner=conduct.planner,
            check_target=lambda _: None,
            new_secret=lambda: SECRET,
            new_private_key=new_private_key,
            is_ready=lambda: True,
            tail=tail,
            waiters=Waiters(tail),
            polls=Polls(store, clock, ids, links=LINKS),
            links=LINKS,
            shelf=Shelf(Path(folder)),
            studio=studio,
            gallery=Gallery(Path(folder) / "films", studio),
            simulator=_simulator(store, ids, conduct),
        )
        api = create_api(context)
        try:
            examples = await _answers(api, context, clock) | await _events(store)
        finally:
            await store.close()
    described = {"openapi.json": _pretty(api.openapi()), "event.schema.json": _pretty(EventBody.model_json_schema())}
    return described | {f"examples/{name}.json": content for name, content in examples.items()}


def _simulator(store: Store, ids: Ids, conduct: Conduct) -> Simulator:
    """Only to describe its doors: nothing here goes through them."""
    clock = VirtualClock()

    async def nothing() -> None:
        """No chores: there are no loops."""

    control = Control(store, clock, ids, links=LINKS, restart=nothing)
    timeline = Timeline(store, clock, chores=nothing, upkeep=nothing, due=lambda: None)
    return Simulator(clock, timeline, control, conduct, conduct.faults)


async def _answers(api: FastAPI, context: Context, clock: ManualClock) -> dict[str, bytes]:
    """The API's answers while three jobs run their course."""
    jobs, base = "/v3/video-translations", "/v3/webhooks"
    answers = {
        "answer.endpoint.created": await _call(api, "POST", f"{base}/endpoints", ENDPOINT),
        "answer.endpoints": await _call(api, "GET", f"{base}/endpoints"),
        "answer.translations.created": await _call(api, "POST", jobs, TRANSLATION),
        "answer.translations": await _call(api, "GET", jobs, query="limit=1"),
        "answer.error": await _call(api, "POST", jobs, TRANSLATION | {"output_languages": []}),
        "answer.languages": await _call(api, "GET", f"{jobs}/languages"),
        "answer.event_types": await _call(api, "GET", f"{base}/event-types"),
    }
    await _call(api, "POST", jobs, FAILING)
    answers["answer.status.pending"] = await _call(api, "GET", "/status")
    await _run(context, clock)
    (newest, oldest) = json.loads(await _call(api, "GET", jobs, query="limit=100"))["data"][::2]
    answers["answer.status.error"] = await _call(api, "GET", "/status")
    answers["answer.status.completed"] = await _call(
        api, "GET", "/status", query=f"video_translation_id={oldest['id']}"
    )
    answers["answer.translation.completed"] = await _call(api, "GET", f"{jobs}/{oldest['id']}")
    answers["answer.translation.failed"] = await _call(api, "GET", f"{jobs}/{newest['id']}")
    ids = f"{newest['id']},{oldest['id']},vt_none"
    answers["answer.statuses"] = await _call(api, "GET", f"{jobs}/statuses", query=f"video_translation_ids={ids}")
    answers["answer.events"] = await _call(api, "GET", f"{base}/events", query="after=cur_0&limit=2")
    batch = await _call(api, "POST", f"{jobs}/batches", BATCH)
    await _run(context, clock)
    answers["answer.batch.created"] = batch
    answers["answer.batch"] = await _call(api, "GET", f"{jobs}/batches/{json.loads(batch)['data']['batch_id']}")
    answers["answer.user"] = await _call(api, "GET", "/v3/users/me")
    return answers


async def _run(context: Context, clock: ManualClock) -> None:
    """Let every job run its course: 1 s of waiting, 9 s of running."""
    for seconds in (1, 9):
        clock.advance(seconds)
        for job in await context.store.due_jobs(clock.now(), 100):
            change = lifecycle.advance(job, event_id=context.ids("evt"), now=clock.now(), links=LINKS)
            await context.store.record([change])


async def _events(store: Store) -> dict[str, bytes]:
    """One body per event type, byte for byte as it is sent."""
    events, _ = await store.events_after(DEFAULT_WORKSPACE, 0, limit=100, wanted=EventFilter())
    return {f"event.{event.type}": event.body for event in reversed(events)}


async def _call(api: FastAPI, method: str, path: str, body: Any = None, query: str = "") -> bytes:
    """The body of the API's answer to one request; in process, without a socket."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"host": "localhost", "content-type": "application/json", "content-length": str(len(content))}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1",
        "scheme": "http",
    }
    received: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        received.append(message.get("body", b""))

    await api(scope, receive, send)
    return b"".join(received)


def _pretty(data: Any) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
