"""The commands on events and deliveries: `webhooks events|event-types|deliveries|delivery|resend`.

Endpoints are in `webhooks`; the events as they happen are shown by `listen`.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.records import plain_record
from video_translation_client.cli.session import Session, shared_options

_STATES: Final = ("waiting", "due", "delivered", "superseded", "dead")
_EVENT_COLUMNS: Final = ("created_at", "event_type", "video_translate_id", "status", "event_id")
_COLUMNS: Final = ("id", "state", "attempts", "event_type", "job_id", "endpoint_id")
_LIMIT = click.option("--limit", type=click.IntRange(min=1), default=20, help="How many at most. Default: 20.")
_JOB = click.option("--job", "job_id", metavar="ID", help="Only of this job.")


@click.command()
@_JOB
@click.option("--type", "event_type", help="Only of this type.")
@click.option("--after", metavar="CURSOR", help="Read forward from this event or cursor; default: the newest first.")
@_LIMIT
@shared_options
@click.pass_obj
def events(session: Session, /, *, limit: int, after: str | None, job_id: str | None, event_type: str | None) -> int:
    """Show the event log."""
    with session.client() as client:
        found = list(itertools.islice(client.list_events(after, job_id=job_id, event_type=event_type), limit))
    if session.json:
        session.output.show_all([dict(event.raw) for event in found], ())
        return exits.COMPLETED
    rows: list[dict[str, Any]] = [
        {
            "created_at": event.created_at and event.created_at.isoformat(timespec="milliseconds"),
            "event_type": event.type,
            "video_translate_id": event.job.id or None,
            "status": event.job.status,
            "event_id": event.id,
        }
        for event in found
    ]
    session.output.show_all(rows, _EVENT_COLUMNS)
    return exits.COMPLETED


@click.command("event-types")
@shared_options
@click.pass_obj
def event_types(session: Session, /) -> int:
    """Show every type of event."""
    with session.client() as client:
        found = client.webhooks.event_types()
    rows = [{"event_type": name, "description": text} for name, text in found.items()]
    session.output.show_all(rows, ("event_type", "description"))
    return exits.COMPLETED


@click.command()
@click.option("--endpoint", "endpoint_id", metavar="ID", help="Only to this endpoint.")
@click.option("--event", "event_id", metavar="ID", help="Only of this event.")
@_JOB
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@_LIMIT
@shared_options
@click.pass_obj
def deliveries(session: Session, /, *, limit: int, **filters: str | None) -> int:
    """Show deliveries, the newest first."""
    given = {name: value for name, value in filters.items() if value is not None}
    with session.client() as client:
        found = [plain_record(item) for item in itertools.islice(client.webhooks.deliveries.list(**given), limit)]
    session.output.show_all(found, _COLUMNS)
    return exits.COMPLETED


@click.command()
@click.argument("delivery_id")
@shared_options
@click.pass_obj
def delivery(session: Session, /, delivery_id: str) -> int:
    """Show one delivery with its attempts."""
    with session.client() as client:
        record = plain_record(client.webhooks.deliveries.get(delivery_id))
    if session.json:
        session.output.show_fields(record)
        return exits.COMPLETED
    attempts = record.pop("attempt_log")
    session.output.show_fields(record)
    session.output.show_all(attempts, ("number", "outcome", "status", "duration_ms", "detail"))
    return exits.COMPLETED


@click.command()
@click.argument("delivery_ids", nargs=-1, required=True)
@shared_options
@click.pass_obj
def resend(session: Session, /, delivery_ids: tuple[str, ...]) -> int:
    """Send deliveries again, now."""
    with session.client() as client:
        for delivery_id in delivery_ids:
            record = plain_record(client.webhooks.deliveries.resend(delivery_id))
            session.output.show(record, f"{record['id']}  {record['state']}")
    return exits.COMPLETED
