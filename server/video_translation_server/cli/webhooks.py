"""`endpoints list` and `deliveries list`: who is told of a workspace's jobs, and what became of it.

Making and changing endpoints, and sending again, is what `video-translation webhooks` of the client is for.
"""

from __future__ import annotations

from typing import Final

import click

from video_translation_server.cli.session import Session, workspace_options

_STATES: Final = ("waiting", "due", "delivered", "superseded", "dead")
_ENDPOINT_COLUMNS: Final = ("endpoint_id", "status", "url", "events", "description")
_DELIVERY_COLUMNS: Final = ("delivery_id", "state", "attempts", "event_type", "video_translate_id", "endpoint_id")


@click.group()
def endpoints() -> None:
    """See the webhook endpoints of a workspace on a running server."""


@endpoints.command("list")
@workspace_options
@click.pass_obj
def list_endpoints(session: Session, /) -> None:
    """Show every endpoint of the workspace, the newest first."""
    session.output.show_all(session.api.pages("/v3/webhooks/endpoints", None), _ENDPOINT_COLUMNS)


@click.group()
def deliveries() -> None:
    """See what is on its way to the endpoints of a workspace."""


@deliveries.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state; `dead` has the dead letters.")
@click.option("--endpoint", "endpoint_id", metavar="ID", help="Only those to this endpoint.")
@click.option("--job", "video_translate_id", metavar="ID", help="Only those of this job.")
@click.option("--limit", type=click.IntRange(min=1), default=20, metavar="N", help="The newest so many. Default: 20.")
@workspace_options
@click.pass_obj
def list_deliveries(session: Session, /, *, limit: int, **wanted: str | None) -> None:
    """Show the workspace's deliveries, the newest first."""
    session.output.show_all(session.api.pages("/v3/webhooks/deliveries", limit, **wanted), _DELIVERY_COLUMNS)
