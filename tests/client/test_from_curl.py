"""docs/guides/from-curl.md tells of nothing that is not there: paths, calls and commands are looked up."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from video_translation_client import VideoTranslationClient
from video_translation_client.cli.program import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guides" / "from-curl.md").read_text("utf-8")
ROWS = [
    [column.strip().strip("`") for column in line.strip("| ").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| curl")
]
PLACEHOLDERS: dict[str, Any] = {"print": print, "Path('talk.mp4')": Path("talk.mp4")}
CURLS = [row[0] for row in ROWS if row[0].startswith("curl ")]
REAL = set(json.loads((ROOT / "contract" / "heygen_v3.json").read_text("utf-8"))["operations"])
OURS = {
    f"{method.upper()} {path}"
    for path, methods in json.loads((ROOT / "contract" / "openapi.json").read_text("utf-8"))["paths"].items()
    for method in methods
}


def test_the_tables_are_read() -> None:
    assert len(ROWS) >= 20
    assert all(len(row) == 3 for row in ROWS)


def operation_of(curl: str) -> str:
    words = shlex.split(curl)
    url = next(word for word in words if "$V3" in word or word.startswith("http://localhost"))
    path = url.replace("$V3", "/v3").removeprefix("http://localhost:8000").partition("?")[0]
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
    return f"{method} " + re.sub(r"\$[A-Z]+", "{}", path)


def shapes(operations: set[str]) -> set[str]:
    return {re.sub(r"\{\w+\}", "{}", operation) for operation in operations}


@pytest.mark.parametrize("curl", CURLS)
def test_the_request_is_one_of_the_services(curl: str) -> None:
    assert operation_of(curl) in shapes(REAL | OURS)


def test_each_of_the_real_services_operations_is_told_of_once() -> None:
    without = shapes(set(re.findall(r"`([A-Z]+ /v3/\S+)`", PAGE)))
    told = {operation_of(curl) for curl in CURLS}
    assert without | (told & shapes(REAL)) == shapes(REAL)
    assert not without & told


@pytest.mark.parametrize("call", [row[1] for row in ROWS])
def test_the_call_exists_and_takes_these_arguments(call: str) -> None:
    client = VideoTranslationClient("http://localhost:1")
    names = {"client": client, "VideoTranslationClient": VideoTranslationClient, "Path": Path}
    for node in ast.walk(ast.parse(call, mode="eval")):
        if isinstance(node, ast.Call) and "result" not in ast.unparse(node.func):
            function = eval(ast.unparse(node.func), names)  # noqa: S307 - it is our own page
            arguments = [PLACEHOLDERS.get(ast.unparse(value)) or ast.literal_eval(value) for value in node.args]
            named: dict[str, Any] = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
            inspect.signature(function).bind(*arguments, **named)
    client.close()


@pytest.mark.parametrize("line", [row[2] for row in ROWS])
def test_the_command_exists_and_takes_these_words(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("body.json", "headers.txt", "batch.json"):
        (tmp_path / name).write_text("")
    program, *words = shlex.split(line)
    assert program == "video-translation"
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(line, words).close()
