"""What goes into the files of one job; the same recipe always makes the same bytes.

How it becomes a film is `film`'s business, how it becomes text `captions`'.
"""

import hashlib
from functools import cache
from importlib import metadata
from itertools import pairwise

import msgspec

EDITION = 1
"""Grows with every change to what is made of a recipe, so that no older file passes for a new one."""

CUE_SECONDS = 5.0
"""How long a caption stands."""


class Cue(msgspec.Struct, frozen=True):
    """One caption, from and to seconds from the beginning."""

    start: float
    end: float
    text: str


@cache
def _libraries() -> tuple[str, ...]:
    """Whose bytes they are: another version of an encoder or a font may make others."""
    return tuple(metadata.version(name) for name in ("av", "pillow"))


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The words on a job's film, and its length.

    Attributes:
        seconds: How long it plays, more than 0.
    """

    job_id: str
    title: str
    language: str
    seconds: float

    @property
    def digest(self) -> str:
        """What it is kept under: of different recipes, different ones."""
        return hashlib.sha256(msgspec.json.encode((EDITION, _libraries(), self))).hexdigest()[:32]

    def cues(self) -> list[Cue]:
        """Its captions, one after the other without a gap; the last one ends with the film."""
        count = max(1, round(self.seconds / CUE_SECONDS))
        edges = [round(self.seconds * index / count, 3) for index in range(count + 1)]
        name = f"{self.title} ({self.language})" if self.title else self.language
        return [
            Cue(start, end, f"{name}, {index} of {count}")
            for index, (start, end) in enumerate(pairwise(edges), start=1)
        ]
