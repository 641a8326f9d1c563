"""The commands on batches: `batches create|get`.

A batch's jobs are jobs like any other: `watch`, `status` and `cancel` take their ids.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.records import plain_record
from video_translation_client.cli.session import Session, shared_options

_ITEM_COLUMNS: Final = ("index", "job_id", "status", "failure_message")


@click.group()
@shared_options
def batches() -> None:
    """Start many translations together, and look at them as a whole."""


@batches.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--title", help="A name of the whole.")
@click.option("--callback-url", metavar="URL", help="Gets the batch's end as a signed POST.")
@shared_options
@click.pass_obj
def create(session: Session, /, file: Any, title: str | None, callback_url: str | None) -> int:
    """Start the translations that FILE lists (- reads stdin): JSON, or one object per line.

    Each object has "video" (a URL, or {"file": "talk.mp4"} for a file that is uploaded first), "output_languages", and
    whatever else `submit` takes with --option.
    """
    translations = [_with_path(one) for one in _read(file.read())]
    fields: dict[str, Any] = {} if callback_url is None else {"callback_url": callback_url}
    with session.client(mode="poll") as client:
        batch = client.batches.create(translations, title=title, **fields)
        ids = [job.id for job in batch.jobs]
    record = {"batch_id": batch.id, "total_items": batch.snapshot.total, "video_translation_ids": ids}
    session.output.show(record, "\n".join((f"{batch.id}  {len(ids)} jobs", *ids)))
    return exits.COMPLETED


@batches.command()
@click.argument("batch_id")
@shared_options
@click.pass_obj
def get(session: Session, /, batch_id: str) -> int:
    """Show a batch and its jobs. Exits with 1 when all of them failed."""
    with session.client() as client:
        batch = client.batches.get(batch_id)
        items = [plain_record(item) for item in client.batches.items(batch_id)]
    record = {name: value for name, value in plain_record(batch).items() if name not in ("items", "next_token")}
    if session.json:
        session.output.show_fields(record | {"items": items})
    else:
        session.output.show_fields(record)
        session.output.show_all(items, _ITEM_COLUMNS)
    return exits.FAILED if batch.status == "failed" else exits.COMPLETED


def _read(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise click.UsageError(f"the file is neither a JSON list nor one object per line: {error}") from None
    return found if isinstance(found, list) else [found]


def _with_path(translation: Any) -> Any:
    video = translation.get("video") if isinstance(translation, dict) else None
    if isinstance(video, dict) and set(video) == {"file"}:
        return translation | {"video": Path(video["file"])}
    return translation
