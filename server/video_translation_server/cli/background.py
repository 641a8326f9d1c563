"""`start` and `stop`: the server as a process in the background, one per pid file.

Which process that is, is said by the pid file (`pidfile`); what it does, by `serve`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

import click

from video_translation_server.cli.exits import FAILED, TIMEOUT, USAGE, Refusal
from video_translation_server.cli.pidfile import PidFile, Running, until
from video_translation_server.cli.serving import SettingsCommand, read, variable
from video_translation_server.cli.session import Session, instance_options

LOG_FILE: Final = "video-translation.log"
_LAST_WORDS: Final = 5
_KILLED_WITHIN: Final = 10.0
_SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(cls=SettingsCommand)
@click.option(
    "--timeout", type=_SECONDS, default=30.0, metavar="SECONDS", help="Until it must answer; then exit with 3."
)
@instance_options
@click.pass_obj
def start(session: Session, /, *, timeout: float, log_file: str | None, **given: str | None) -> None:
    """Start the server in the background, and print its URL once it answers.

    It takes every option of `serve`; its log, and whatever else it says on stderr, is appended to --log-file (default:
    video-translation.log). Exits with 1 where the pid file's server runs already.
    """
    read(given)
    instance, log = session.instance, Path(log_file or LOG_FILE)
    # Through its environment: arguments, which everybody can read, may have keys among them.
    settings = {variable(name): value for name, value in given.items() if value is not None}
    environment = {name: value for name, value in os.environ.items() if name != variable("log_file")} | settings
    with _opened(log) as stderr:
        before = stderr.tell()
        process = _spawn(instance, environment, stderr)
    url = _url_of(process, instance, timeout)
    if url is None:
        is_late = process.poll() is None
        process.kill()
        process.wait()
        instance.remove(_KILLED_WITHIN)
        words = _words_since(before, log)
        raise _late(timeout, log, words) if is_late else _ended(process.returncode, log, words)
    record = {"url": url, "pid": process.pid, "pid_file": str(instance.path), "log_file": str(log)}
    session.output.show(record, url)
    session.output.remark(f"started as process {process.pid}; log: {log}; end it with `video-translation-server stop`")


@click.command()
@click.option(
    "--timeout", type=_SECONDS, default=15.0, metavar="SECONDS", help="Until it must have ended; then it is killed."
)
@instance_options
@click.pass_obj
def stop(session: Session, /, *, timeout: float) -> None:
    """End the server that `start` has started: requests and deliveries under way may finish.

    Nothing is lost where it must be killed: the next start goes on from what is stored.
    """
    instance = session.instance
    running = instance.running()
    if running is None:
        _tidy(instance)
        record = {"stopped": False, "killed": False, "pid": None, "pid_file": str(instance.path)}
        session.output.show(record, f"no server of {instance.path} runs")
        return
    pid = _own(instance, running)
    _send(pid, signal.SIGTERM)
    killed = not instance.remove(timeout)
    if killed:
        _send(pid, signal.SIGKILL)
        if not instance.remove(_KILLED_WITHIN):
            raise Refusal(f"process {pid} does not end; look at it with `ps -p {pid}`")
    how = f"killed after {timeout:g} s" if killed else "stopped"
    session.output.show({"stopped": True, "killed": killed, "pid": pid, "pid_file": str(instance.path)}, how)


def _spawn(instance: PidFile, environment: dict[str, str], stderr: IO[str]) -> subprocess.Popen[bytes]:
    """The process, which alone holds the pid file."""
    stdout = None if instance.running() else instance.claim()
    if stdout is None:
        raise _runs_already(instance)
    with stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "video_translation_server", "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # Ctrl-C in this terminal, and its end, are not meant for the server.
            start_new_session=True,
        )
        stdout.write(f"{process.pid}\n")
    return process


def _url_of(process: subprocess.Popen[bytes], instance: PidFile, timeout: float) -> str | None:
    """Where it listens; None where it has ended, or has not come to that in time."""

    def url() -> str | None:
        running = instance.running()
        return running.url if running else None

    try:
        until(lambda: process.poll() is not None or url() is not None, timeout)
    except BaseException:
        process.kill()
        raise
    return url()


def _words_since(place: int, log: Path) -> list[str]:
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(place)
        return file.read().splitlines()


def _ended(returncode: int, log: Path, words: list[str]) -> Refusal:
    """What the server itself said is the reason."""
    told = [line.removeprefix("error: ") for line in words if line.startswith("error: ")]
    if returncode == USAGE and told:
        return Refusal("\n".join(told), code=USAGE, reason="usage")
    message = "\n".join([f"the server ended at once; the end of {log}:", *words[-_LAST_WORDS:]])
    return Refusal(message, code=FAILED, reason="not_started")


def _late(timeout: float, log: Path, words: list[str]) -> Refusal:
    message = "\n".join([f"no answer within {timeout:g} s; the end of {log}:", *words[-_LAST_WORDS:]])
    return Refusal(message, code=TIMEOUT, reason="timeout")


def _opened(log: Path) -> IO[str]:
    try:
        return log.open("a", encoding="utf-8")
    except OSError as error:
        raise Refusal(f"cannot write {log}: {error.strerror}; choose another --log-file", code=USAGE) from error


def _runs_already(instance: PidFile) -> Refusal:
    running = instance.running() or Running(None, None)
    return Refusal(
        f"a server of {instance.path} runs already, at {running.url or 'an address it has not said yet'} "
        f"(process {running.pid}); end it with `stop`, or give another --pid-file",
        reason="already_running",
    )


def _own(instance: PidFile, running: Running) -> int:
    """The pid of the server that holds the file, never that of anybody else."""
    if running.pid is None:
        raise Refusal(f"the server of {instance.path} is only just starting; try again", reason="starting")
    if not instance.wrote(running.pid):
        raise Refusal(
            f"{instance.path} names process {running.pid}, which is not the server that holds the file; "
            "nothing was ended",
            reason="foreign_process",
        )
    return running.pid


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended by itself in between; the file says so next
    except PermissionError as error:
        raise Refusal(f"process {pid} belongs to somebody else; stop it as that user") from error


def _tidy(instance: PidFile) -> None:
    """Remove a stale file."""
    if instance.path.exists():
        instance.remove(0)
