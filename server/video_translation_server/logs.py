"""How the server's log looks: one line per happening, for people or for machines, on stderr and in a file.

What is logged is said where it happens; this module only gives it its form. Our own lines do not pass through the
standard library's logging: a line per attempt must cost little (docs/decisions/0020-a-cheap-log-line.md).
"""

import asyncio
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TextIO

import structlog

_LEVELS = ("debug", "info", "warning", "error", "critical")


class Form:
    """A kind of line: its message, and the keys of its values in their order.

    One that is told for each delivery says so once, and then its values alone: a call with keywords costs as much as
    the rest of the line.
    """

    __slots__ = ("blanks", "event", "has_trace", "heads", "keys", "pairs")

    def __init__(self, event: str, *keys: str) -> None:
        self.event = event
        self.keys = keys
        self.heads = {level: f" - {level.upper()} - {event}" for level in _LEVELS}
        self.pairs = "".join(f" {key.replace('%', '%%')}=%s" for key in keys)
        self.blanks = b" " * len(keys)
        self.has_trace = "exc_info" in keys


Values = tuple[Any, ...]
Line = tuple[Form, str, Values]
"""Its form, level and values."""
Render = Callable[[Sequence[Line]], str]
"""Makes the text of lines that are told at the same time."""
Tell = Callable[[Form, str, Values], None]
"""Takes form, level and values of a line."""


def configure(*, level: str, form: str, file: Path | None) -> None:
    """Send every log line (ours and the libraries') to stderr and, where asked, to a file.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` for `time - LEVEL - message key=value ...`, `json` for one object per line.
        file: Appended to; its folder must exist.

    Raises:
        OSError: The file cannot be written.
    """
    # As stderr does: one character that has no UTF-8 must not cost the line, and those written with it.
    log_file = file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) if file is not None else None
    sink = _Sink(_json if form == "json" else _text, sys.stderr, log_file)
    structlog.configure(wrapper_class=_logger(level), logger_factory=lambda *_: sink, cache_logger_on_first_use=True)
    handler = _Forward(log_file)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Sink:
    """Where lines go: each in one write, or several in one, so that lines never mix."""

    def __init__(self, render: Render, *streams: TextIO | None) -> None:
        self._render = render
        self._streams = [stream for stream in streams if stream is not None]
        self._held: list[Line] = []
        self._soon: asyncio.AbstractEventLoop | None = None
        self._lost = [0] * len(self._streams)

    def tell(self, line: Line) -> None:
        """Write a line, behind those that are held."""
        self.let_go()
        self._write([line])

    def hold(self, line: Line) -> None:
        """Keep a line for `let_go`."""
        self._held.append(line)

    def let_go_soon(self) -> None:
        """Write what is held at the end of the event loop's step, or now where none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.let_go()
            return
        if self._soon is not loop:
            self._soon = loop
            loop.call_soon(self.let_go)

    def let_go(self) -> None:
        """Write what was held."""
        self._soon = None
        held, self._held = self._held, []
        if held:
            self._write(held)

    def _write(self, lines: Sequence[Line]) -> None:
        """Write lines; a full disk or a reader that has gone ends no request and no loop: it is told of afterwards.

        The stream holds on to what it could not write, as far as its buffer goes. That goes out first, and nothing is
        put behind it before: so of the lines that are told of, the first ones may come after all.
        """
        text = self._render(lines)
        for number, stream in enumerate(self._streams):
            lost = self._lost[number]
            before = self._render([(_LOST, "error", (lost,))]) if lost else ""
            try:
                if lost:
                    stream.flush()
                stream.write(before + text)
            except (OSError, ValueError):  # ValueError: it was closed
                self._lost[number] += len(lines)
            else:
                self._lost[number] = 0


_LOST = Form("log lines could not be written", "count")


class _Logger(structlog.BoundLoggerBase):
    """What our modules get as their logger: from a call to the sink without structlog's chain of processors.

    The chain costs as much as the rest of a line, and there is nothing in it that we need.
    """

    heard: ClassVar[frozenset[str]]
    _logger: _Sink

    def exception(self, event: str, **values: Any) -> None:
        # Now: what it tells of is gone once the line is rendered elsewhere.
        self.say("error", event, values | {"exc_info": sys.exc_info()})

    def say(self, level: str, event: str, values: dict[str, Any]) -> None:
        self._logger.tell((_form(event, tuple(values)), level, tuple(values.values())))

    def hold(self, form: Form, level: str, values: Values) -> None:
        if level in self.heard:
            self._logger.hold((form, level, values))

    def let_go_soon(self) -> None:
        self._logger.let_go_soon()


def _logger(lowest: str) -> type[_Logger]:
    """The logger that is heard from a level on."""

    def method(level: str) -> Callable[..., None]:
        def write(self: _Logger, event: str, **values: Any) -> None:
            self.say(level, event, values)

        def ignore(self: _Logger, event: str, **values: Any) -> None:
            """Below the level that was asked for."""

        return write if level in heard else ignore

    heard = frozenset(_LEVELS[_LEVELS.index(lowest) :])
    return type("Logger", (_Logger,), {level: method(level) for level in _LEVELS} | {"heard": heard})


@lru_cache(maxsize=256)
def _form(event: str, keys: tuple[str, ...]) -> Form:
    """Most lines are of a form of one before."""
    return Form(event, *keys)


class lines_together:  # noqa: N801  (read where it is used, as a function's name is)
    """`with lines_together(log) as tell:` writes what `tell` is told, in one go with other blocks' lines of this step.

    That is the event loop's step; by itself, a line costs twice as much. For what has happened already.
    """

    def __init__(self, log: Any) -> None:
        """`log` is what structlog's `get_logger` has given: where it is not ours, it is told line by line."""
        self._log = log.bind()

    def __enter__(self) -> Tell:
        return self._log.hold if isinstance(self._log, _Logger) else self._tell

    def __exit__(self, *_: object) -> None:
        if isinstance(self._log, _Logger):
            self._log.let_go_soon()

    def _tell(self, form: Form, level: str, values: Values) -> None:
        getattr(self._log, level)(form.event, **dict(zip(form.keys, values, strict=True)))


class _Forward(logging.Handler):
    """The libraries' lines, in the same form. Closes the log file when logging ends."""

    def __init__(self, log_file: TextIO | None) -> None:
        super().__init__()
        self._log_file = log_file

    def close(self) -> None:
        if self._log_file is not None:
            self._log_file.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            exception = record.exc_info if record.exc_info and record.exc_info[0] else None
            log = structlog.get_logger()
            write = getattr(log, record.levelname.lower(), log.info)
            write(record.getMessage(), **({"exc_info": exception} if exception else {}))
        except Exception:  # noqa: BLE001  (as `logging` wants it: no line ends what it tells of)
            self.handleError(record)


def _now() -> str:
    """ISO 8601 in UTC, microseconds; the part down to the second is made once per second."""
    now = time.time()
    second = int(now)
    if second != _now_cache[0]:
        _now_cache[:] = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_now_cache[1]}.{int((now - second) * 1e6):06d}Z"


_now_cache: list[Any] = [0, ""]


def _json(lines: Sequence[Line]) -> str:
    return "".join(_object(*line) for line in lines)


def _object(form: Form, level: str, values: Values) -> str:
    head = {"timestamp": _now(), "level": level, "event": form.event}
    said = dict(zip(form.keys, values, strict=True))
    trace = _trace(said)
    if trace is not None:
        said["exception"] = trace
    return json.dumps(head | said, default=str, ensure_ascii=False) + "\n"


def _text(lines: Sequence[Line]) -> str:
    """`2026-11-20T23:40:00.123456Z - INFO - transition status=running job_id=...` for each.

    A line is looked at as a whole, which is cheap; where that raises a doubt, value by value.
    """
    now, told = _now(), []
    for form, level, values in lines:
        # Every value is a word: none is missing or empty, and beside what is printed there are our spaces only.
        if (
            all(values)
            and not form.has_trace
            and (pairs := form.pairs % values).isascii()
            and pairs.encode().translate(None, _GRAPHIC) == form.blanks
        ):
            told.append(f"{now}{form.heads[level]}{pairs}\n")
        else:
            told.append(_carefully(now, form, level, values))
    return "".join(told)


_GRAPHIC = bytes(range(0x21, 0x7F))


def _carefully(now: str, form: Form, level: str, values: Values) -> str:
    """A line of which some value is not one word."""
    said = dict(zip(form.keys, values, strict=True))
    trace = _trace(said)
    pairs = "".join(f" {key}={_word(str(value))}" for key, value in said.items() if value is not None)
    line = f"{now}{form.heads[level]}{pairs}\n"
    return line if trace is None else f"{line}{trace}\n"


def _word(text: str) -> str:
    """Quoted where it would not read as one word, and so that no value can fake a line."""
    return text if text.isprintable() and text and " " not in text else repr(text)


def _trace(values: dict[str, Any]) -> str | None:
    """The traceback that `exc_info` stands for, which it leaves: an exception, its triple, or True for the current."""
    given = values.pop("exc_info", None)
    if not given:
        return None
    if isinstance(given, BaseException):
        given = (type(given), given, given.__traceback__)
    found = given if isinstance(given, tuple) else sys.exc_info()
    return "".join(traceback.format_exception(*found)).rstrip("\n")
