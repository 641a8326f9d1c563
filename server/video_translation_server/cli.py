"""The command line: `serve`, with one flag and one environment variable per setting; `keys` and `workspaces`.

The flags are made from `Settings`, so that a setting is written down once.
"""

import asyncio
import inspect
import sys
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from video_translation_server import __version__, administration
from video_translation_server.errors import InvalidError, StoreError
from video_translation_server.settings import Settings

MISSION_VARIABLES = {"translation_time": "TRANSLATION_TIME", "error_rate": "ERROR_RATE"}
"""Names without our prefix, for the settings that the mission names so."""

USAGE = 2
"""Exit code for settings that cannot work."""

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
cli.add_typer(administration.keys, name="keys")
cli.add_typer(administration.workspaces, name="workspaces")


@cli.callback()
def root() -> None:
    """HeyGen-v3-compatible video translation for your own machine."""


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def serve(**given: str | None) -> None:
    """Serve the API and simulate translations until Ctrl-C."""
    try:
        settings = Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        _fail("\n".join(_describe(problem) for problem in error.errors()))
    from video_translation_server import logs  # noqa: PLC0415  (a bad flag is told without loading the server)
    from video_translation_server.serve import bind  # noqa: PLC0415
    from video_translation_server.serve import serve as run  # noqa: PLC0415

    try:
        logs.configure(level=settings.log_level, form=settings.log_format, file=settings.log_file)
        listening = bind(settings)
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        _fail(f"{about}{error.strerror or error}; choose another with --port, --host or --log-file")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings, listening))
    except (StoreError, InvalidError) as error:
        _fail(str(error))
    finally:
        listening.close()


def _loop_factory() -> Any:
    try:
        import uvloop  # noqa: PLC0415  (not on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


def _describe(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return f"error: {message}"
    name = str(problem["loc"][0])
    return f"error: {name} (--{name.replace('_', '-')}): {message}, got {problem['input']!r}"


def _fail(message: str) -> NoReturn:
    text = message if message.startswith("error:") else f"error: {message}"
    typer.echo(text, err=True)
    sys.exit(USAGE)


def _options() -> inspect.Signature:
    """One optional text parameter per setting; pydantic does the reading, so that errors name the field."""
    parameters = []
    for name, field in Settings.model_fields.items():
        variables = [f"VTS_{name.upper()}", *filter(None, [MISSION_VARIABLES.get(name)])]
        default = "" if field.default is PydanticUndefined else _default_text(field.default)
        option = typer.Option(
            None,
            "--" + name.replace("_", "-"),
            envvar=variables,
            help=f"{field.description}{default}",
            show_default=False,
        )
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=str | None)
        )
    return inspect.Signature(parameters)


def _default_text(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(f"{part:g}" for part in dict.fromkeys(value))
    return f" Default: {str(value).lower() if isinstance(value, bool) else value}."


serve.__signature__ = _options()  # type: ignore[attr-defined]
serve.__annotations__ = {name: parameter.annotation for name, parameter in _options().parameters.items()}
cli.command()(serve)


def main() -> None:
    """The entry point of `video-translation-server` and `python -m video_translation_server`."""
    cli()
