"""The command `download`, and the option `--download` of the commands that wait for jobs.

How a file is brought is the client's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.records import job_line, job_record
from video_translation_client.cli.session import Session, shared_options

if TYPE_CHECKING:
    from video_translation_client import Job
    from video_translation_client._landing import FileKind

_KINDS: Final = ("video", "audio", "srt", "vtt")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
FOLDER = click.option(
    "--download",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Put each completed job's video there, named after its id; the folder is made where there is none.",
)


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--kind", type=click.Choice(_KINDS), default="video", help="Which of the job's files. Default: video.")
@OVERWRITE
@shared_options
@click.pass_obj
def download(session: Session, /, *, job_id: str, path: Path, kind: FileKind, overwrite: bool) -> int:
    """Download a file of the completed job ID to PATH: a file, or a folder (default: the current one).

    --timeout limits the download. For a job that goes on: `watch ID --download DIR`.
    """
    with session.client(mode="poll") as client:
        place = client.job(job_id).download(path, kind, overwrite=overwrite, timeout=session.timeout)
    record = {"id": job_id, "kind": kind, "file": str(place), "size": place.stat().st_size}
    session.output.show(record, str(place))
    return exits.COMPLETED


def make_folder(folder: Path | None) -> None:
    """Make the folder before anything is started, so that no job is for nothing."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)


def tell_ends(session: Session, jobs: Sequence[Job], folder: Path | None, *, overwrite: bool = False) -> int:
    """Print how jobs ended, each with its video in the folder, if there is one; return the exit code.

    Raises:
        Exception: why a video is not there: the first reason, once all the others were tried.
    """
    from video_translation_client._errors import VideoTranslationError  # noqa: PLC0415 - see the package

    code, trouble = exits.COMPLETED, None
    for job in jobs:
        end = job.snapshot
        if end is None:
            continue
        record, line = job_record(end), job_line(end)
        if end.status == "failed":
            code = exits.FAILED
        elif folder is not None:
            try:
                place = str(job.download(folder, overwrite=overwrite))
                record, line = record | {"file": place}, f"{line}  {place}"
            except (VideoTranslationError, OSError) as error:
                trouble = trouble or error
        session.output.show(record, line)
    if trouble is not None:
        raise trouble
    return code
