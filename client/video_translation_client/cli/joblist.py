"""The commands on jobs that are there already: `list`, `cancel`, `rename`, `delete`; and `languages`.

Starting and following jobs is in `jobs`.
"""

from __future__ import annotations

import itertools
from typing import Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.output import harmless
from video_translation_client.cli.records import JOB_COLUMNS, job_line, job_record
from video_translation_client.cli.session import Session, shared_options

_STATUSES: Final = ("pending", "running", "completed", "failed")


@click.command("list")
@click.option("--status", type=click.Choice(_STATUSES), help="Only jobs in this state.")
@click.option("--language", help="Only jobs into this language.")
@click.option("--title", help="Only jobs whose title contains this.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="How many at most. Default: 20.")
@click.option("--all", "everything", is_flag=True, help="As many as there are.")
@shared_options
@click.pass_obj
def list_jobs(
    session: Session,
    /,
    *,
    status: str | None,
    language: str | None,
    title: str | None,
    limit: int,
    everything: bool,
) -> int:
    """Show jobs, the newest first; further pages are read as they are needed."""
    with session.client() as client:
        wanted = (
            job
            for job in client.list_jobs(status)
            if language in (None, job.output_language) and (title is None or title in (job.title or ""))
        )
        found = [job_record(job) for job in itertools.islice(wanted, None if everything else limit)]
    session.output.show_all(found, JOB_COLUMNS)
    return exits.COMPLETED


@click.command()
@click.argument("ids", nargs=-1, required=True)
@shared_options
@click.pass_obj
def cancel(session: Session, /, ids: tuple[str, ...]) -> int:
    """Cancel jobs. One that has ended is refused, with exit code 1."""
    with session.client() as client:
        for job_id in dict.fromkeys(ids):
            job = client.cancel(job_id)
            session.output.show(job_record(job), job_line(job))
    return exits.COMPLETED


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("title")
@shared_options
@click.pass_obj
def rename(session: Session, /, job_id: str, title: str) -> int:
    """Give the job ID another TITLE."""
    with session.client() as client:
        job = client.rename_job(job_id, title)
    session.output.show(job_record(job), f"{job_line(job)}  {harmless(job.title or '')}")
    return exits.COMPLETED


@click.command()
@click.argument("ids", nargs=-1, required=True)
@shared_options
@click.pass_obj
def delete(session: Session, /, ids: tuple[str, ...]) -> int:
    """Delete jobs for good. One that has not ended is cancelled first."""
    with session.client() as client:
        for job_id in dict.fromkeys(ids):
            client.delete_job(job_id)
            session.output.show({"id": job_id, "deleted": True}, f"{job_id}  deleted")
    return exits.COMPLETED


@click.command()
@shared_options
@click.pass_obj
def languages(session: Session, /) -> int:
    """Show the names that --language takes."""
    with session.client() as client:
        for name in client.languages():
            session.output.show({"language": name}, name)
    return exits.COMPLETED
