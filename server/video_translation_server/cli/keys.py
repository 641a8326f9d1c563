"""`keys`: what opens a workspace to its programs.

A key is shown once; the server keeps a digest only.
"""

from __future__ import annotations

from urllib.parse import quote

import click

from video_translation_server.cli.session import Session, server_options, workspace_options


@click.group()
def keys() -> None:
    """Create, list and revoke the keys of workspaces on a running server."""


@keys.command()
@click.option("--label", help="What you call the key.")
@workspace_options
@click.pass_obj
def create(session: Session, /, *, label: str | None) -> None:
    """Print a new key of the workspace; it is shown this once."""
    made = session.api.operate("POST", _path(session), {"label": label})
    session.output.remark(f"{made['key_id']} of {made['workspace_id']}; keep the key, it is not shown again:")
    session.output.show(made, made["key"])


@keys.command("list")
@workspace_options
@click.pass_obj
def list_(session: Session, /) -> None:
    """Show the workspace's keys, without the keys themselves."""
    session.output.show_all(session.api.pages(_path(session), None), ("key_id", "created_at", "revoked_at", "label"))


@keys.command()
@click.argument("key_id")
@server_options
@click.pass_obj
def revoke(session: Session, /, *, key_id: str) -> None:
    """Revoke a key by its id, at once and for ever."""
    key = session.api.operate("DELETE", f"/v3/admin/keys/{quote(key_id, safe='')}")
    session.output.show(key, f"{key['key_id']} revoked {key['revoked_at']}")


def _path(session: Session) -> str:
    workspace = session.workspace or "ws_default"
    return f"/v3/admin/workspaces/{quote(workspace, safe='')}/keys"
