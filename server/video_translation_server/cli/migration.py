"""`migrate`: brings a store's schema to the newest version before the servers of that version start.

Servers do the same when they start, one at a time; the command is for those who want it done beforehand.
"""

from __future__ import annotations

import click

from video_translation_server.cli.exits import USAGE, Refusal
from video_translation_server.cli.serving import variable


@click.command()
@click.option("--store", default="video-translation.db", envvar=variable("store"), show_envvar=True, help="Database.")
def migrate(store: str) -> None:
    """Bring a store's schema to the newest version.

    Forward only: keep a backup. Safe where several start at once; a file must not be in use by a server.
    """
    import asyncio  # noqa: PLC0415  (only when it is asked for)

    from video_translation_server.errors import StoreError  # noqa: PLC0415  (as above)
    from video_translation_server.store import migrate_store  # noqa: PLC0415  (as above)

    try:
        version = asyncio.run(migrate_store(store))
    except StoreError as error:
        raise Refusal(str(error), code=USAGE) from error
    click.echo(f"schema version {version}")
