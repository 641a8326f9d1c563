"""The commands on events and deliveries: `webhooks events|event-types|deliveries|delivery|resend`.

Endpoints are in `webhooks`; the events as they happen are shown by `listen`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.calls import ask, ask_all, send
from video_translation_client.cli.records import plain_record
from video_translation_client.cli.session import Session, shared_options

if TYPE_CHECKING:
    from video_translation_client import Event

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
def events(session: Session, /, *, limit: int, **filters: str | None) -> int:
    """Show the event log."""
    found = list(itertools.islice(_events(session, **filters), limit))
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
    from video_translation_client._operations import list_event_types  # noqa: PLC0415 - see the package

    found = ask(session, list_event_types())
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
    from video_translation_client._operations import list_deliveries  # noqa: PLC0415 - see the package

    found = itertools.islice(ask_all(session, functools.partial(list_deliveries, **filters)), limit)
    session.output.show_all([plain_record(delivery) for delivery in found], _COLUMNS)
    return exits.COMPLETED


@click.command()
@click.argument("delivery_id")
@shared_options
@click.pass_obj
def delivery(session: Session, /, delivery_id: str) -> int:
    """Show one delivery with its attempts."""
    from video_translation_client._operations import get_delivery  # noqa: PLC0415 - see the package

    record = plain_record(ask(session, get_delivery(delivery_id)))
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
    from video_translation_client import _operations  # noqa: PLC0415 - see the package

    with session.client() as client:
        for delivery_id in delivery_ids:
            record = plain_record(send(client, _operations.resend(delivery_id)))
            session.output.show(record, f"{record['id']}  {record['state']}")
    return exits.COMPLETED


def _events(session: Session, *, after: str | None, job_id: str | None, event_type: str | None) -> Iterator[Event]:
    """Yield the log forward from a place, or without one the newest first."""
    from video_translation_client._operations import list_events  # noqa: PLC0415 - see the package

    token: str | None = None
    with session.client() as client:
        while True:
            page = send(client, list_events(after, token=token, job_id=job_id, event_type=event_type))
            yield from page.events
            place = page.cursor if after is not None else page.next_token
            if not page.has_more or place in (None, after, token):
                return
            after, token = (place, None) if after is not None else (None, place)
