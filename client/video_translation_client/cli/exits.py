"""The exit codes, and which of the client's errors ends the program with which.

It only translates; printing and leaving is click's work.
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
TERMINATED: Final = 143

_REFUSED_AS_USAGE: Final = (400, 415, 422)


class Refusal(click.ClickException):
    """An expected error: one line on stderr (a JSON object with `--json`), and an exit code.

    Args:
        message: names the thing and the next step.
        code: the exit code.
        reason: a word for programs.
        as_json: whether to print an object.
        details: further fields of that object.
    """

    def __init__(self, message: str, *, code: int, reason: str, as_json: bool = False, **details: Any) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.as_json = as_json
        self.record = {"error": {"reason": reason, "message": message, **details}, "exit_code": code}

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on stderr."""
        if self.as_json:
            click.echo(json.dumps(self.record), file=file, err=file is None)
        else:
            super().show(file)


def refusal_of(error: Exception, *, as_json: bool) -> Refusal | None:
    """Return what an exception means for whoever typed the command; None for one that nobody expects."""
    if isinstance(error, click.ClickException):
        usage = as_json and isinstance(error, click.UsageError)
        return Refusal(error.format_message(), code=USAGE, reason="usage", as_json=True) if usage else None

    from video_translation_client._errors import (  # noqa: PLC0415 - only a command that failed pays for it
        APIError,
        DownloadError,
        JobFailedError,
        ServerUnreachableError,
        VideoTranslationError,
        WaitTimeoutError,
        WebhookVerificationError,
    )

    if isinstance(error, APIError):
        code = USAGE if error.status in _REFUSED_AS_USAGE else FAILED
        details = {"status": error.status, "param": error.param, "request_id": error.request_id}
        return Refusal(str(error), code=code, reason=error.code or "api_error", as_json=as_json, **details)
    if isinstance(error, WebhookVerificationError):
        return Refusal(str(error), code=FAILED, reason=error.reason, as_json=as_json)
    known: tuple[tuple[type[Exception], int, str], ...] = (
        (ServerUnreachableError, UNREACHABLE, "server_unreachable"),
        (WaitTimeoutError, TIMEOUT, "timeout"),
        (JobFailedError, FAILED, "job_failed"),
        (DownloadError, FAILED, "download_failed"),
        (VideoTranslationError, FAILED, "error"),
        (ValueError, USAGE, "invalid_argument"),
        (OSError, FAILED, "system_error"),
    )
    for kind, code, reason in known:
        if isinstance(error, kind):
            return Refusal(str(error), code=code, reason=reason, as_json=as_json)
    return None
