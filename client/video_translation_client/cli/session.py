"""What every command shares: the options on the server and the output, and the client made from them.

What a command does with the client, and what it prints, is its own business.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from video_translation_client.cli.output import Output

if TYPE_CHECKING:
    from video_translation_client import VideoTranslationClient

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Session:
    """The shared options as given; None where the client's own default (or its environment variable) counts."""

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float | None = None
    request_timeout: float | None = None
    json: bool = False
    verbose: int = 0

    @property
    def output(self) -> Output:
        """Where the answers go."""
        return Output(as_json=self.json)

    def client(self, **options: Any) -> VideoTranslationClient:
        """Make a client; the command closes it."""
        from video_translation_client._client import VideoTranslationClient  # noqa: PLC0415 - see the package

        _log_to_stderr(self.verbose)
        if self.request_timeout is not None:
            options["timeout"] = self.request_timeout
        return VideoTranslationClient(self.base_url, api_key=self.api_key, **options)


_SECONDS = click.FloatRange(min=0, min_open=True)


class SharedOption(click.Option):
    """An option whose value goes into the session instead of into the command's arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, expose_value=False, callback=_keep, **options)


def shared_options(command: F) -> F:
    """Add the shared options: they may stand before the command's name or behind it."""
    option = functools.partial(click.option, cls=SharedOption)
    options = (
        option("--base-url", metavar="URL", help="The service. [VIDEO_TRANSLATION_BASE_URL, HEYGEN_API_BASE]"),
        option("--api-key", metavar="KEY", help="Its key. [VIDEO_TRANSLATION_API_KEY, HEYGEN_API_KEY]"),
        option("--timeout", type=_SECONDS, metavar="SECONDS", help="Wait no longer for jobs; then exit with 3."),
        option("--request-timeout", type=_SECONDS, metavar="SECONDS", help="For a single request. Default: 10."),
        option("--json", is_flag=True, default=None, help="One JSON object per line on stdout."),
        option("-v", "--verbose", count=True, default=None, help="Log to stderr; -vv logs more."),
    )
    for add in reversed(options):
        command = add(command)
    return command


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value and parameter.name:
        setattr(context.ensure_object(Session), parameter.name, value)
    return value


def _log_to_stderr(verbose: int) -> None:
    if verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", force=True)
