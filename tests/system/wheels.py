"""Whether a built wheel has everything that its distribution's folder has; `make example-test` asks.

A file that is missing (a schema, `py.typed`) would be missed by users only, since the sources are complete.
"""

# ruff: noqa: T201  (a script whose output is its purpose)

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTRY_POINTS = {
    "video_translation_client": {"video-translation", "video-translation-client"},
    "video_translation_server": {"video-translation-server"},
}
"""The commands and pytest plugins that each package brings, by name."""


def missing(wheel: Path, folder: Path) -> set[str]:
    """What is in the package `folder` and not in the wheel; and entry points that it does not name.

    Raises:
        zipfile.BadZipFile: It is no wheel.
    """
    wanted = {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        points = next((archive.read(name).decode() for name in names if name.endswith("/entry_points.txt")), "")
    named = {line.partition("=")[0].strip() for line in points.splitlines() if "=" in line}
    sections = {"[console_scripts]", "[pytest11]"} - set(points.splitlines())
    return (wanted - names) | {f"entry point {name}" for name in ENTRY_POINTS[folder.name] - named} | sections


def main(wheels: list[Path]) -> int:
    """Compare each wheel with the package that it is named after; 1 where anything is missing."""
    found = {wheel.name.partition("-")[0]: wheel for wheel in wheels}
    gaps = [f"{name}: there is no such wheel" for name in sorted(ENTRY_POINTS.keys() - found.keys())]
    for name, wheel in sorted(found.items()):
        folder = ROOT / name.removeprefix("video_translation_") / name
        gaps += [f"{wheel.name}: {gap} is missing" for gap in sorted(missing(wheel, folder))]
    print("\n".join(gaps), file=sys.stderr, end="\n" if gaps else "")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
