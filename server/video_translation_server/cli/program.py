"""The command `video-translation-server`: puts the commands together and turns every end into an exit code.

What the commands do is in the modules beside this one, by noun.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NoReturn

import click

from video_translation_server import __version__
from video_translation_server.cli import background, exits, jobs, keys, migration, server, serving, webhooks, workspaces
from video_translation_server.cli.session import Session

PROGRAM: Final = "video-translation-server"


class Program(click.Group):
    """A group whose commands return their exit code, and whose expected errors are short."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; leave with its code."""
        session = ctx.ensure_object(Session)
        try:
            code = super().invoke(ctx)
        except KeyboardInterrupt:
            code = exits.INTERRUPTED
        except BrokenPipeError:
            code = exits.BROKEN_PIPE
        except click.ClickException as error:
            raise exits.refusal_of(error, as_json=session.json) from error
        ctx.exit(code if isinstance(code, int) else exits.COMPLETED)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """HeyGen-v3-compatible video translation for your own machine.

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 a --timeout ran out, 4 no server answers, 130 Ctrl-C.
    """


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


for command in (
    *(serving.serve, background.start, background.stop, migration.migrate, server.status, server.reset),
    *(workspaces.workspaces, keys.keys, jobs.jobs, webhooks.endpoints, webhooks.deliveries),
):
    cli.add_command(command)


def main() -> NoReturn:
    """The entry point of `video-translation-server` and `python -m video_translation_server`."""
    try:
        cli(prog_name=PROGRAM)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    finally:
        _flush()
    sys.exit(exits.COMPLETED)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
