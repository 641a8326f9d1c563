"""The commands on translation jobs: submit, status, watch.

They follow jobs with `following` and show them with `display`; listing and cancelling is in `joblist`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from video_translation_client.cli import downloads, exits
from video_translation_client.cli.following import Follower
from video_translation_client.cli.records import job_line, job_record
from video_translation_client.cli.session import Session, shared_options

if TYPE_CHECKING:
    from video_translation_client import Job, JobSnapshot
    from video_translation_client._modes import Mode
    from video_translation_client.cli.display import Display

_MODE = click.option(
    "--mode",
    type=click.Choice(["auto", "webhook", "stream", "poll"]),
    default="auto",
    help="How to hear of the jobs. Default: auto, the event stream where there is one.",
)
_ASSET: Final = "asset:"
_SHORT_FOR: Final = {"duration": "duration_seconds", "error": "error_message"}


@click.command()
@click.argument("video")
@click.option("-l", "--language", "languages", multiple=True, required=True, help="Output language; repeatable.")
@click.option("--title", help="A name to find the jobs by.")
@click.option("--callback-id", help="Your own mark; every event echoes it.")
@click.option("--callback-url", metavar="URL", help="Gets each job's end as a signed POST.")
@click.option("--input-language", help="What is spoken in the video; default: recognised.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="A further field of the request.")
@click.option("--simulate", metavar="NAME=VALUE,...", help="For our server: outcome=failed,duration=3,error=TEXT.")
@click.option("--wait", is_flag=True, help="Stay until all jobs have ended.")
@downloads.FOLDER
@downloads.OVERWRITE
@_MODE
@shared_options
@click.pass_obj
def submit(
    session: Session,
    /,
    *,
    video: str,
    languages: tuple[str, ...],
    options: tuple[str, ...],
    simulate: str | None,
    wait: bool,
    folder: Path | None,
    overwrite: bool,
    mode: Mode,
    **named: str | None,
) -> int:
    """Start one translation of VIDEO per language: a URL, asset:ID, or a file that is uploaded first (32 MiB at most).

    With --wait (--download implies it) the exit code is 0 when all completed, 1 when one failed, 3 when the --timeout
    ran out.
    """
    fields = {name: value for name, value in named.items() if value is not None} | _pairs(options, "--option")
    if simulate:
        fields["simulation"] = _pairs(simulate.split(","), "--simulate")
    source = _source(video)
    stays = wait or folder is not None
    downloads.make_folder(folder)
    with session.client(mode=mode if stays else "poll") as client:
        follower = Follower(client)
        if isinstance(source, Path):
            session.output.remark(f"uploading {source}")
        jobs = client.translate(source, list(dict.fromkeys(languages)), **fields)
        if not stays:
            return _tell_starts(session, jobs, list(dict.fromkeys(languages)))
        with _progress(session) as show:
            for change in follower.changes(jobs, session.timeout):
                show(change)
        return downloads.tell_ends(session, jobs, folder, overwrite=overwrite)


@click.command()
@click.argument("ids", nargs=-1)
@shared_options
@click.pass_obj
def status(session: Session, /, ids: tuple[str, ...]) -> int:
    """Show jobs; without an ID the newest one. Exits with 1 when one of them failed."""
    with session.client() as client:
        found = [client.get_job(job_id) for job_id in dict.fromkeys(ids)] or [client.get_status()]
    for job in found:
        if len(found) == 1:
            session.output.show_fields(job_record(job))
        else:
            session.output.show(job_record(job), job_line(job))
    return _code(found)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@downloads.FOLDER
@downloads.OVERWRITE
@_MODE
@shared_options
@click.pass_obj
def watch(session: Session, /, ids: tuple[str, ...], folder: Path | None, *, overwrite: bool, mode: Mode) -> int:
    """Follow jobs to their end: a live table, or a line per change with --json or into a pipe."""
    downloads.make_folder(folder)
    with session.client(mode=mode) as client:
        follower = Follower(client)
        jobs = [client.job(job_id) for job_id in dict.fromkeys(ids)]
        for job in jobs:
            job.refresh()
        with _live_table(session) as show:
            for change in follower.changes(jobs, session.timeout):
                show(change)
        if folder is not None:
            return downloads.tell_ends(session, jobs, folder, overwrite=overwrite)
        return _code(job.snapshot for job in jobs)


def _source(video: str) -> str | Path | dict[str, str]:
    if video.startswith(_ASSET):
        return {"type": "asset_id", "asset_id": video.removeprefix(_ASSET)}
    if video.lower().startswith(("http://", "https://")):
        return video
    if Path(video).exists() or "://" not in video:
        return Path(video)
    raise click.UsageError(f"{video!r} is no http(s) URL, no asset:ID and no file on this computer")


def _pairs(texts: Iterable[str], option: str) -> dict[str, Any]:
    """Read NAME=VALUE; a value that is JSON (a number, true, null, a list) is taken as such."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadOptionUsage(option, f"{option} takes NAME=VALUE, not {text!r}")
        name = name.strip().replace("-", "_")
        try:
            found[_SHORT_FOR.get(name, name) if option == "--simulate" else name] = json.loads(value)
        except ValueError:
            found[_SHORT_FOR.get(name, name) if option == "--simulate" else name] = value
    return found


def _progress(session: Session) -> AbstractContextManager[Display]:
    """Bars on stderr, so that stdout holds the answers alone."""
    if session.json:
        return nullcontext(_say_nothing)
    if not sys.stderr.isatty():
        return nullcontext(lambda job: None if job is None else session.output.remark(job_line(job)))
    from rich.console import Console  # noqa: PLC0415 - see the package

    from video_translation_client.cli import display  # noqa: PLC0415 - see the package

    return display.bars(Console(stderr=True))


def _live_table(session: Session) -> AbstractContextManager[Display]:
    if session.json or not sys.stdout.isatty():
        return nullcontext(lambda job: None if job is None else session.output.show(job_record(job), job_line(job)))
    from rich.console import Console  # noqa: PLC0415 - see the package

    from video_translation_client.cli import display  # noqa: PLC0415 - see the package

    return display.table(Console())


def _say_nothing(_: JobSnapshot | None) -> None:
    """Programs that read JSON get the ends only."""


def _tell_starts(session: Session, jobs: Sequence[Job], languages: Sequence[str]) -> int:
    for job, language in zip(jobs, languages, strict=False):
        record = {"id": job.id, "status": job.status(), "output_language": language}
        session.output.show(record, f"{job.id}  {language}  {job.status()}")
    return exits.COMPLETED


def _code(jobs: Iterable[JobSnapshot | None]) -> int:
    failed = any(job is not None and job.status == "failed" for job in jobs)
    return exits.FAILED if failed else exits.COMPLETED
