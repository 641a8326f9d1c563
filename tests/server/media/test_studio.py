"""The child processes: one that crashes, hangs or grows is an answer like any other, and takes nothing along."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.server.footage import clip
from tests.server.media.test_captions import recipe
from tests.waiting import eventually
from video_translation_server.errors import BusyError, MediaError
from video_translation_server.media import studio
from video_translation_server.media.studio import Studio
from video_translation_server.media.tasks import Footage


async def test_it_looks_and_writes(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(clip(2.5))
    (tmp_path / "noise").write_bytes(b"noise")
    made = Studio()
    assert await made.look(tmp_path / "film") == Footage(seconds=2.5, media_type="video/mp4")
    assert await made.look(tmp_path / "noise") is None
    assert await made.look(tmp_path / "missing") is None
    await made.write_audio(recipe(1), tmp_path / "sound.m4a")
    assert (tmp_path / "sound.m4a").stat().st_size > 0
    made.close()


async def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    made = Studio()
    with pytest.raises(MediaError, match="No such file or directory"):
        await made.write_video(recipe(1), tmp_path / "none" / "film.mp4")
    made.close()


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A program of the test's own in the place of the child; what the file says is what it does."""
    program = tmp_path / "child"
    monkeypatch.setattr(studio, "COMMAND", (sys.executable, str(program)))
    return program


def runs(child: Path, code: str) -> None:
    child.write_text(code)


def started(folder: Path) -> int:
    return len(list(folder.glob("run-*")))


@pytest.mark.parametrize(
    "crash", ["import os; os.abort()", "raise SystemExit(3)", "print('no json')", "import os; os.kill(os.getpid(), 9)"]
)
async def test_a_crash_is_a_file_that_cannot_be_read(tmp_path: Path, child: Path, crash: str) -> None:
    runs(child, crash)
    made = Studio()
    assert await made.look(tmp_path / "film") is None
    made.close()


async def test_one_that_hangs_is_ended_at_its_deadline(tmp_path: Path, child: Path) -> None:
    runs(child, f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    made = Studio(look_within=2)
    assert await made.look(tmp_path / "film") is None
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    made.close()


async def test_the_servers_end_is_theirs(tmp_path: Path, child: Path) -> None:
    runs(child, f"import time; open({str(tmp_path / 'up')!r}, 'w').close(); time.sleep(600)")
    made = Studio()
    looking = asyncio.create_task(made.write_video(recipe(1), tmp_path / "film"))
    await eventually((tmp_path / "up").exists)
    made.close()
    with pytest.raises(MediaError, match=f"ended with -{signal.SIGKILL:d}"):
        await looking
    with pytest.raises(MediaError, match="stopping"):
        await made.write_video(recipe(1), tmp_path / "film")


async def test_no_secret_reaches_them(tmp_path: Path, child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTS_ADMIN_KEY", "secret")
    runs(child, f"import os; open({str(tmp_path / 'seen')!r}, 'w').write(str(dict(os.environ)))")
    made = Studio()
    assert await made.look(tmp_path / "film") is None
    assert "secret" not in (tmp_path / "seen").read_text()
    made.close()


async def test_few_run_at_once_and_not_many_wait(tmp_path: Path, child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "MOST_WAITING", 3)
    runs(
        child,
        f"import os, time; open(os.path.join({str(tmp_path)!r}, 'run-' + str(os.getpid())), 'w').close()\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)\n"
        "print('null')",
    )
    made = Studio()
    looks = [asyncio.create_task(made.look(tmp_path / "film")) for _ in range(3)]
    await eventually(lambda: started(tmp_path) == studio.CHILDREN)
    with pytest.raises(BusyError):
        await made.look(tmp_path / "film")
    assert started(tmp_path) == studio.CHILDREN
    (tmp_path / "go").touch()
    assert await asyncio.gather(*looks) == [None, None, None]
    assert started(tmp_path) == 3
    made.close()
