"""`serve`, with one option and one environment variable per setting (decision 0015); `start` has the same options.

The options are made from `Settings`, and only when a command that has them runs: `--help` of all others does not wait
for pydantic.
"""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, Any, Final

import click

from video_translation_server.cli.exits import USAGE, Refusal

if TYPE_CHECKING:
    from video_translation_server.settings import Settings

_MISSION: Final = {"translation_time": "TRANSLATION_TIME", "error_rate": "ERROR_RATE"}
"""Variables without our prefix, for the settings that the mission names so."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"VTS_{name.upper()}"


class SettingsCommand(click.Command):
    """A command with an option per setting."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The settings' options, then the command's own."""
        return [*_options(), *super().get_params(ctx)]


@click.command(cls=SettingsCommand)
def serve(**given: str | None) -> None:
    """Serve the API and simulate translations until Ctrl-C.

    The first line on stdout says where, the log goes to stderr. Exits with 2 where the settings cannot work.
    """
    settings = read(given)
    gc.disable()  # what is loaded lasts: to look for garbage among it takes a tenth of the start
    import asyncio  # noqa: PLC0415 - see the module

    from video_translation_server import logs  # noqa: PLC0415  (a bad flag is told without loading the server)
    from video_translation_server.errors import InvalidError, StoreError  # noqa: PLC0415  (as above)
    from video_translation_server.serve import bind  # noqa: PLC0415  (as above)
    from video_translation_server.serve import serve as run  # noqa: PLC0415  (as above)

    gc.freeze()
    gc.enable()
    try:
        logs.configure(level=settings.log_level, form=settings.log_format, file=settings.log_file)
        listening = bind(settings)
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        message = f"{about}{error.strerror or error}; choose another with --port, --host or --log-file"
        raise Refusal(message, code=USAGE) from error
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings, listening))
    except (StoreError, InvalidError) as error:
        raise Refusal(str(error), code=USAGE) from error
    finally:
        listening.close()


def read(given: dict[str, str | None]) -> Settings:
    """The settings that were given as text; pydantic reads them, so that an error names the field.

    Raises:
        Refusal: Some cannot work; a line for each.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - see the module

    from video_translation_server.settings import Settings  # noqa: PLC0415 - see the module

    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        message = "\n".join(_describe(problem) for problem in error.errors())
        raise Refusal(message, code=USAGE, reason="usage") from None


def _loop_factory() -> Any:
    try:
        import uvloop  # noqa: PLC0415  (not on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


def _describe(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(message)
    name = str(problem["loc"][0])
    return f"{name} (--{name.replace('_', '-')}): {message}, got {problem['input']!r}"


@functools.cache
def _options() -> tuple[click.Option, ...]:
    """Made once: click compares options by identity. All are text."""
    from pydantic_core import PydanticUndefined  # noqa: PLC0415 - see the module

    from video_translation_server.settings import Settings  # noqa: PLC0415 - see the module

    return tuple(
        click.Option(
            ["--" + name.replace("_", "-")],
            envvar=[variable(name), *filter(None, [_MISSION.get(name)])],
            show_envvar=True,
            help=f"{field.description}{'' if field.default is PydanticUndefined else _default_text(field.default)}",
        )
        for name, field in Settings.model_fields.items()
    )


def _default_text(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(f"{part:g}" for part in dict.fromkeys(value))
    return f" Default: {str(value).lower() if isinstance(value, bool) else value}."
