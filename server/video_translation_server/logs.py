"""How the server's log looks: one line per happening, for people or for machines, on stderr and in a file.

What is logged is said where it happens; this module only gives it its form. Our own lines do not pass through the
standard library's logging: a line per attempt must cost little (docs/decisions/0020-a-cheap-log-line.md).
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TextIO

import structlog

Render = Callable[[str, str, dict[str, Any]], str]
"""Makes a line of its level, its message and its values."""

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
    log_file = file.open("a", encoding="utf-8", buffering=1) if file is not None else None
    sink, render = _Sink(sys.stderr, log_file), (_json if form == "json" else _text)
    lines_together.sink = sink
    structlog.configure(
        wrapper_class=_logger(level, render), logger_factory=lambda *_: sink, cache_logger_on_first_use=True
    )
    handler = _Forward(log_file)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Sink:
    """Where finished lines go: each in one write, or several in one, so that lines never mix."""

    def __init__(self, *streams: TextIO | None) -> None:
        self._streams = [stream for stream in streams if stream is not None]
        self._held: list[str] | None = None

    def write(self, line: str) -> None:
        if self._held is not None:
            self._held.append(line)
            return
        for stream in self._streams:
            stream.write(line)

    def hold(self) -> None:
        self._held = []

    def let_go(self) -> None:
        held, self._held = self._held, None
        if held:
            self.write("".join(held))


class lines_together:  # noqa: N801  (read where it is used, as a function's name is)
    """`with lines_together():` writes the lines of the block in one go, at its end: a write costs as much as a line.

    For blocks that wait for nothing and tell of what has happened already.
    """

    sink: ClassVar[_Sink | None] = None

    def __enter__(self) -> None:
        if self.sink is not None:
            self.sink.hold()

    def __exit__(self, *_: object) -> None:
        if self.sink is not None:
            self.sink.let_go()


def _logger(lowest: str, render: Render) -> type[structlog.BoundLoggerBase]:
    """What our modules get as their logger: from a call to the sink without structlog's chain of processors.

    The chain costs as much as the rest of a line, and there is nothing in it that we need.
    """

    def method(level: str) -> Callable[..., None]:
        def write(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
            self._logger.write(render(level, event, values))

        def ignore(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
            """Below the level that was asked for."""

        return write if _LEVELS.index(level) >= _LEVELS.index(lowest) else ignore

    def exception(self: structlog.BoundLoggerBase, event: str, **values: Any) -> None:
        self._logger.write(render("error", event, values | {"exc_info": True}))

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
        exception = record.exc_info if record.exc_info and record.exc_info[0] else None
        log = structlog.get_logger()
        write = getattr(log, record.levelname.lower(), log.info)
        write(record.getMessage(), **({"exc_info": exception} if exception else {}))


def _now() -> str:
    """ISO 8601 in UTC, microseconds; the part down to the second is made once per second."""
    now = time.time()
    second = int(now)
    if second != _now_cache[0]:
        _now_cache[:] = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_now_cache[1]}.{int((now - second) * 1e6):06d}Z"


_now_cache: list[Any] = [0, ""]


def _json(level: str, event: str, values: dict[str, Any]) -> str:
    head = {"timestamp": _now(), "level": level, "event": event}
    trace = _trace(values)
    if trace is not None:
        values["exception"] = trace
    return json.dumps(head | values, default=str, ensure_ascii=False) + "\n"


def _text(level: str, event: str, values: dict[str, Any]) -> str:
    """`2026-11-20T23:40:00.123456Z - INFO - transition status=running job_id=...`."""
    trace = _trace(values) if "exc_info" in values else None
    said = tuple(values.values())
    if None in said:
        values = {key: value for key, value in values.items() if value is not None}
        said = tuple(values.values())
    line = _pairs(tuple(values)) % said
    # Looked at as a whole, which is cheap; where that raises a doubt, value by value.
    if not _is_printable(line) or line.count(" ") > len(values) or "= " in line or line.endswith("="):
        line = _pairs(tuple(values)) % tuple(_word(str(value)) for value in said)
    head = f"{_now()} - {level.upper()} - {event}"
    return f"{head}{line}\n" if trace is None else f"{head}{line}\n{trace}\n"


def _is_printable(line: str) -> bool:
    """As `str.isprintable`, which looks every character up in a table, where nearly all lines are ASCII."""
    return not line.encode().translate(None, _PRINTABLE) if line.isascii() else line.isprintable()


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
