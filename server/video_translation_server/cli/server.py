"""The commands on a running server as a whole: `status` and `reset`.

Starting and ending it is in `background`; what its workspaces have is in the modules of those nouns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from video_translation_server.cli.exits import COMPLETED, FAILED, UNREACHABLE, USAGE, Refusal
from video_translation_server.cli.session import Session, server_options

if TYPE_CHECKING:
    from video_translation_server.cli.calls import Api

_OK = 200
_UNAVAILABLE = 503


@click.command()
@server_options
@click.pass_obj
def status(session: Session, /) -> int:
    """Tell whether a server runs, and how it stands: version, clock, jobs by status.

    Exits with 0 where it runs and is ready, 1 where it is not ready, 4 where none answers.
    """
    api = session.api
    try:
        is_ready, health = _health(api)
    except Refusal as error:
        if error.exit_code != UNREACHABLE:
            raise
        record = {"running": False, "ready": False, "url": api.url, "pid": None}
        session.output.show(record, f"not running: {error.message}")
        return UNREACHABLE
    running = session.instance.running()
    record = {
        "running": True,
        "ready": is_ready,
        "url": api.url,
        "pid": running.pid if running and running.url == api.url else None,
        **({} if is_ready else {"detail": health.get("detail")}),
        **_inside(session, api),
    }
    session.output.show_fields(record)
    return COMPLETED if is_ready else FAILED


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@server_options
@click.pass_obj
def reset(session: Session, /, *, yes: bool) -> None:
    """Delete jobs, events, endpoints and deliveries of every workspace. Workspaces, keys and the clock stay."""
    api = session.api
    if not yes:
        if session.json:
            raise Refusal("give --yes to reset without being asked", code=USAGE, reason="usage")
        click.confirm(f"Delete all jobs, events, endpoints and deliveries of {api.url}?", abort=True, err=True)
    session.output.show(api.operate("POST", "/_sim/reset"), "reset")


def _health(api: Api) -> tuple[bool, dict[str, Any]]:
    """Whether the server takes work, and its own word on it; raises Refusal where what answers is no server of ours."""
    code, health = api.ask("GET", "/readyz")
    if code not in (_OK, _UNAVAILABLE) or not isinstance(health, dict):
        raise Refusal(f"what answers at {api.url} is another server; give ours as --url", code=UNREACHABLE)
    return code == _OK, health


def _inside(session: Session, api: Api) -> dict[str, Any]:
    """What only whoever runs the server is told; nulls for anybody else."""
    nothing = {"version": None, "now": None, "jobs": None, "clock": None}
    try:
        found: dict[str, Any] = api.operate("GET", "/v3/admin/status")
    except Refusal as error:
        session.output.remark(f"it tells no more: {error.message}")
        return nothing
    try:
        clock = api.operate("GET", "/_sim/clock")
    except Refusal:
        clock = None  # a server whose simulator is off has no such door, and its clock is the real one
    shown = clock and {name: clock[name] for name in ("frozen", "speed", "offset_seconds")}
    return nothing | found | {"clock": shown}
