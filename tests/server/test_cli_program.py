"""The command as a whole: its help, what loading it costs, how it tells wrong usage."""

import json
import subprocess
import sys

import pytest

from tests.server.commands import invoked
from video_translation_server import __version__
from video_translation_server.cli.program import cli
from video_translation_server.cli.serving import variable
from video_translation_server.settings import Settings

HEAVY = {"aiohttp", "apsw", "asyncio", "fastapi", "http.client", "msgspec", "pydantic", "structlog", "uvicorn"}


def test_help_and_version_load_neither_the_server_nor_its_settings() -> None:
    code = (
        "import sys\n"
        "from video_translation_server.cli.program import cli\n"
        "cli(['jobs', 'create', '--help'] if len(sys.argv) > 1 else ['--help'], standalone_mode=False)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    for words in ([], ["jobs"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stderr == "[]\n"
        assert "Usage:" in done.stdout


def test_version_is_printed() -> None:
    assert invoked("version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", ["serve", "start"])
def test_every_setting_is_an_option_with_its_variable(command: str) -> None:
    text = invoked(command, "--help", COLUMNS="200").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in text
        assert variable(name) in text
    assert "TRANSLATION_TIME" in text


def test_every_command_has_help_and_an_error_for_what_it_does_not_know() -> None:
    def walk(words: list[str], command: object) -> list[list[str]]:
        inner: dict[str, object] = getattr(command, "commands", {})
        return [words] if not inner else [found for name, one in inner.items() for found in walk([*words, name], one)]

    commands = walk([], cli)
    assert len(commands) >= 20
    for words in commands:
        assert invoked(*words, "--help").exit_code == 0
        unknown = invoked(*words, "--colour")
        assert (unknown.exit_code, unknown.stdout) == (2, "")
        assert "--colour" in unknown.stderr


def test_wrong_usage_is_one_json_object_where_json_is_asked_for() -> None:
    result = invoked("jobs", "list", "--json", "--limit", "none")
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"]["reason"] == "usage"


def test_a_setting_that_cannot_work_is_named_by_start_as_by_serve() -> None:
    for command in ("serve", "start"):
        result = invoked(command, "--port", "http", "--seed", "x")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: port (--port): ")
        assert "\nerror: seed (--seed): " in result.stderr
