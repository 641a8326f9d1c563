"""The command `video-translation`: puts the commands together and turns every end into an exit code.

What the commands do is in the modules beside this one, by noun.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from video_translation_client.cli import (
    assets,
    batches,
    completion,
    deliveries,
    downloads,
    exits,
    joblist,
    jobs,
    listening,
    verification,
    webhooks,
)
from video_translation_client.cli.session import Session, shared_options


class Program(click.Group):
    """A group whose commands return their exit code, and whose expected errors are one line."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; leave with its code."""
        try:
            code = super().invoke(context)
        except KeyboardInterrupt:
            code = exits.INTERRUPTED
        except BrokenPipeError:
            code = exits.BROKEN_PIPE
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            refusal = exits.refusal_of(error, as_json=context.ensure_object(Session).json)
            if refusal is None:
                raise
            raise refusal from error
        context.exit(code if isinstance(code, int) else exits.COMPLETED)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="video-translation-client", prog_name=completion.PROGRAM)
@shared_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Translate videos: start jobs, follow them, and look after webhooks.

    Exit codes: 0 completed, 1 failed or refused, 2 wrong usage, 3 the --timeout ran out, 4 no answer from the service,
    130 Ctrl-C.
    """
    context.ensure_object(Session)


for command in (
    *(jobs.submit, jobs.watch, jobs.status, joblist.list_jobs, joblist.cancel, joblist.languages),
    *(joblist.rename, joblist.delete, batches.batches, assets.upload, assets.whoami),
    downloads.download,
    *(listening.listen, webhooks.webhooks, verification.verify, completion.completion),
):
    cli.add_command(command)
for command in (
    *(deliveries.events, deliveries.event_types),
    *(deliveries.deliveries, deliveries.delivery, deliveries.resend),
):
    webhooks.webhooks.add_command(command)


def main() -> NoReturn:
    """The entry point of `video-translation` and `python -m video_translation_client`."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        cli(prog_name=completion.PROGRAM, complete_var=completion.VARIABLE)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    finally:
        _flush()
    sys.exit(exits.COMPLETED)


def _leave(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(exits.TERMINATED)  # the `with` blocks end, so that nothing is left behind on the service


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
