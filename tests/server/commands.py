"""The commands of `video-translation-server`, run in this process; `process` has those that need one of their own."""

import json
from typing import Any

from click.testing import CliRunner, Result

from video_translation_server.cli.program import cli


def invoked(*words: str, answer: str | None = None, **variables: str) -> Result:
    """A command, with these variables beside those that are set; an empty one unsets. `answer` is what is typed."""
    return CliRunner().invoke(cli, list(words), input=answer, env=variables)


def told(*words: str, code: int = 0, **variables: str) -> Any:
    """The one document that a command prints with `--json`; nothing else is on stdout or stderr."""
    result = invoked(*words, "--json", **variables)
    assert result.exit_code == code, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def refusal(*words: str, code: int, **variables: str) -> dict[str, Any]:
    """The error that a command prints on stderr with `--json`; nothing is on stdout."""
    result = invoked(*words, "--json", **variables)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    document: dict[str, Any] = json.loads(result.stderr)
    assert document["exit_code"] == code
    error: dict[str, Any] = document["error"]
    return error
