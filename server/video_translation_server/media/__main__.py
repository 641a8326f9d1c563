"""The child process of `studio`: does one thing, says what came of it as JSON, and ends.

Limits are set before anything is read, so that a hostile file costs this process at most.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from video_translation_server.media.recipe import Recipe
from video_translation_server.media.tasks import Task, Verb

MEMORY = 1024 * 1024 * 1024
"""Bytes of address space; what a look at a file may take."""


def main() -> int:
    """Do what stdin says."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    _limit(task)
    sys.stdout.buffer.write(msgspec.json.encode(_VERBS[task.verb](task)))
    return 0


def _limit(task: Task) -> None:
    try:
        import resource  # noqa: PLC0415  (there is none on Windows)
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (task.cpu_seconds, task.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if task.verb == "look":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _look(task: Task) -> object:
    from video_translation_server.media.footage import look  # noqa: PLC0415  (after the limits)

    return look(task.path)


def _video(task: Task) -> object:
    from video_translation_server.media.film import write_video  # noqa: PLC0415  (only where it is needed)

    _write(write_video, task)
    return None


def _audio(task: Task) -> object:
    from video_translation_server.media.film import write_audio  # noqa: PLC0415  (only where it is needed)

    _write(write_audio, task)
    return None


def _write(write: Callable[[Recipe, Path], None], task: Task) -> None:
    assert task.recipe is not None  # noqa: S101  (whoever wants a film gives a recipe)
    write(task.recipe, Path(task.path))


_VERBS: dict[Verb, Callable[[Task], object]] = {"look": _look, "video": _video, "audio": _audio}


if __name__ == "__main__":
    sys.exit(main())
