"""Writes a recipe's film (H.264, AAC and a text track in MP4) or its sound alone. Runs in a child process (`__main__`).

A long film must be small and quickly made: one frame a second, and of the sound only a short stretch is encoded,
whose packets are then repeated.
"""

import heapq
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from math import ceil, pi, sin
from pathlib import Path
from struct import pack
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from video_translation_server.media.card import HEIGHT, WIDTH, Card
from video_translation_server.media.recipe import Recipe

MILLISECONDS = Fraction(1, 1000)
FRAME_MS = 1000
KEY_FRAME_EVERY = 30
"""Frames; a player can seek to each key frame."""

RATE = 16_000
SAMPLES = 1024
"""Samples of one AAC frame."""
PERIOD = 32
"""AAC frames after which the sound repeats itself, about 2 s: a short tone, then silence."""
TONE_FRAMES = 4
TONE_CYCLES = 28
"""Cycles of the tone per AAC frame: 437.5 Hz. Whole ones, so that it begins and ends at zero."""
LOUDNESS = 0.1

STYLES = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Sans,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""How the captions look; the text track's description is made of it."""


class _Timed(NamedTuple):
    """A packet and when it is played, in seconds; `order` settles who is first of two at one time."""

    at: float
    order: int
    packet: "av.Packet[Any]"


def write_video(recipe: Recipe, path: Path) -> None:
    """The film, with sound and a text track that a player may show."""
    with _container(recipe, path) as container:
        video, audio, text = _picture(container), _sound(container), _captions(container)
        container.start_encoding()
        packets = (_frames(video, recipe), _samples(audio, recipe), _cues(text, recipe))
        for timed in heapq.merge(*packets, key=lambda timed: timed[:2]):
            container.mux_one(timed.packet)


def write_audio(recipe: Recipe, path: Path) -> None:
    """The film's sound alone."""
    with _container(recipe, path) as container:
        audio = _sound(container)
        container.start_encoding()
        for timed in _samples(audio, recipe):
            container.mux_one(timed.packet)


def _container(recipe: Recipe, path: Path) -> OutputContainer:
    # The index stands before the films's data, so that it plays while it is loaded; no time and no version is written.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    container = av.open(str(path), "w", format="mp4", container_options=options)
    container.metadata["title"] = " ".join(f"{recipe.title} ({recipe.language})".split())
    return container


def _picture(container: OutputContainer) -> VideoStream:
    options = {"preset": "ultrafast", "tune": "stillimage", "crf": "28", "profile": "baseline", "threads": "1"}
    stream = container.add_stream("libx264", rate=1, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.time_base = stream.codec_context.time_base = MILLISECONDS
    stream.codec_context.gop_size = KEY_FRAME_EVERY
    return stream


def _sound(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=RATE, layout="mono")
    stream.bit_rate = 16_000
    return stream


def _captions(container: OutputContainer) -> SubtitleStream:
    stream = container.add_stream("mov_text")
    stream.codec_context.subtitle_header = STYLES
    stream.time_base = MILLISECONDS
    return stream


def _frames(stream: VideoStream, recipe: Recipe) -> Iterator[_Timed]:
    """One a second; the last one stands for what is left."""
    card, order, end = Card(recipe), count(), round(recipe.seconds * 1000)
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane in frame.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    for pts in range(0, end, FRAME_MS):
        _paint(frame, card.at(pts / end))
        frame.pts, frame.time_base = pts, MILLISECONDS
        for packet in stream.encode(frame):
            yield _video_packet(packet, end, next(order))
    for packet in stream.encode(None):
        yield _video_packet(packet, end, next(order))


def _paint(frame: av.VideoFrame, rows: bytes) -> None:
    """Rows of a frame may be longer than the picture is wide."""
    plane = frame.planes[0]
    padding = bytes(plane.line_size - WIDTH)
    if padding:
        rows = b"".join(rows[at : at + WIDTH] + padding for at in range(0, len(rows), WIDTH))
    plane.update(rows)


def _video_packet(packet: "av.Packet[VideoStream]", end: int, order: int) -> _Timed:
    pts = packet.pts or 0
    packet.duration = min(FRAME_MS, end - pts)
    return _Timed(pts / 1000, order, packet)


def _samples(stream: AudioStream, recipe: Recipe) -> Iterator[_Timed]:
    """The sound: its first two periods as they are encoded, then the second one again and again."""
    encoded = _encode_periods(stream, 3)
    for number in range(ceil(recipe.seconds * RATE / SAMPLES)):
        # The encoder is warm in the second period: what it makes of it fits behind itself.
        content = encoded[number] if number < PERIOD else encoded[PERIOD + number % PERIOD]
        packet = av.Packet(content)
        packet.pts = packet.dts = number * SAMPLES
        packet.duration = SAMPLES
        packet.time_base = Fraction(1, RATE)
        packet.stream = stream
        yield _Timed(number * SAMPLES / RATE, number, packet)


def _encode_periods(stream: AudioStream, periods: int) -> list[bytes]:
    frame = av.AudioFrame("fltp", "mono", SAMPLES)
    frame.sample_rate = RATE
    packets: list[bytes] = []
    for number in range(periods * PERIOD):
        frame.planes[0].update(TONE if number % PERIOD < TONE_FRAMES else SILENCE)
        frame.pts, frame.time_base = number * SAMPLES, Fraction(1, RATE)
        packets += map(bytes, stream.encode(frame))
    return packets


TONE = pack(f"={SAMPLES}f", *(LOUDNESS * sin(2 * pi * TONE_CYCLES * n / SAMPLES) for n in range(SAMPLES)))
SILENCE = bytes(4 * SAMPLES)


def _cues(stream: Stream, recipe: Recipe) -> Iterator[_Timed]:
    """Samples of timed text (3GPP TS 26.245): the length in two bytes, then the text in UTF-8."""
    for number, cue in enumerate(recipe.cues()):
        text = " ".join(cue.text.split()).encode()
        packet = av.Packet(pack(">H", len(text)) + text)
        packet.pts = packet.dts = round(cue.start * 1000)
        packet.duration = round(cue.end * 1000) - packet.pts
        packet.time_base = MILLISECONDS
        packet.stream = stream
        yield _Timed(cue.start, number, packet)
