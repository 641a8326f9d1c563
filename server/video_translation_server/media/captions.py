"""Captions as text files: SubRip (`.srt`) and WebVTT (W3C).

What they say is the recipe's business.
"""

from html import escape

from video_translation_server.media.recipe import Recipe


def srt(recipe: Recipe) -> bytes:
    """The captions as SubRip."""
    blocks = [
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{_line(cue.text)}\n"
        for number, cue in enumerate(recipe.cues(), start=1)
    ]
    return "\n".join(blocks).encode()


def vtt(recipe: Recipe) -> bytes:
    """The captions as WebVTT."""
    blocks = [
        f"{number}\n{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{escape(_line(cue.text), quote=False)}\n"
        for number, cue in enumerate(recipe.cues(), start=1)
    ]
    return "\n".join(["WEBVTT\n", *blocks]).encode()


def _line(text: str) -> str:
    """On one line: an empty one would end the caption."""
    return " ".join(text.split())


def _time(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{thousandths:03}"
