"""The requests whose latency `benchmarks.scale` measures, by name."""

from benchmarks.filling import FIRST_ENDPOINTS, IN_LINE, PLANNED
from benchmarks.pair import Ask, Asked

TOGETHER = 20
"""Jobs whose statuses are asked for in one request."""
JOBS = "/v3/video-translations"
CREATE = {
    "video": {"type": "url", "url": "https://example.com/keynote.mp4"},
    "output_languages": ["Spanish (Spain)"],
    "simulation": {"outcome": "completed"},
}


def create(asked: Asked, _: int = 0) -> object:
    """One more job."""
    return asked.call("POST", JOBS, CREATE)


def _statuses(asked: Asked, number: int) -> object:
    ids = ",".join(asked.one((PLANNED, IN_LINE)[one % 2], number + one) for one in range(TOGETHER))
    return asked.call("GET", f"{JOBS}/statuses?video_translation_ids={ids}")


OF_JOBS: dict[str, Ask] = {
    "get_planned": lambda asked, number: asked.call("GET", f"{JOBS}/{asked.one(PLANNED, number)}"),
    "get_in_line": lambda asked, number: asked.call("GET", f"{JOBS}/{asked.one(IN_LINE, number)}"),
    "list": lambda asked, _: asked.call("GET", f"{JOBS}?limit=20"),
    "list_by_status": lambda asked, _: asked.call("GET", f"{JOBS}?limit=20&status=completed"),
    "status": lambda asked, _: asked.call("GET", "/status"),
    "statuses": _statuses,
    "events_of_job": lambda asked, number: asked.call(
        "GET", f"/v3/webhooks/events?entity_id={asked.one(PLANNED, number)}"
    ),
    "create": create,
}
OF_ENDPOINTS: dict[str, Ask] = {
    "get": lambda asked, number: asked.call("GET", f"/v3/webhooks/endpoints/{asked.one(FIRST_ENDPOINTS, number)}"),
    "list": lambda asked, _: asked.call("GET", "/v3/webhooks/endpoints?limit=20"),
}
