"""Submits jobs through the API at a pace, as any client would; run by `benchmarks.latency` in a process of its own.

It waits for nothing but the API's answers, so a pace that the server cannot follow becomes slower.
"""

import http.client
import json
import random
import time
from typing import Any

LANGUAGES = [
    "Spanish (Spain)", "French", "German", "Japanese", "Hindi", "Italian", "Portuguese", "Dutch", "Polish", "Turkish",
]  # fmt: skip
REQUESTS = 50
"""Requests per second at most; faster paces put several jobs into one."""


def submit(*, url: str, jobs: int, per_second: float, duration: list[float], seed: int) -> dict[str, Any]:
    """Create so many jobs through the API at that pace; each lasts a random time from `duration` (seconds)."""
    chance, ids, began = random.Random(seed), list[str](), time.time()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    size = min(len(LANGUAGES), max(1, round(per_second / REQUESTS)))
    begin = time.perf_counter()
    while len(ids) < jobs:
        time.sleep(max(0.0, begin + len(ids) / per_second - time.perf_counter()))
        ids += _create(connection, LANGUAGES[: min(size, jobs - len(ids))], chance.uniform(*duration))
    connection.close()
    return {"ids": ids, "began": began}


def _create(connection: http.client.HTTPConnection, languages: list[str], seconds: float) -> list[str]:
    body = {
        "video": {"type": "url", "url": "https://example.com/keynote.mp4"},
        "title": "Opening keynote, main stage",
        "output_languages": languages,
        "simulation": {"outcome": "completed", "duration_seconds": seconds},
    }
    connection.request(
        "POST", "/v3/video-translations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    content = response.read()
    if response.status >= http.client.BAD_REQUEST:
        raise RuntimeError(f"the server answered {response.status}: {content[:500]!r}")
    ids: list[str] = json.loads(content)["data"]["video_translation_ids"]
    return ids
