"""The calls about batches: each as data, with its reader; and what the event of a batch's end tells.

A batch's jobs are jobs like any other; following them is left to their handles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from video_translation_client._models import Event, read_time
from video_translation_client._operations.jobs import STATUS_OF_WORD, translation_body
from video_translation_client._operations.operation import Operation, next_token, page_query, read_data

FINISHED: Final = "batch.finished"
"""The type of the event that tells of a batch's end."""
_BATCHES: Final = "/v3/video-translations/batches"
_NAMED: Final = frozenset(
    {
        *("batch_id", "status", "title", "total_items", "counts_by_status", "created_at"),
        *("items", "has_more", "next_token"),
    }
)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One job of a batch.

    Attributes:
        index: its place, in the order in which the jobs were asked for.
        job_id: None where there is no job.
        status: `pending`, `running`, `completed` or `failed`.
        failure_message: why it failed.
    """

    index: int
    job_id: str | None
    status: str
    failure_message: str | None = None


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """A batch at one moment.

    Attributes:
        id: the batch's id.
        status: `processing` until every job has ended, then `completed`, or `failed` where none has completed.
        total: how many jobs it has.
        counts: how many jobs are `pending`, `running`, `completed` and `failed`.
        title: as given on creation.
        created_at: unix seconds.
        items: the first jobs, at most 100; none in an event.
        next_token: of the page behind them; None where that was all.
        extra: every other field, untouched.
    """

    id: str
    status: str
    total: int
    counts: Mapping[str, int] = field(hash=False)
    title: str | None = None
    created_at: float | None = None
    items: tuple[BatchItem, ...] = field(default=(), repr=False)
    next_token: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @property
    def terminal(self) -> bool:
        """Whether every job has ended."""
        return self.status in ("completed", "failed")

    @classmethod
    def from_event(cls, event: Event) -> BatchSnapshot | None:
        """Return the batch that a `batch.finished` event tells of; None for every other event.

        Raises:
            ValueError: the event names no batch.
        """
        return _read_batch(event.raw.get("event_data")) if event.type == FINISHED else None


def create_batch(
    translations: Sequence[Mapping[str, Any]], *, title: str | None = None, **fields: Any
) -> Operation[BatchSnapshot]:
    """Start several translations, all or none.

    Args:
        translations: each with `video`, `output_languages` and whatever else a single one may have.
        title: a name of the whole.
        fields: further fields of the request, for example `callback_url`.
    """
    named = {} if title is None else {"title": title}
    body = {"video_translations": [_translation(one) for one in translations], **named, **fields}
    return Operation("create_batch", "POST", _BATCHES, _read_one, body=body, keyed=True)


def get_batch(batch_id: str, token: str | None = None) -> Operation[BatchSnapshot]:
    """Read a batch with one page of its jobs."""
    _check_batch_id(batch_id)
    path = f"{_BATCHES}/{quote(batch_id, safe='')}"
    return Operation("get_batch", "GET", path, _read_one, query=page_query(token), repeatable=True)


def languages_of(creation: Operation[BatchSnapshot]) -> list[str]:
    """Return the output language of each job that a batch makes, in the order of its items."""
    translations = (creation.body or {})["video_translations"]
    return [language for one in translations for language in one["output_languages"]]


def _check_batch_id(batch_id: object) -> None:
    if not isinstance(batch_id, str) or not batch_id:
        raise ValueError(f"batch_id must be a batch's id, such as batch.id of an earlier run, not {batch_id!r}")


def _translation(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or "video" not in given or "output_languages" not in given:
        raise ValueError(f"each translation of a batch is a mapping with video and output_languages, not {given!r}")
    options = {name: value for name, value in given.items() if name not in ("video", "output_languages")}
    return translation_body(given["video"], given["output_languages"], options)


def _read_one(answer: Any) -> BatchSnapshot:
    return _read_batch(read_data(answer))


def _read_batch(data: Any) -> BatchSnapshot:
    if not isinstance(data, Mapping) or not isinstance(data.get("batch_id"), str):
        raise ValueError("a batch needs a `batch_id`")  # noqa: TRY004 - the reader's callers catch one type
    counts, items, total = data.get("counts_by_status"), data.get("items"), data.get("total_items")
    found = counts.items() if isinstance(counts, Mapping) else ()
    return BatchSnapshot(
        id=data["batch_id"],
        status=str(data.get("status", "")),
        total=total if isinstance(total, int) else 0,
        counts={STATUS_OF_WORD.get(word, str(word)): count for word, count in found if isinstance(count, int)},
        title=data.get("title"),
        created_at=read_time(data.get("created_at")),
        items=tuple(_read_item(item) for item in items) if isinstance(items, list) else (),
        next_token=next_token(data),
        extra={name: value for name, value in data.items() if name not in _NAMED},
    )


def _read_item(data: Any) -> BatchItem:
    if not isinstance(data, Mapping):
        raise ValueError("an item of a batch is a JSON object")  # noqa: TRY004 - as above
    word, index, error = str(data.get("status", "")), data.get("item_index"), data.get("error")
    return BatchItem(
        index=index if isinstance(index, int) else 0,
        job_id=data.get("video_id") or None,
        status=STATUS_OF_WORD.get(word, word),
        failure_message=error.get("message") if isinstance(error, Mapping) else None,
    )
