"""A look into a file: how long it plays; garbage, lists and lies are neither video nor audio."""

import random
from pathlib import Path

import pytest

from tests.server.footage import clip
from video_translation_server.media.footage import look
from video_translation_server.media.tasks import Footage

MP4 = clip(2.5, audio=True)


def seen(tmp_path: Path, content: bytes, name: str = "file") -> Footage | None:
    path = tmp_path / name
    path.write_bytes(content)
    return look(str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (clip(2.5), Footage(seconds=2.5, media_type="video/mp4")),
        (clip(3, container="mov"), Footage(seconds=3, media_type="video/quicktime")),
        (clip(1.5, container="matroska"), Footage(seconds=1.5, media_type="video/webm")),
        (clip(2, container="avi"), Footage(seconds=2, media_type="video/x-msvideo")),
    ],
    ids=["mp4", "mov", "matroska", "avi"],
)
def test_what_plays_is_told_with_its_length(tmp_path: Path, content: bytes, expected: Footage) -> None:
    assert seen(tmp_path, content) == expected


def test_sound_alone_plays_too(tmp_path: Path) -> None:
    found = seen(tmp_path, clip(4, video=False, audio=True))
    assert found is not None
    assert found.media_type == "audio/mp4"
    assert found.seconds == pytest.approx(4, abs=0.2)


def test_a_stream_that_does_not_say_how_long_it_is_is_counted(tmp_path: Path) -> None:
    found = seen(tmp_path, clip(3, video=False, audio=True, container="adts"))
    assert found is not None
    assert found.media_type == "audio/aac"
    assert found.seconds == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 4096,
        b"1\n00:00:00,000 --> 00:00:01,000\nHi\n",
        b"<html><body>404</body></html>",
        b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00" + b"frames" * 100,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
        MP4[:40],
        random.Random(1).randbytes(20_000),
    ],
    ids=["empty", "zeros", "captions", "page", "only a head", "picture", "cut", "noise"],
)
def test_what_does_not_play_is_nothing(tmp_path: Path, content: bytes) -> None:
    assert seen(tmp_path, content) is None


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{target}'\nduration 5\n",
    ],
    ids=["playlist", "concat"],
)
def test_a_list_of_files_leads_nowhere(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(MP4)
    for target in (str(tmp_path / "secret.mp4"), "secret.mp4", "http://127.0.0.1:9/x.ts"):
        assert seen(tmp_path, content.format(target=target).encode(), "list.m3u8") is None


def test_a_damaged_film_is_something_or_nothing_but_never_an_error(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(150):
        damaged = bytearray(MP4)
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        found = seen(tmp_path, bytes(damaged[: chance.randrange(len(damaged))]))
        assert found is None or found.seconds > 0
