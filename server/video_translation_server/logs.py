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
from threading import get_ident
from typing import Any, ClassVar, TextIO

import structlog

Line = tuple[str, str, dict[str, Any]]
"""Level, message and values."""
Render = Callable[[Sequence[Line]], str]
"""Makes the text of lines that are told at the same time."""

_LEVELS = ("debug", "info", "warning", "error", "critical")


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
    lines_together.sink = sink
    structlog.configure(wrapper_class=_logger(level), logger_factory=lambda *_: sink, cache_logger_on_first_use=True)
    handler = _Forward(log_file)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Sink:
    """Where lines go: each in one write, or several in one, so that lines never mix."""

    def __init__(self, render: Render, *streams: TextIO | None) -> None:
        self._render = render
        self._streams = [stream for stream in streams if stream is not None]
        self._holder: int | None = None
        self._held: list[Line] = []
        self._lost = [0] * len(self._streams)

    def tell(self, line: Line) -> None:
        """Write a line, or keep it where its thread holds lines back."""
        if self._holder is not None and self._holder == get_ident():
            self._held.append(line)
            return
        self.let_go()
        self._write([line])

    def hold(self) -> None:
        """Keep this thread's lines from here on."""
        self._holder = get_ident()

    def let_go_soon(self) -> None:
        """Hold no more; write what was held at the end of the event loop's step, or now where none runs."""
        self._holder = None
        try:
            asyncio.get_running_loop().call_soon(self.let_go)
        except RuntimeError:
            self.let_go()

    def let_go(self) -> None:
        """Write what was held."""
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
            before = self._render([("error", "log lines could not be written", {"count": lost})]) if lost else ""
            try:
                if lost:
                    stream.flush()
                stream.write(before + text)
            except (OSError, ValueError):  # ValueError: it was closed
                self._lost[number] += len(lines)
            else:
                self._lost[number] = 0


class lines_together:  # noqa: N801  (read where it is used, as a function's name is)
    """`with lines_together():` writes the lines of such blocks of one step of the event loop in one go.

    By itself, a line costs twice as much. For blocks that wait for nothing and tell of what has happened already.
    """

    sink: ClassVar[_Sink | None] = None

    def __enter__(self) -> None:
        if self.sink is not None:
            self.sink.hold()

    def __exit__(self, *_: object) -> None:
        if self.sink is not None:
            self.sink.let_go_soon()


def _logger(lowest: str) -> type[structlog.BoundLoggerBase]:
    """What our modules get as their logger: from a call to the sink without structlog's chain of processors.

    The chain costs as much as the rest of a line, and there is nothing in it that we need.
    """

    def method(level: str) -> Callable[..., None]:
        def write(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
            self._logger.tell((level, event, values))

        def ignore(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
            """Below the level that was asked for."""

        return write if _LEVELS.index(level) >= _LEVELS.index(lowest) else ignore

    def exception(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
        # Now: what it tells of is gone once the line is rendered elsewhere.
        self._logger.tell(("error", event, values | {"exc_info": sys.exc_info()}))

    methods = {level: method(level) for level in _LEVELS}
    return type("Logger", (structlog.BoundLoggerBase,), methods | {"exception": exception})


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


def _object(level: str, event: str, values: dict[str, Any]) -> str:
    head = {"timestamp": _now(), "level": level, "event": event}
    trace = _trace(values)
    if trace is not None:
        values["exception"] = trace
    return json.dumps(head | values, default=str, ensure_ascii=False) + "\n"


def _text(lines: Sequence[Line]) -> str:
    """`2026-11-20T23:40:00.123456Z - INFO - transition status=running job_id=...` for each."""
    now = _now()
    told, count, has_trace = [], 0, False
    for _, _, values in lines:
        has_trace = has_trace or "exc_info" in values
        said = tuple(values.values())
        if None in said:
            values = {key: value for key, value in values.items() if value is not None}  # noqa: PLW2901
            said = tuple(values.values())
        told.append(_pairs(tuple(values)) % said)
        count += len(said)
    # Looked at as a whole, which is cheap; where that raises a doubt, line by line and value by value.
    if has_trace or not _are_words("\n".join(told), lines=len(lines), pairs=count):
        return "".join(_carefully(now, *line) for line in lines)
    return "".join(
        f"{now} - {level.upper()} - {event}{pairs}\n" for (level, event, _), pairs in zip(lines, told, strict=True)
    )


def _carefully(now: str, level: str, event: str, values: dict[str, Any]) -> str:
    """A line of which some value is not one word."""
    trace = _trace(values)
    said = {key: _word(str(value)) for key, value in values.items() if value is not None}
    line = f"{now} - {level.upper()} - {event}{_pairs(tuple(said)) % tuple(said.values())}\n"
    return line if trace is None else f"{line}{trace}\n"


def _are_words(text: str, *, lines: int, pairs: int) -> bool:
    """Whether the values of these lines are a word each, and none would fake a pair or a line."""
    return (
        text.isascii()
        and len(text.encode().translate(None, _PRINTABLE)) == lines - 1 == text.count("\n")
        and text.count(" ") == pairs
        and "= " not in text
        and "=\n" not in text
        and not text.endswith("=")
    )


_PRINTABLE = bytes(range(0x20, 0x7F))


@lru_cache(maxsize=256)
def _pairs(keys: tuple[str, ...]) -> str:
    """The form of a line's pairs: most lines have the keys of one before."""
    return "".join(f" {key.replace('%', '%%')}=%s" for key in keys)


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
