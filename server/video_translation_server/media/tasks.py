"""What a child process is told and what it answers, as JSON; both sides of `studio` read this.

What it does with it is in `__main__`.
"""

from typing import Literal

import msgspec

from video_translation_server.media.recipe import Recipe

Verb = Literal["look", "video", "audio"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do: look at the file at `path`, or write a recipe's video or audio there.

    Attributes:
        cpu_seconds: What it may take of a processor; the system ends who takes more.
    """

    verb: Verb
    path: str
    cpu_seconds: int
    recipe: Recipe | None = None


class Footage(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file that plays.

    Attributes:
        seconds: How long it plays, more than 0.
        media_type: What it is by its container and what is in it.
    """

    seconds: float
    media_type: str
