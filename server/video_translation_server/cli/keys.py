"""`keys`: what opens a workspace to its programs.

A key is shown once; the server keeps a digest only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from video_translation_server.cli.session import Session, server_options, workspace_options

if TYPE_CHECKING:
    from video_translation_server.cli.calls import Api


@click.group()
def keys() -> None:
    """Create, list and revoke the keys of workspaces on a running server."""


@keys.command()
@click.option("--label", help="What you call the key.")
@workspace_options
@click.pass_obj
def create(session: Session, /, *, label: str | None) -> None:
    """Print a new key of the workspace; it is shown this once."""
    api = session.api
    made = api.operate("POST", _path(api), {"label": label})
    session.output.remark(f"{made['key_id']} of {made['workspace_id']}; keep the key, it is not shown again:")
    session.output.show(made, made["key"])


@keys.command("list")
@workspace_options
@click.pass_obj
def list_(session: Session, /) -> None:
    """Show the workspace's keys, without the keys themselves."""
    api = session.api
    session.output.show_all(api.pages(_path(api), None), ("key_id", "created_at", "revoked_at", "label"))


@keys.command()
@click.argument("key_id")
@server_options
@click.pass_obj
def revoke(session: Session, /, *, key_id: str) -> None:
    """Revoke a key by its id, at once and for ever."""
    key = session.api.operate("DELETE", f"/v3/admin/keys/{quote(key_id, safe='')}")
    session.output.show(key, f"{key['key_id']} revoked {key['revoked_at']}")


def _path(api: Api) -> str:
    return f"/v3/admin/workspaces/{quote(api.home, safe='')}/keys"
