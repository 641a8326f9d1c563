"""`workspaces`: the clients of a server, each with jobs, endpoints and keys of its own.

Their keys are in `keys`; to act in one, each command takes `--workspace`.
"""

from __future__ import annotations

from urllib.parse import quote

import click

from video_translation_server.cli.session import Session, server_options


@click.group()
def workspaces() -> None:
    """Create workspaces on a running server, and see how they stand."""


@workspaces.command()
@click.argument("name")
@click.option("--id", "workspace_id", metavar="ID", help="An id of your own: letters, digits, and . _ ~ -")
@server_options
@click.pass_obj
def create(session: Session, /, *, name: str, workspace_id: str | None) -> None:
    """Create a workspace called NAME, and print its id."""
    body = {"name": name} | ({} if workspace_id is None else {"id": workspace_id})
    made = session.api.operate("POST", "/v3/admin/workspaces", body)
    session.output.show(made, made["workspace_id"])


@workspaces.command("list")
@server_options
@click.pass_obj
def list_(session: Session, /) -> None:
    """Show every workspace, the newest first."""
    found = session.api.pages("/v3/admin/workspaces", None)
    session.output.show_all(found, ("workspace_id", "created_at", "name"))


@workspaces.command()
@click.argument("workspace_id", metavar="ID")
@server_options
@click.pass_obj
def status(session: Session, /, *, workspace_id: str) -> None:
    """Show one workspace, and how many of its jobs are in each status."""
    session.output.show_fields(session.api.operate("GET", f"/v3/admin/workspaces/{quote(workspace_id, safe='')}"))
