"""Films and sound: readable, as long as they shall be, small, and always the same bytes of the same recipe."""

from pathlib import Path
from typing import Any

import av
import pytest

from video_translation_server.media.card import BAR, HEIGHT, TEXT, WIDTH, Card
from video_translation_server.media.film import write_audio, write_video
from video_translation_server.media.recipe import Recipe


def recipe(seconds: float = 12, **fields: Any) -> Recipe:
    words = {"job_id": "vt_1", "title": "Keynote", "language": "Spanish (Spain)"}
    return Recipe(**(words | {"seconds": seconds} | fields))


@pytest.mark.parametrize("seconds", [0.1, 1, 2.5, 61.25])
def test_a_film_has_pictures_sound_and_captions_to_its_end(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "film.mp4"
    write_video(recipe(seconds), path)
    with av.open(str(path), "r") as film:
        assert [stream.codec_context.name for stream in film.streams] == ["h264", "aac", "mov_text"]
        for stream in film.streams:
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.07)
        assert film.metadata["title"] == "Keynote (Spanish (Spain))"
    with av.open(str(path), "r") as film:
        frames = list(film.decode(video=0))
        assert len(frames) == max(1, -(-seconds // 1))
        assert {(frame.width, frame.height) for frame in frames} == {(WIDTH, HEIGHT)}


def test_its_captions_say_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(recipe(12, title="Tiếng Việt: 基調講演\n\n{\\b1}"), path)
    with av.open(str(path), "r") as film:
        texts = [bytes(packet)[2:].decode() for packet in film.demux(subtitles=0) if packet.size > 2]
    assert texts == [f"Tiếng Việt: 基調講演 {{\\b1}} (Spanish (Spain)), {number} of 2" for number in (1, 2)]


def test_the_sound_repeats_itself_without_a_click(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    write_audio(recipe(10), path)
    with av.open(str(path), "r") as sound:
        [stream] = sound.streams
        assert (stream.codec_context.name, stream.type) == ("aac", "audio")
        loud = [round(frame.time or 0, 1) for frame in sound.decode(audio=0) if peak(frame) > 0.05]
        assert {round(at % 2.048, 1) for at in loud} <= {0, 0.1, 0.2, 0.3}
        assert len(loud) >= 4 * 4
    with av.open(str(path), "r") as sound:
        assert max(peak(frame) for frame in sound.decode(audio=0)) < 0.15, "a click would be louder than the tone"


def peak(frame: av.AudioFrame) -> float:
    samples = memoryview(bytes(frame.planes[0])[: 4 * frame.samples]).cast("f")
    return max(map(abs, samples))


def test_the_same_recipe_makes_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    made = []
    for number, one in enumerate([recipe(3), recipe(3), recipe(3, title="Other"), recipe(3, language="Czech")]):
        path = tmp_path / f"{number}.mp4"
        write_video(one, path)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert len(set(made)) == 3
    assert len({recipe(3).digest, recipe(3, title="Other").digest, recipe(4).digest}) == 3


def test_three_quarters_of_an_hour_are_a_few_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    write_video(recipe(2700), path)
    assert path.stat().st_size < 6_000_000


def test_it_can_be_played_while_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(recipe(3), path)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_words_are_on_the_picture_and_the_bar_grows() -> None:
    card = Card(recipe(title="A title that is a good deal longer than one line, as titles of talks often are"))
    begin, end = card.at(0), card.at(1)
    rows = [begin[row * WIDTH : (row + 1) * WIDTH] for row in range(HEIGHT)]
    written = [row for row, pixels in enumerate(rows) if TEXT in pixels]
    assert len(written) > 3 * 12, "three lines of letters"
    assert end[-WIDTH:] == bytes([BAR]) * WIDTH
    assert BAR not in begin[-WIDTH:]
    assert Card(recipe(title="Other")).at(0) != begin


def test_words_without_end_are_cut() -> None:
    card = Card(recipe(title="x" * 5000, language="y" * 100, job_id="z" * 255))
    assert len(card.at(0.5)) == WIDTH * HEIGHT
    assert len(Card(recipe(title="word " * 1000)).at(0)) == WIDTH * HEIGHT
    assert len(Card(recipe(title="")).at(0)) == WIDTH * HEIGHT
