"""What the fake server knows of uploaded files and of batches: kept in memory, paged as the service does it."""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from dataclasses import dataclass
from typing import Any

Answer = tuple[int, dict[str, Any]]
WORDS: dict[str | None, str] = {
    "pending": "queued",
    "running": "processing",
    "completed": "completed",
    "failed": "failed",
}


@dataclass(frozen=True)
class Upload:
    """A file as it came."""

    name: str
    media_type: str
    content: bytes


def read_form(content_type: str, body: bytes) -> Upload:
    """The one part of a form; what does not end as a form ends is refused."""
    assert body.rstrip().endswith(b"--")
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    (part,) = message.iter_parts()
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert part.get_param("name", header="content-disposition") == "file"
    return Upload(part.get_filename() or "", part.get_content_type(), content)


class FakeAssets:
    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[Upload] = []

    def _upload(self, _: str, __: dict[str, str], upload: Upload) -> Answer:
        self.uploads.append(upload)
        size, media_type = len(upload.content), upload.media_type
        return 200, {"data": {"asset_id": f"asset_{len(self.uploads)}", "mime_type": media_type, "size_bytes": size}}


class FakeBatches:
    jobs: dict[str, dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[str, list[str]] = {}
        self.batch_page = 100

    def new_job(self, **fields: Any) -> str:
        raise NotImplementedError

    def record_data(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def finish(self, batch_id: str) -> dict[str, Any]:
        """Record the event of a batch's end."""
        return self.record_data("batch.finished", self._describe(batch_id))

    def _create_batch(self, _: str, __: dict[str, str], body: Any) -> Answer:
        languages = [language for one in body["video_translations"] for language in one["output_languages"]]
        batch_id = f"batch_{len(self.batches) + 1}"
        self.batches[batch_id] = [self.new_job(output_language=language) for language in languages]
        return 200, {"data": self._describe(batch_id) | self._page(batch_id, 0)}

    def _batch(self, batch_id: str, query: dict[str, str], _: Any) -> Answer:
        if batch_id not in self.batches:
            return 404, {"error": {"code": "resource_not_found", "message": "no"}}
        return 200, {"data": self._describe(batch_id) | self._page(batch_id, int(query.get("token", "0")))}

    def _describe(self, batch_id: str) -> dict[str, Any]:
        statuses = [self.jobs[job_id]["status"] for job_id in self.batches[batch_id]]
        ended = all(status in ("completed", "failed") for status in statuses)
        counts = {word: Counter(statuses)[status] for status, word in WORDS.items()}
        return {
            "batch_id": batch_id,
            "title": None,
            "status": "completed" if ended else "processing",
            "total_items": len(statuses),
            "counts_by_status": counts,
            "created_at": 1_795_219_210,
        }

    def _page(self, batch_id: str, start: int) -> dict[str, Any]:
        ids = self.batches[batch_id]
        chosen = range(start, min(start + self.batch_page, len(ids)))
        items = [
            {"item_index": at, "video_id": ids[at], "status": WORDS[self.jobs[ids[at]]["status"]], "error": None}
            for at in chosen
        ]
        more = chosen.stop < len(ids)
        return {"items": items, "has_more": more, "next_token": str(chosen.stop) if more else None}
