"""A service without any of this project's extensions: it answers the real one's paths and fields, and no others.

What those are is read from contract/heygen_v3.json. Deliveries carry the real signature family only, and events
no status and no sequence.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.client.fake_server import Answer, FakeServer, error

CONTRACT = Path(__file__).resolve().parents[2] / "contract" / "heygen_v3.json"
OPERATIONS: dict[str, dict[str, Any]] = json.loads(CONTRACT.read_text("utf-8"))["operations"]
WORDS = {"pending": "queued", "running": "processing", "completed": "completed", "failed": "failed"}


class RealService(FakeServer):
    def __init__(self) -> None:
        super().__init__(extensions=False)
        self.refused: list[str] = []
        self.kept: dict[str, Answer] = {}

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        url = urlsplit(target)
        operation = _operation(method, url.path)
        if operation is None:
            self.refused.append(f"{method} {url.path}")
            return 404, {"message": "Not Found"}
        unknown = set(json.loads(body) if body else {}) - set(operation.get("request", {}))
        if unknown:
            return error(400, "invalid_parameter", "unknown field", min(unknown))
        known = {n: v[0] for n, v in parse_qs(url.query).items() if n in operation.get("query", {})}
        key = headers.get("idempotency-key") if method == "POST" else None
        if key is not None and key in self.kept:
            return self.kept[key]
        status, found = self._handle(method, url.path, known, headers, body)
        result = status, _only_known(found, operation["response"]) if status < 400 else found
        if key is not None and status < 400:
            self.kept[key] = result
        return result

    def _handle(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        own = {
            "/v3/video-translations/statuses": self._statuses,
            "/v3/video-translations/languages": self._languages,
            "/v3/video-translations": self._list_jobs,
        }
        if method != "GET" or path not in own:
            target = f"{path}?{urlencode(query)}"
            return super().answer(method, target, headers, body)
        with self.changed:
            self.requests[path.rpartition("/")[2]] += 1
            self.changed.notify_all()
            return own[path](query)

    def _statuses(self, query: dict[str, str]) -> Answer:
        ids = query.get("video_translation_ids", "").split(",")
        known = {i: WORDS[self.jobs[i]["status"]] for i in ids if i in self.jobs}
        items = [{"video_id": i, "status": known.get(i, "not_found"), "error": None} for i in ids]
        return 200, {"data": items, "has_more": False, "next_token": None}

    def _languages(self, _: dict[str, str]) -> Answer:
        return 200, {"data": {"languages": ["English", "French"]}}

    def _list_jobs(self, query: dict[str, str]) -> Answer:
        start, size = int(query.get("token", 0)), min(self.page_size, int(query.get("limit", 10)))
        jobs = list(reversed(self.jobs.values()))
        more = start + size < len(jobs)
        page = {"data": jobs[start : start + size], "has_more": more}
        return 200, page | {"next_token": str(start + size) if more else None}

    def finish(self, job_id: str, *, message: str | None = None) -> dict[str, Any]:
        """End a job; the event is the real one's: no status, no sequence."""
        if message is None:
            self.move(job_id, "completed", video_url="https://cdn.example/" + job_id)
        else:
            self.move(job_id, "failed", failure_message=message)
        own = {"url": "https://cdn.example/" + job_id} if message is None else {"message": message}
        event = self.log[-1]
        return event | {"event_data": {"video_translate_id": job_id, "callback_id": None, **own}}

    def deliver(self, event: dict[str, Any]) -> list[int]:
        """Deliver to every endpoint, signed as the real service does and in no other way."""
        body = json.dumps(event).encode()
        codes = []
        with httpx.Client(trust_env=False) as sender:
            for endpoint in list(self.endpoints.values()):
                signature = hmac.new(endpoint["secret"].encode(), body, "sha256").hexdigest()
                headers = {
                    "content-type": "application/json",
                    "heygen-signature": signature,
                    "heygen-timestamp": str(int(time.time())),
                    "heygen-event-id": event["event_id"],
                }
                codes.append(sender.post(endpoint["url"], content=body, headers=headers).status_code)
        return codes


def _operation(method: str, path: str) -> dict[str, Any] | None:
    """The operation of a path; one without placeholders goes before one with them."""
    matching = [
        (template.count("{"), operation)
        for template, operation in OPERATIONS.items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), f"{method} {path}")
    ]
    return min(matching, key=lambda found: found[0])[1] if matching else None


def _only_known(answer: Any, known: dict[str, Any]) -> dict[str, Any]:
    return {name: _only_fields(value, known[name]) for name, value in answer.items() if name in known}


def _only_fields(value: Any, described: dict[str, Any]) -> Any:
    fields = described.get("fields")
    if isinstance(value, list):
        return [_only_fields(item, described) for item in value]
    if not isinstance(value, dict) or fields is None:
        return value
    return {name: item for name, item in value.items() if name in fields}
