"""The picture of a film: language and title in letters on a dark ground, and a bar that grows with the time.

Only brightness is painted, so that a frame's first plane is the picture. Runs in a child process (`__main__`).
"""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from video_translation_server.media.recipe import Recipe

WIDTH, HEIGHT = 480, 270
MARGIN = 24
GROUND, TEXT, SOFT, BAR = 24, 235, 150, 200
BAR_HEIGHT = 6
MOST_LINES = 4


class Card:
    """A picture whose bar moves on."""

    def __init__(self, recipe: Recipe) -> None:
        """Paint it once; the bar is empty."""
        image = Image.new("L", (WIDTH, HEIGHT), GROUND)
        draw = ImageDraw.Draw(image)
        y = _write(draw, recipe.language, MARGIN, size=34, fill=TEXT)
        y = _write(draw, recipe.title, y + 10, size=20, fill=TEXT)
        _write(draw, recipe.job_id, HEIGHT - MARGIN - 2 * BAR_HEIGHT - 12, size=12, fill=SOFT)
        self._pixels = bytearray(image.tobytes())

    def at(self, share: float) -> bytes:
        """The picture when this share of the film has passed, row by row."""
        filled = bytes([BAR]) * round(WIDTH * share)
        for row in range(HEIGHT - BAR_HEIGHT, HEIGHT):
            self._pixels[row * WIDTH : row * WIDTH + len(filled)] = filled
        return bytes(self._pixels)


def _write(draw: ImageDraw.ImageDraw, text: str, y: float, *, size: int, fill: int) -> float:
    """Write a text in as many lines as it takes, and as fit; where the next text may begin."""
    font = ImageFont.load_default(size)
    lines = _lines(text, lambda line: font.getlength(line) <= WIDTH - 2 * MARGIN)
    for line in lines:
        draw.text((MARGIN, y), line, font=font, fill=fill)
        y += size * 1.25
    return y


def _lines(text: str, fits: Callable[[str], bool]) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer):
            lines[-1] = longer
        elif len(lines) < MOST_LINES:
            lines.append(_cut(word, fits))
        else:
            lines[-1] = _cut(f"{lines[-1]} {word}", fits)
            break
    return [line for line in lines if line]


def _cut(text: str, fits: Callable[[str], bool]) -> str:
    """As much of the text as fits, with dots where some is missing."""
    if fits(text):
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle] + "...") else (low, middle - 1)
    return text[:low] + "..."
