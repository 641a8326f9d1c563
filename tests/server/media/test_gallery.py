"""Made files: each made once, kept while it is used, and gone without a trace where it could not be made."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.server.media.test_captions import recipe
from video_translation_server.errors import MediaError
from video_translation_server.media.gallery import Gallery
from video_translation_server.media.recipe import Recipe
from video_translation_server.media.studio import Studio
from video_translation_server.wire.files import FileKind


class Sketches(Studio):
    """Writes a few bytes, and only when it may."""

    def __init__(self, content: bytes = b"film") -> None:
        super().__init__()
        self.written: list[str] = []
        self.has_begun, self.may_write = asyncio.Event(), asyncio.Event()
        self.may_write.set()
        self.content = content

    async def write_video(self, recipe: Recipe, path: Path) -> None:
        self.written.append(recipe.title)
        await asyncio.to_thread(path.write_bytes, self.content)
        self.has_begun.set()
        await self.may_write.wait()
        if not self.content:
            raise MediaError("no paper")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_second_one_finds_it(tmp_path: Path) -> None:
    studio = Sketches()
    gallery = Gallery(tmp_path / "films", studio)
    first = await gallery.file(recipe(1), FileKind.VIDEO)
    assert (await gallery.file(recipe(1), FileKind.VIDEO), first.read_bytes()) == (first, b"film")
    assert await gallery.file(recipe(1, "Other"), FileKind.VIDEO) != first
    assert studio.written == ["Keynote", "Other"]
    assert (tmp_path / "films").stat().st_mode & 0o077 == 0


async def test_all_who_come_meanwhile_get_the_same_one_also_where_the_first_leaves(tmp_path: Path) -> None:
    studio = Sketches()
    studio.may_write.clear()
    gallery = Gallery(tmp_path, studio)
    waiting = [asyncio.create_task(gallery.file(recipe(1), FileKind.VIDEO)) for _ in range(3)]
    await studio.has_begun.wait()
    waiting[0].cancel()
    studio.may_write.set()
    found = await asyncio.gather(*waiting[1:])
    assert found[0] == found[1]
    assert studio.written == ["Keynote"]
    assert names(tmp_path) == [found[0].name]


async def test_what_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    studio = Sketches(b"")
    gallery = Gallery(tmp_path, studio)
    with pytest.raises(MediaError, match="no paper"):
        await gallery.file(recipe(1), FileKind.VIDEO)
    assert names(tmp_path) == []
    studio.content = b"film"
    assert (await gallery.file(recipe(1), FileKind.VIDEO)).read_bytes() == b"film"


async def test_the_servers_end_leaves_nothing_half_made(tmp_path: Path) -> None:
    studio = Sketches()
    studio.may_write.clear()
    gallery = Gallery(tmp_path, studio)
    waiting = asyncio.create_task(gallery.file(recipe(1), FileKind.VIDEO))
    await studio.has_begun.wait()
    await gallery.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert names(tmp_path) == []


async def test_what_a_killed_server_left_goes_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "abc.part123.mp4").write_bytes(b"half")
    (tmp_path / "abc.mp4").write_bytes(b"whole")
    Gallery(tmp_path, Studio()).tidy()
    assert names(tmp_path) == ["abc.mp4"]
    Gallery(tmp_path / "none", Studio()).tidy()


async def test_the_unused_go_and_the_oldest_where_there_is_too_much(tmp_path: Path) -> None:
    for name, used_at in {"a.mp4": 100, "b.mp4": 200, "c.mp4": 300, "d.part1.mp4": 1}.items():
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (used_at, used_at))
    gallery = Gallery(tmp_path, Studio())
    gallery.prune(before=50, most_bytes=30)
    assert names(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.part1.mp4"]
    gallery.prune(before=150, most_bytes=30)
    assert names(tmp_path) == ["b.mp4", "c.mp4", "d.part1.mp4"]
    gallery.prune(before=0, most_bytes=19)
    assert names(tmp_path) == ["c.mp4", "d.part1.mp4"], "what is being made is nobody's to delete"
    Gallery(tmp_path / "none", Studio()).prune(before=0, most_bytes=0)


async def test_a_use_makes_it_young(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, Sketches())
    path = await gallery.file(recipe(1), FileKind.VIDEO)
    os.utime(path, (100, 100))
    await gallery.file(recipe(1), FileKind.VIDEO)
    gallery.prune(before=200, most_bytes=1000)
    assert path.exists()


async def test_captions_need_no_process(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, Sketches())
    assert (await gallery.file(recipe(1), FileKind.SRT)).read_bytes().startswith(b"1\n00:00:00,000")
    assert (await gallery.file(recipe(1), FileKind.VTT)).read_bytes().startswith(b"WEBVTT\n")
