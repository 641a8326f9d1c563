"""`jobs`: create, list, look at, cancel and reset the translations of a workspace, or of all.

Following them to their end is what `video-translation` of the client is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import click

from video_translation_server.cli.exits import COMPLETED, FAILED
from video_translation_server.cli.session import Session, workspace_options

JOBS: Final = "/v3/video-translations"
_STATUSES: Final = ("pending", "running", "completed", "failed")
_COLUMNS: Final = ("id", "workspace_id", "status", "progress", "output_language", "title", "video_url")
_ASSET: Final = "asset:"
_SHORT_FOR: Final = {"duration": "duration_seconds", "error": "error_message"}
_LIMIT = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest so many. Default: all.")


@click.group()
def jobs() -> None:
    """Create jobs on a running server, look at them, and end them.

    Without --workspace and --key: those of all workspaces, where that makes sense, else those of the default one.
    """


@jobs.command()
@click.argument("video")
@click.option("-l", "--language", "languages", multiple=True, required=True, help="Output language; repeatable.")
@click.option("--id", "job_id", metavar="ID", help="An id of your own, for one language: letters, digits, and . _ ~ -")
@click.option("--title", help="A name to find the job by.")
@click.option("--priority", type=click.IntRange(0, 9), help="Who is next in line: 9 before 0. Default: 5.")
@click.option("--callback-url", metavar="URL", help="Gets the job's end as a signed POST.")
@click.option("--callback-id", help="Your own mark; every event echoes it.")
@click.option("--simulate", metavar="NAME=VALUE,...", help="Its fate: outcome=failed,duration=3,error=TEXT.")
@workspace_options
@click.pass_obj
def create(
    session: Session,
    /,
    *,
    video: str,
    languages: tuple[str, ...],
    job_id: str | None,
    simulate: str | None,
    **fields: str | int | None,
) -> None:
    """Start one job per language of VIDEO (a URL, or asset:ID), and print the ids."""
    script = _script(simulate) | ({} if job_id is None else {"id": job_id})
    body = {
        "video": _source(video),
        "output_languages": list(languages),
        "simulation": script,
        **{name: value for name, value in fields.items() if value is not None},
    }
    made = session.api.act("POST", JOBS, body)["data"]
    session.output.show(made, "\n".join(made["video_translation_ids"]))


@jobs.command("list")
@click.option("--status", type=click.Choice(_STATUSES), help="Only jobs in this status.")
@_LIMIT
@workspace_options
@click.pass_obj
def list_(session: Session, /, *, status: str | None, limit: int | None) -> None:
    """Show the jobs of all workspaces, of one, or of the one that --key opens; the newest first."""
    session.output.show_all(_found(session, limit, status), _COLUMNS)


@jobs.command()
@_LIMIT
@workspace_options
@click.pass_obj
def completed(session: Session, /, *, limit: int | None) -> None:
    """Show the jobs that have completed, as `list --status completed` does."""
    session.output.show_all(_found(session, limit, "completed"), _COLUMNS)


@jobs.command()
@click.argument("job_id", metavar="[ID]", required=False)
@workspace_options
@click.pass_obj
def status(session: Session, /, *, job_id: str | None) -> int:
    """Show a job; without an ID, the newest one of the workspace. Exits with 1 where it has failed."""
    found = session.api.act("GET", "/status") if job_id is None else _job(session, job_id)
    session.output.show_fields(found)
    return FAILED if found["status"] == "failed" else COMPLETED


@jobs.command()
@click.argument("job_id", metavar="ID")
@workspace_options
@click.pass_obj
def cancel(session: Session, /, *, job_id: str) -> None:
    """Cancel a job. One that has ended is refused, with exit code 1."""
    owner = _job(session, job_id).get("workspace_id")
    found = session.api.act("POST", f"{JOBS}/{quote(job_id, safe='')}/cancel", workspace=owner)["data"]
    session.output.show(found, f"{found['id']}  {found['status']}  {found['failure_message']}")


@jobs.command()
@click.argument("job_id", metavar="ID")
@workspace_options
@click.pass_obj
def reset(session: Session, /, *, job_id: str) -> None:
    """Put a job, also one that has ended, back to the beginning of its plan; its sequence goes on."""
    found = session.api.operate("POST", f"/_sim/jobs/{quote(job_id, safe='')}/reset")
    session.output.show(found, f"{found['id']}  {found['status']}")


def _found(session: Session, limit: int | None, status: str | None) -> Iterator[dict[str, Any]]:
    api = session.api
    if api.is_operators:
        return api.pages("/v3/admin/jobs", limit, status=status, workspace_id=session.workspace)
    return api.pages(JOBS, limit, status=status)


def _job(session: Session, job_id: str) -> dict[str, Any]:
    """The job: of whichever workspace, or of the one that the options name."""
    api, name = session.api, quote(job_id, safe="")
    found: dict[str, Any] = (
        api.operate("GET", f"/v3/admin/jobs/{name}")
        if api.is_operators and session.workspace is None
        else api.act("GET", f"{JOBS}/{name}")["data"]
    )
    return found


def _source(video: str) -> dict[str, str]:
    if video.startswith(_ASSET):
        return {"type": "asset_id", "asset_id": video.removeprefix(_ASSET)}
    if video.lower().startswith(("http://", "https://")):
        return {"type": "url", "url": video}
    raise click.UsageError(f"{video!r} is neither an http(s) URL nor asset:ID")


def _script(text: str | None) -> dict[str, Any]:
    """Read NAME=VALUE,...; a value that is JSON (a number, true, null) is taken as such."""
    script: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise click.UsageError(f"--simulate takes NAME=VALUE,..., not {part!r}")
        try:
            script[_SHORT_FOR.get(name, name)] = json.loads(value)
        except ValueError:
            script[_SHORT_FOR.get(name, name)] = value
    return script
