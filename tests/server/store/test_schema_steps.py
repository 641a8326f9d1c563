"""The steps of both engines' schemas are numbered 1, 2, 3, ...: none is left out, and no number is given twice."""

from importlib import resources

import pytest

from video_translation_server.store import postgres, sqlite


@pytest.mark.parametrize("engine", [sqlite, postgres])
def test_steps_are_numbered_without_gaps_or_repeats(engine: object) -> None:
    folder = resources.files(engine) / "schema"  # type: ignore[arg-type]
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert [name.partition("_")[0] for name in names] == [f"{number:03}" for number in range(1, len(names) + 1)]
