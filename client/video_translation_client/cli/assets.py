"""The commands on files and on whoever sends them: `upload`, `whoami`.

What becomes of an uploaded file is up to `submit`, which also uploads by itself.
"""

from __future__ import annotations

from pathlib import Path

import click

from video_translation_client.cli import exits
from video_translation_client.cli.records import plain_record
from video_translation_client.cli.session import Session, shared_options


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared_options
@click.pass_obj
def upload(session: Session, /, files: tuple[Path, ...]) -> int:
    """Upload FILES (32 MiB at most each), and print what `submit` takes for them: asset:ID."""
    with session.client() as client:
        for file in files:
            asset = client.assets.upload(file)
            record = {"file": str(file), **plain_record(asset)}
            session.output.show(record, f"asset:{asset.id}  {file}")
    return exits.COMPLETED


@click.command()
@shared_options
@click.pass_obj
def whoami(session: Session, /) -> int:
    """Show whose key it is."""
    with session.client() as client:
        session.output.show_fields(plain_record(client.me()))
    return exits.COMPLETED
