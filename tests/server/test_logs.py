"""How a line of the log looks, for people and for machines, on stderr and in a file."""

import asyncio
import contextlib
import errno
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from video_translation_server import logs
from video_translation_server.logs import Form

TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z - (DEBUG|INFO|WARNING|ERROR) - ")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's: it is given back as it was."""
    root = logging.getLogger()
    handlers, level, settings = root.handlers[:], root.level, structlog.get_config()
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.configure(**settings)


def logger() -> Any:
    return structlog.get_logger("test").bind()


NUMBERED = Form("attempt", "number")


def test_text_is_time_level_message_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="text", file=None)
    logger().info("transition", job_id="vt_1", sequence=2, detail=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert TEXT.match(err)
    assert err.endswith(" - INFO - transition job_id=vt_1 sequence=2\n")


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="json", file=None)
    logger().warning("attempt", verdict="retry at\n2027", number=1)
    [line] = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.pop("timestamp")
    assert found == {"event": "attempt", "level": "warning", "verdict": "retry at\n2027", "number": 1}


@pytest.mark.parametrize(
    "value",
    [
        "/a b",
        "x\n2026-11-20T23:40:00Z - ERROR - forged",
        "x\r\nforged",
        "\x1b[31mred",
        "a\u2028forged",
        "a\x85forged",
        "a\u202eb",
        "",
    ],
)
def test_no_value_can_fake_a_line_or_a_pair(capsys: pytest.CaptureFixture[str], value: str) -> None:
    logs.configure(level="info", form="text", file=None)
    logger().info("request", path=value, status=404)
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert err.endswith(f" path={value!r} status=404\n")


def test_an_exception_follows_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="text", file=None)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger().exception("loop failed", loop="delivery")
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert first.endswith(" - ERROR - loop failed loop=delivery")
    assert second.startswith("Traceback")
    assert last == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("form", ["text", "json"])
def test_libraries_speak_in_the_same_form(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure(level="info", form=form, file=None)
    logging.getLogger("uvicorn.error").warning("started %s", "here")
    [line] = capsys.readouterr().err.splitlines()
    if form == "json":
        assert json.loads(line)["event"] == "started here"
    else:
        assert line.endswith(" - WARNING - started here")


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_the_lowest_that_is_heard(capsys: pytest.CaptureFixture[str], level: str, heard: int) -> None:
    logs.configure(level=level, form="text", file=None)
    for name in ("debug", "info", "warning", "error"):
        getattr(logger(), name)("line")
        getattr(logging.getLogger("library"), name)("line")
    assert len(capsys.readouterr().err.splitlines()) == 2 * heard


def test_a_file_gets_the_same_lines_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "server.log"
    file.write_text("before\n")
    logs.configure(level="info", form="text", file=file)
    logger().info("título", title="映画")
    assert file.read_text(encoding="utf-8") == "before\n" + capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        logs.configure(level="info", form="text", file=tmp_path / "missing" / "server.log")


def test_lines_of_a_block_come_together_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    logs.configure(level="info", form="text", file=file)
    with logs.lines_together(logger()) as tell:
        tell(NUMBERED, "info", (1,))
        tell(NUMBERED, "info", (2,))
        assert file.read_text() == ""
    assert [line.partition("attempt ")[2] for line in file.read_text().splitlines()] == ["number=1", "number=2"]


class Writes(io.StringIO):
    """Counts what is written at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, text: str) -> int:
        self.count += 1
        return super().write(text)


async def test_blocks_of_one_step_of_the_event_loop_are_written_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)
    for number in range(3):
        with logs.lines_together(logger()) as tell:
            tell(NUMBERED, "info", (number,))
    assert stream.count == 0
    await asyncio.sleep(0)
    assert stream.count == 1
    assert [line[-1] for line in stream.getvalue().splitlines()] == ["0", "1", "2"]


def test_what_an_event_loop_left_when_it_ended_comes_with_the_next_ones_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)

    def block(number: int) -> None:
        with logs.lines_together(logger()) as tell:
            tell(NUMBERED, "info", (number,))

    async def go_on() -> None:
        block(2)
        await asyncio.sleep(0)

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.call_soon(block, 1)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert stream.count == 0
    asyncio.run(go_on())
    assert [line[-1] for line in stream.getvalue().splitlines()] == ["1", "2"]


async def test_a_line_of_its_own_comes_after_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)
    with logs.lines_together(logger()) as tell:
        tell(NUMBERED, "info", (1,))
    logger().info("stopped", number=2)
    assert [line[-1] for line in stream.getvalue().splitlines()] == ["1", "2"]


class Full(io.StringIO):
    """Takes nothing while its disk is full."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


async def test_lines_that_cannot_be_written_end_nothing_and_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Full())
    logs.configure(level="info", form="text", file=None)
    with logs.lines_together(logger()) as tell:
        tell(NUMBERED, "info", (1,))
        tell(NUMBERED, "info", (2,))
    await asyncio.sleep(0)
    logger().info("alone", number=3)
    logging.getLogger("asyncio").error("a library's")
    assert stream.getvalue() == ""
    stream.is_full = False
    logger().info("after", number=4)
    logger().info("after", number=5)
    assert [line.partition(" - ")[2] for line in stream.getvalue().splitlines()] == [
        "ERROR - log lines could not be written count=4",
        "INFO - after number=4",
        "INFO - after number=5",
    ]


class Disk(io.RawIOBase):
    """A file on a disk that may be full."""

    def __init__(self) -> None:
        self.content = b""
        self.is_full = False

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(piece)
        return len(piece)


async def test_while_the_disk_is_full_nothing_piles_up_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    stream = io.TextIOWrapper(io.BufferedWriter(disk), encoding="utf-8", line_buffering=True)
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure(level="info", form="text", file=None)
    disk.is_full = True
    for number in range(300):
        logger().info("lost", number=number)
    disk.is_full = False
    logger().info("after")
    logger().info("after")
    assert [line.partition(" - ")[2] for line in disk.content.decode().splitlines()] == [
        "INFO - lost number=0",
        "ERROR - log lines could not be written count=300",
        "INFO - after",
        "INFO - after",
    ], "the first was in the stream's hands"


@pytest.mark.parametrize("form", ["text", "json"])
def test_half_a_character_costs_no_line_of_the_file(form: str, tmp_path: Path) -> None:
    logs.configure(level="info", form=form, file=tmp_path / "log")
    with logs.lines_together(logger()) as tell:
        tell(Form("one"), "info", ())
        tell(Form("two", "detail"), "info", ("\udc80",))
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert ["one" in lines[0], r"\udc80" in lines[1]] == [True, True]
    assert form == "text" or json.loads(lines[1])["detail"] == "\udc80"


def test_a_library_that_says_what_cannot_be_put_into_words_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="text", file=None)
    logging.getLogger("library").info("%d", "no number")
    assert "Logging error" in capsys.readouterr().err


def test_lines_of_another_thread_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)
    with logs.lines_together(logger()) as tell:
        tell(NUMBERED, "info", (1,))
        thread = threading.Thread(target=lambda: logger().info("elsewhere"))
        thread.start()
        thread.join()
        assert stream.count == 2, "those before it, and it"


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ("two words", "'two words'"),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ("a=\n", r"'a=\n'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("x= y", "'x= y'"),
        ("título", "título"),
        ("a=b=", "a=b="),
        ("None", "None"),
        (0, "0"),
    ],
)
@pytest.mark.parametrize("other", [None, "there"])
def test_an_odd_value_in_a_block_fakes_nothing(
    odd: object, told: str, other: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)
    with logs.lines_together(logger()) as tell:
        for value in ("plain", odd, "plain"):
            tell(Form("transition", "value", "other", "number"), "info", (value, other, 1))
    rest = "number=1" if other is None else "other=there number=1"
    assert [line.partition(" - INFO - ")[2] for line in stream.getvalue().split("\n")] == [
        f"transition value=plain {rest}",
        f"transition value={told} {rest}",
        f"transition value=plain {rest}",
        "",
    ]


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_holds_for_lines_of_a_block(level: str, heard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level=level, form="text", file=None)
    with logs.lines_together(logger()) as tell:
        for name in ("debug", "info", "warning", "error"):
            tell(NUMBERED, name, (1,))
    assert len(stream.getvalue().splitlines()) == heard


def test_lines_of_a_block_in_json_are_as_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="json", file=None)
    with logs.lines_together(logger()) as tell:
        tell(Form("attempt", "verdict", "status"), "warning", ("retry at\n2027", None))
    logger().warning("attempt", verdict="retry at\n2027", status=None)
    together, alone = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert together.pop("timestamp") <= alone.pop("timestamp")
    assert together == alone == {"event": "attempt", "level": "warning", "verdict": "retry at\n2027", "status": None}


def test_where_logging_is_somebody_elses_a_block_tells_it_line_by_line() -> None:
    with capture_logs() as heard, logs.lines_together(structlog.get_logger("test")) as tell:
        tell(NUMBERED, "warning", (1,))
        assert heard == [{"event": "attempt", "log_level": "warning", "number": 1}]


def test_an_exception_in_a_block_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := Writes())
    logs.configure(level="info", form="text", file=None)
    with logs.lines_together(logger()) as tell:
        tell(Form("crashed", "exc_info"), "error", (ValueError("boom"),))
    assert "ValueError: boom" in stream.getvalue()
    assert "exc_info" not in stream.getvalue()


def test_lines_of_a_block_that_raises_are_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    logs.configure(level="info", form="text", file=file)
    with pytest.raises(ZeroDivisionError), logs.lines_together(logger()) as tell:  # noqa: PT012  (a block is the point)
        tell(NUMBERED, "info", (1,))
        _ = 1 / 0
    logger().info("attempt", number=2)
    assert [line[-1] for line in file.read_text().splitlines()] == ["1", "2"]


def test_a_percent_sign_is_itself(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", form="text", file=None)
    logger().info("request", **{"share_%s": "100%s"})
    assert capsys.readouterr().err.endswith(" - INFO - request share_%s=100%s\n")
