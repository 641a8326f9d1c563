"""The exit codes, the same as those of `video-translation`, and the error that ends a command with one.

Printing and leaving is click's work.
"""

from __future__ import annotations

import json
from typing import IO, Any, Final

import click

COMPLETED: Final = 0
FAILED: Final = 1
USAGE: Final = 2
TIMEOUT: Final = 3
UNREACHABLE: Final = 4
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


class Refusal(click.ClickException):
    """An expected error: a line on stderr for each line of the message (one JSON object with `--json`), and a code.

    Args:
        message: Names the thing and the next step.
        code: The exit code.
        reason: A word for programs.
        details: Further fields of the JSON object.
    """

    def __init__(self, message: str, *, code: int = FAILED, reason: str = "error", **details: Any) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.as_json = False
        self.record = {"error": {"reason": reason, "message": message, **details}, "exit_code": code}

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on stderr."""
        text = "\n".join(f"error: {line}" for line in self.message.splitlines())
        click.echo(json.dumps(self.record) if self.as_json else text, file=file, err=file is None)


def refusal_of(error: click.ClickException, *, as_json: bool) -> click.ClickException:
    """The error as it is to be shown: with `--json` also click's own, which explain wrong usage to people otherwise."""
    if as_json and not isinstance(error, Refusal):
        error = Refusal(error.format_message(), code=USAGE, reason="usage")
    if isinstance(error, Refusal):
        error.as_json = as_json
    return error
