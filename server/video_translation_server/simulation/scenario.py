"""A scenario: which script a job gets, by what is known of it; written as a TOML file for `serve --scenario`.

What a rule's script or a request leaves open is decided by the scenario's defaults, then by settings and chance.
"""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from video_translation_server.errors import InvalidError
from video_translation_server.model import Subject
from video_translation_server.wire.scripts import FAILURES, Script
from video_translation_server.wire.strict import Strict

PRESET = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
"""What a preset may be called: a text with a space in it is never one."""


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


class When(Strict):
    """Which jobs a rule is for; all that is said must fit. Texts are patterns with `*`, `?` and `[...]`."""

    title: str | None = None
    language: str | None = None
    url: str | None = None
    number: Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(_several)] | None = None

    def fits(self, subject: Subject, number: int) -> bool:
        """True where the rule is for this job, the `number`-th since the server's start."""
        texts = ((self.title, subject.title), (self.language, subject.language), (self.url, subject.url))
        return (self.number is None or number in self.number) and all(
            pattern is None or fnmatchcase(text or "", pattern) for pattern, text in texts
        )


def _no_id(script: Script) -> Script:
    if script.id is not None:
        raise ValueError("id names one job, and a rule is for any number; give it in the request")
    return script


class Rule(Strict):
    """A script, and the jobs that it is for."""

    when: When = When()
    script: Script

    _no_id = field_validator("script")(_no_id)


class Scenario(Strict):
    """Rules, of which the first that fits counts, what goes for every job, and texts of failures by name."""

    defaults: Script = Script()
    messages: dict[Annotated[str, Field(pattern=PRESET)], Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        {}
    )
    rule: list[Rule] = Field([])

    _no_id = field_validator("defaults")(_no_id)

    def failure_text(self, message: str) -> str:
        """The text of a preset, the scenario's own or ours, or the message itself where it names none."""
        return self.messages.get(message) or FAILURES.get(message, message)

    def script(self, subject: Subject, number: int) -> Script:
        """What this job, the `number`-th since the server's start, gets where its request says nothing."""
        for rule in self.rule:
            if rule.when.fits(subject, number):
                return rule.script.over(self.defaults)
        return self.defaults


def load(path: Path) -> Scenario:
    """The scenario in a TOML file.

    Raises:
        InvalidError: It cannot be read, or something in it does not fit; the message names the place.
    """
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidError(f"{path}: {error.strerror}; give another --scenario") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: this is no TOML: {error}") from error
    except ValidationError as error:
        problems = [
            f"{path}: {_place(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
        ]
        raise InvalidError("\n".join(problems)) from error


def _place(parts: Sequence[str | int]) -> str:
    """`rule 2, script.outcome`: rules are counted as a reader of the file does."""
    if len(parts) > 1 and isinstance(parts[1], int):
        inner = ".".join(map(str, parts[2:]))
        return f"{parts[0]} {parts[1] + 1}" + (f", {inner}" if inner else "")
    return ".".join(map(str, parts))
