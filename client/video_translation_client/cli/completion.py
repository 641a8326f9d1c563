"""The command `completion`: prints what makes a shell complete this program's commands and options.

The scripts are click's own; installing them is left to the user, in one line that the help shows.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from video_translation_client.cli import exits

PROGRAM = "video-translation"
"""The name that the completion is installed for."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    r"""Print the completion script for SHELL.

    \b
    bash:  echo 'eval "$(video-translation completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(video-translation completion zsh)"' >> ~/.zshrc
    fish:  video-translation completion fish > ~/.config/fish/completions/video-translation.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(made(context.find_root().command, {}, PROGRAM, VARIABLE).source())
    return exits.COMPLETED


VARIABLE = "_VIDEO_TRANSLATION_COMPLETE"
"""The environment variable by which the script asks this program for completions."""
