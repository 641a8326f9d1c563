"""Captions as text: every one in its place, and no title breaks the file."""

import re
from itertools import pairwise

import pytest

from video_translation_server.media.captions import srt, vtt
from video_translation_server.media.recipe import Recipe


def recipe(seconds: float, title: str = "Keynote") -> Recipe:
    return Recipe(job_id="vt_1", title=title, language="Czech", seconds=seconds)


def test_subrip_is_numbered_blocks() -> None:
    assert srt(recipe(10)).decode() == (
        "1\n00:00:00,000 --> 00:00:05,000\nKeynote (Czech), 1 of 2\n\n"
        "2\n00:00:05,000 --> 00:00:10,000\nKeynote (Czech), 2 of 2\n"
    )


def test_webvtt_begins_with_its_name() -> None:
    assert vtt(recipe(5)).decode() == "WEBVTT\n\n1\n00:00:00.000 --> 00:00:05.000\nKeynote (Czech), 1 of 1\n"


@pytest.mark.parametrize("seconds", [0.1, 1, 7.4, 59.999, 2700, 4000.5])
def test_they_follow_each_other_without_a_gap_to_the_end(seconds: float) -> None:
    cues = recipe(seconds).cues()
    assert cues[0].start == 0
    assert cues[-1].end == pytest.approx(seconds, abs=0.001)
    assert all(one.end == two.start and one.start < one.end for one, two in pairwise(cues))


def test_hours_are_counted() -> None:
    assert "01:06:40,500\n" in srt(recipe(4000.5)).decode()


def test_no_title_ends_a_caption_or_is_taken_for_markup() -> None:
    hostile = "one\n\n2\n00:00:00,000 --> 00:00:09,000\r\n<b>&\u2028x"
    for text in (srt(recipe(5, hostile)), vtt(recipe(5, hostile))):
        assert len(re.findall(r"\n\n", text.decode())) <= 1
    shown = vtt(recipe(5, hostile)).decode().splitlines()[-1]
    assert shown == "one 2 00:00:00,000 --&gt; 00:00:09,000 &lt;b&gt;&amp; x (Czech), 1 of 1"


def test_without_a_title_the_language_is_the_name() -> None:
    assert "\nCzech, 1 of 1\n" in srt(recipe(5, "")).decode()
