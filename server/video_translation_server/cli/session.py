"""What the commands share: the options on the server and the output, and the API called as they say.

What a command calls, and what it prints, is its own business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from video_translation_server.cli.output import Output
from video_translation_server.cli.pidfile import PidFile

if TYPE_CHECKING:
    from video_translation_server.cli.calls import Api

F = TypeVar("F", bound=Callable[..., Any])

LOCAL: Final = "http://127.0.0.1:8000"
PID_FILE: Final = "video-translation.pid"


@dataclass(slots=True)
class Session:
    """The shared options as given."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    workspace: str | None = None
    pid_file: Path | None = None
    json: bool = False

    @property
    def output(self) -> Output:
        """Where the answers go."""
        return Output(as_json=self.json)

    @property
    def instance(self) -> PidFile:
        """The pid file of the server that `start` has started, or will."""
        return PidFile(self.pid_file or Path(PID_FILE))

    @property
    def api(self) -> Api:
        """The API of the server that the options name, else of the one that the pid file knows, else the local one."""
        from video_translation_server.cli.calls import Api  # noqa: PLC0415 - see the package

        url = self.url
        if url is None:
            running = self.instance.running()
            url = (running and running.url) or LOCAL
        return Api(url, self.key, self.admin_key, self.workspace)


class SharedOption(click.Option):
    """An option whose value goes into the session instead of into the command's arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, expose_value=False, callback=_keep, **options)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None and parameter.name:
        setattr(context.ensure_object(Session), parameter.name, value)
    return value


_option = functools.partial(click.option, cls=SharedOption)
# Eager, so that what is wrong with another option is told in JSON already.
_json = _option(
    "--json", is_flag=True, is_eager=True, default=None, help="One JSON document on stdout, and nothing else."
)
_pid_file = _option(
    "--pid-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="VTS_PID_FILE",
    help=f"Of the server in the background. Default: {PID_FILE}. [VTS_PID_FILE]",
)
_api = (
    _option(
        "--url",
        envvar=["VTS_URL", "VIDEO_TRANSLATION_BASE_URL"],
        help="Of the server. Default: that of the pid file, else the local one. [VTS_URL, VIDEO_TRANSLATION_BASE_URL]",
    ),
    _option(
        "--key",
        envvar=["VTS_API_KEY", "VIDEO_TRANSLATION_API_KEY"],
        help="Key of a workspace, to act in that one. [VTS_API_KEY, VIDEO_TRANSLATION_API_KEY]",
    ),
    _option("--admin-key", envvar="VTS_ADMIN_KEY", help="The admin key, where there is one. [VTS_ADMIN_KEY]"),
)
_workspace = _option("--workspace", metavar="ID", help="Act in this workspace, by the admin key where there is one.")


def _with(command: F, *options: Callable[[F], F]) -> F:
    for add in reversed(options):
        command = add(command)
    return command


def instance_options(command: F) -> F:
    """Add the options of commands on the process in the background."""
    return _with(command, _pid_file, _json)


def server_options(command: F) -> F:
    """Add the options of commands on the server as a whole."""
    return _with(command, *_api, _pid_file, _json)


def workspace_options(command: F) -> F:
    """Add the options of commands that act in a workspace."""
    return _with(command, _workspace, *_api, _pid_file, _json)
