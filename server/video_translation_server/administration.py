"""`keys` and `workspaces` of the command line: they ask a running server's `/v3/admin`.

The store of a running server is locked, so that the API is the one door for both.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

import typer

REFUSED = 1
"""Exit code where the server says no."""

UNREACHABLE = 4
"""Exit code where it does not answer."""

TIMEOUT = 10.0
"""Seconds for one answer."""

DEFAULT = "ws_default"

keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke keys on a running server.")
workspaces = typer.Typer(no_args_is_help=True, help="Create and list workspaces on a running server.")

Url = Annotated[str, typer.Option(envvar="VTS_URL", help="Where the server listens.")]
AdminKey = Annotated[str | None, typer.Option(envvar="VTS_ADMIN_KEY", help="Its admin key, where it has one.")]
Workspace = Annotated[str, typer.Option(help="The workspace's id.")]
LOCAL = "http://127.0.0.1:8000"


@keys.command("create")
def create_key(
    workspace: Workspace = DEFAULT,
    label: Annotated[str | None, typer.Option(help="What you call the key.")] = None,
    url: Url = LOCAL,
    admin_key: AdminKey = None,
) -> None:
    """Print a new key; it is shown this once."""
    made = _call("POST", url, f"/workspaces/{quote(workspace, safe='')}/keys", admin_key, {"label": label})["data"]
    typer.echo(f"{made['key_id']} of {made['workspace_id']}; keep the key, it is not shown again:", err=True)
    typer.echo(made["key"])


@keys.command("list")
def list_keys(workspace: Workspace = DEFAULT, url: Url = LOCAL, admin_key: AdminKey = None) -> None:
    """Print each key's id, creation, revocation and label."""
    for key in _all(url, f"/workspaces/{quote(workspace, safe='')}/keys", admin_key):
        revoked = f"revoked {key['revoked_at']}" if key["revoked_at"] else "valid"
        typer.echo("\t".join((key["key_id"], key["created_at"], revoked, key["label"] or "")))


@keys.command("revoke")
def revoke_key(key_id: str, url: Url = LOCAL, admin_key: AdminKey = None) -> None:
    """Revoke a key by its id, at once and for ever."""
    key = _call("DELETE", url, f"/keys/{quote(key_id, safe='')}", admin_key)["data"]
    typer.echo(f"{key['key_id']} revoked {key['revoked_at']}")


@workspaces.command("create")
def create_workspace(name: str, url: Url = LOCAL, admin_key: AdminKey = None) -> None:
    """Print the id of a new workspace."""
    typer.echo(_call("POST", url, "/workspaces", admin_key, {"name": name})["data"]["workspace_id"])


@workspaces.command("list")
def list_workspaces(url: Url = LOCAL, admin_key: AdminKey = None) -> None:
    """Print each workspace's id, creation and name."""
    for workspace in _all(url, "/workspaces", admin_key):
        typer.echo("\t".join((workspace["workspace_id"], workspace["created_at"], workspace["name"])))


def _all(url: str, path: str, admin_key: str | None) -> Iterator[dict[str, Any]]:
    """Every item of a list, page by page."""
    token = None
    while True:
        query = {"limit": "100"} | ({"token": token} if token else {})
        page = _call("GET", url, f"{path}?{urlencode(query)}", admin_key)
        yield from page["data"]
        token = page["next_token"]
        if token is None:
            return


def _call(method: str, url: str, path: str, admin_key: str | None, body: Any = None) -> Any:
    """One call of the admin API; a refusal ends the program with the server's own words."""
    if not url.startswith(("http://", "https://")):
        _fail(f"{url} is no URL; give the server's as --url http://127.0.0.1:8000", 2)
    headers = {"Content-Type": "application/json"} | ({"X-Api-Key": admin_key} if admin_key else {})
    content = None if body is None else json.dumps(body).encode()
    request = Request(f"{url.rstrip('/')}/v3/admin{path}", content, headers, method=method)  # noqa: S310  (the scheme was checked)
    try:
        # A proxy of the environment is not for the server of this machine.
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
            return json.load(answer)
    except HTTPError as error:
        _fail(_message(error), REFUSED)
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        _fail(f"no server answers at {url} ({reason}); start one, or give its --url", UNREACHABLE)


def _message(error: HTTPError) -> str:
    with error:
        try:
            return str(json.load(error)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return f"the server answered {error.code}"


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
