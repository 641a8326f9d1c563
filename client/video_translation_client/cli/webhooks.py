"""The commands on webhook endpoints: `webhooks list|create|get|update|delete|test|rotate-secret|recover|replay`.

Events and deliveries are in `deliveries`, whose commands belong to the same group.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.records import plain_record
from video_translation_client.cli.session import Session, shared_options

if TYPE_CHECKING:
    from video_translation_client import VideoTranslationClient

_COLUMNS: Final = ("endpoint_id", "status", "url", "events", "description")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EVENTS = click.option("--events", help="Types with commas between; default: all.")


@click.group()
@shared_options
def webhooks() -> None:
    """Look after webhook endpoints, events and deliveries."""


@webhooks.command("list")
@shared_options
@click.pass_obj
def list_(session: Session, /) -> int:
    """Show every endpoint of the workspace."""
    with session.client() as client:
        session.output.show_all([plain_record(endpoint) for endpoint in client.webhooks.list()], _COLUMNS)
    return exits.COMPLETED


@webhooks.command()
@click.argument("url")
@_EVENTS
@click.option("--job", "entity_id", metavar="ID", help="Only the events of this job.")
@click.option("--description", help="What it is for.")
@click.option("--ttl", "ttl_seconds", type=int, metavar="SECONDS", help="Delete it when nobody renews it.")
@shared_options
@click.pass_obj
def create(session: Session, /, *, url: str, events: str | None, **fields: Any) -> int:
    """Have events delivered to URL. Prints the secret: it is shown only now."""
    given = {name: value for name, value in fields.items() if value is not None}
    return _show(session, lambda client: client.webhooks.create(url, events=_types(events), **given))


@webhooks.command()
@click.argument("endpoint_id")
@shared_options
@click.pass_obj
def get(session: Session, /, endpoint_id: str) -> int:
    """Show one endpoint."""
    return _show(session, lambda client: client.webhooks.get(endpoint_id))


@webhooks.command()
@click.argument("endpoint_id")
@click.option("--url", help="Deliver there from now on.")
@click.option("--events", help="Types with commas between, or `all`; replaces what was there.")
@click.option("--description", help="What it is for.")
@click.option("--enable/--disable", "enabled", default=None, help="Deliver again, or hold everything.")
@shared_options
@click.pass_obj
def update(
    session: Session, /, *, endpoint_id: str, events: str | None, enabled: bool | None, **fields: str | None
) -> int:
    """Change an endpoint: what is not named stays as it is."""
    changes: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if events is not None:
        changes["events"] = None if events == "all" else _types(events)
    if enabled is not None:
        changes["status"] = "enabled" if enabled else "disabled"
    if not changes:
        raise click.UsageError("nothing to change: give --url, --events, --description, --enable or --disable")
    return _show(session, lambda client: client.webhooks.update(endpoint_id, **changes))


@webhooks.command()
@click.argument("endpoint_ids", nargs=-1, required=True)
@shared_options
@click.pass_obj
def delete(session: Session, /, endpoint_ids: tuple[str, ...]) -> int:
    """Delete endpoints."""
    with session.client() as client:
        for endpoint_id in endpoint_ids:
            client.webhooks.delete(endpoint_id)
            session.output.show({"endpoint_id": endpoint_id, "deleted": True}, f"{endpoint_id}  deleted")
    return exits.COMPLETED


@webhooks.command()
@click.argument("endpoint_id")
@shared_options
@click.pass_obj
def test(session: Session, /, endpoint_id: str) -> int:
    """Send an endpoint an `endpoint.test` event."""
    return _show(session, lambda client: client.webhooks.test(endpoint_id))


@webhooks.command("rotate-secret")
@click.argument("endpoint_id")
@click.option("--overlap", type=click.FloatRange(min=0), metavar="SECONDS", help="Let the old one sign so long, too.")
@shared_options
@click.pass_obj
def rotate_secret(session: Session, /, endpoint_id: str, overlap: float | None) -> int:
    """Give an endpoint a new secret, and print it: it is shown only now."""
    with session.client() as client:
        secret = client.webhooks.rotate_secret(endpoint_id, overlap_seconds=overlap)
    session.output.show({"endpoint_id": endpoint_id, "secret": secret}, secret)
    return exits.COMPLETED


@webhooks.command()
@click.argument("endpoint_id")
@click.option("--since", required=True, help="ISO 8601 with a time zone, or an age as 30m, 2h, 1d.")
@shared_options
@click.pass_obj
def recover(session: Session, /, endpoint_id: str, since: str) -> int:
    """Send again what failed since then, and what was never sent."""
    begin = moment(since)
    return _show(session, lambda client: client.webhooks.recover(endpoint_id, begin))


@webhooks.command()
@click.argument("endpoint_id")
@click.option("--since", help="As with recover; default: from the beginning of the log.")
@shared_options
@click.pass_obj
def replay(session: Session, /, endpoint_id: str, since: str | None) -> int:
    """Send what the endpoint was never sent."""
    begin = None if since is None else moment(since)
    return _show(session, lambda client: client.webhooks.replay(endpoint_id, begin))


def moment(text: str) -> float:
    """Read a time, or an age counted back from now, as unix seconds."""
    unit, number = _UNITS.get(text[-1:]), text[:-1]
    if unit and number.isascii() and number.isdigit():
        try:
            return (datetime.now(UTC) - timedelta(**{unit: int(number)})).timestamp()
        except OverflowError:
            raise click.BadParameter(f"{text!r} is before the beginning of time: give a shorter age") from None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: give ISO 8601, or an age as 30m, 2h, 1d") from None
    if when.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone: end it with Z, or with an offset as +01:00")
    return when.timestamp()


def _types(events: str | None) -> list[str] | None:
    return [name.strip() for name in events.split(",") if name.strip()] if events else None


def _show(session: Session, ask: Callable[[VideoTranslationClient], object]) -> int:
    with session.client() as client:
        record = plain_record(ask(client))
    session.output.show_fields(record)
    return exits.COMPLETED
