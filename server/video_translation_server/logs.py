"""How the server's log looks: one line per happening, for people or for machines, on stderr and in a file.

What is logged is said where it happens; this module only gives it its form. Our own lines do not pass through the
standard library's logging: a line per attempt must cost little (docs/decisions/0020-a-cheap-log-line.md).
"""

import json
import logging
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog


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
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    handler = _Forward(log_file)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Sink:
    """Where finished lines go: each in one write, so that lines never mix."""

    def __init__(self, *streams: TextIO | None) -> None:
        self._streams = [stream for stream in streams if stream is not None]

    def write(self, line: str) -> None:
        for stream in self._streams:
            stream.write(f"{line}\n")

    debug = info = warning = error = critical = write


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


def _json(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    head = {"timestamp": _now(), "level": line.pop("level"), "event": line.pop("event")}
    return json.dumps(head | dict(line), default=str, ensure_ascii=False)


def _text(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    """`2026-11-20T23:40:00.123456Z - INFO - transition status=running job_id=...`."""
    parts = [f"{_now()} - {line.pop('level').upper()} - {line.pop('event')}"]
    trace = line.pop("exception", None)
    for key, value in line.items():
        if value is not None:
            text = str(value)
            # Quoted where it would not read as one word, and so that no value can fake a line.
            parts.append(f"{key}={text}" if text.isprintable() and text and " " not in text else f"{key}={text!r}")
    return " ".join(parts) if trace is None else "\n".join([" ".join(parts), trace])
