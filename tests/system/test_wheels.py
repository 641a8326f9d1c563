"""What `make example-test` says of a wheel that lacks something."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.system.wheels import ROOT, main, missing

SERVER = ROOT / "server" / "video_translation_server"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's wheel, as a release has it."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=SERVER.parent, check=True, capture_output=True, timeout=50)
    [built] = folder.glob("*.whl")
    return built


def without(wheel: Path, folder: Path, part: str) -> Path:
    """A copy of a wheel, but for the files with `part` in their name."""
    copy = folder / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(copy, "w") as less:
        for name in whole.namelist():
            if part not in name:
                less.writestr(name, whole.read(name))
    return copy


def test_a_wheel_has_everything(wheel: Path) -> None:
    assert missing(wheel, SERVER) == set()


@pytest.mark.parametrize(
    ("part", "gap"),
    [
        ("py.typed", "video_translation_server/py.typed"),
        ("001_initial.sql", "video_translation_server/store/sqlite/schema/001_initial.sql"),
        ("entry_points", "entry point video-translation-server"),
    ],
)
def test_what_a_wheel_lacks_is_named(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, gap: str
) -> None:
    less = without(wheel, tmp_path, part)
    assert gap in missing(less, SERVER)
    assert main([less]) == 1
    said = capsys.readouterr().err
    assert f"{wheel.name}: {gap} is missing" in said
    assert "video_translation_client: there is no such wheel" in said
