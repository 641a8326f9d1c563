"""The server's public API as the harness uses it: register, submit, read the log, ask whether it is ready."""

from collections.abc import Iterator
from typing import Any

import httpx

from tests.chaos.plan import Profile
from tests.chaos.receivers import fingerprint
from tests.chaos.record import TRANSITIONS, Logged

ENDINGS = ["video_translate.success", "video_translate.fail"]
PAGE = 100


class Api:
    """One server on one port, over all its processes."""

    def __init__(self, url: str) -> None:
        """No request is made yet."""
        self._http = httpx.AsyncClient(base_url=url, timeout=5.0, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return (await self._http.get("/readyz")).is_success
        except httpx.HTTPError:
            return False

    async def register(self, profile: Profile, url: str) -> dict[str, Any]:
        """Create an endpoint; types are named, so that operational events stay out of the comparison."""
        events = ENDINGS if profile.only_endings else list(TRANSITIONS)
        answer = await self._http.post("/v3/webhooks/endpoints", json={"url": url, "events": events})
        answer.raise_for_status()
        return dict(answer.json()["data"])

    async def submit(self, languages: list[str], *, seconds: float, fails: bool) -> list[str]:
        """Start jobs; the answer is their ids, none where no answer came: nobody knows then whether they were taken.

        Raises:
            httpx.HTTPStatusError: The answer was no 2xx.
        """
        script = {"duration_seconds": seconds, "outcome": "failed" if fails else "completed"}
        video = {"type": "url", "url": "https://example.com/talk.mp4"}
        body = {"video": video, "output_languages": languages, "simulation": script}
        try:
            answer = await self._http.post("/v3/video-translations", json=body)
        except httpx.TransportError:
            return []
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return []  # the database is away
        answer.raise_for_status()
        return list(answer.json()["data"]["video_translation_ids"])

    async def log_after(self, cursor: str) -> tuple[list[Logged], str]:
        """The transitions in the event log behind a cursor, and the cursor of its end."""
        found: list[Logged] = []
        has_more = True
        while has_more:
            query: dict[str, str | int] = {"after": cursor, "limit": PAGE}
            answer = await self._http.get("/v3/webhooks/events", params=query)
            answer.raise_for_status()
            page = answer.json()
            found += _transitions(page["data"])
            cursor, has_more = page["cursor"], page["has_more"]
        return found, cursor


def _transitions(events: list[dict[str, Any]]) -> Iterator[Logged]:
    for event in events:
        status = TRANSITIONS.get(event["event_type"])
        if status is not None:
            data = event["event_data"]
            job, sequence = data["video_translate_id"], data["sequence"]
            yield Logged(event["event_id"], job, sequence, status, fingerprint(event))
