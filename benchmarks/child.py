"""A process of its own for each contestant and receiver: started, told and heard in JSON lines, ended by its pid.

`python -m benchmarks.child module:function` calls that function with the first line's fields and answers with
what it returns; so a child imports only what it needs, and its memory is its own.
"""

import importlib
import json
import select
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

ROOT = Path(__file__).parents[1]
PATIENCE = 10.0
"""Seconds for what should take none: a start, a short answer, an end."""


class ChildError(Exception):
    """A child failed, or said nothing in time."""


class Child:
    """A running `module:function`; use it as a context manager."""

    def __init__(self, function: str, **given: Any) -> None:
        """Start it at once with these keyword arguments."""
        self._function = function
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
        )
        # Both are pipes.
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self.say(given)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, message: dict[str, Any]) -> None:
        """Send one line."""
        self._input.write(json.dumps(message) + "\n")
        self._input.flush()

    def hear(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next line it writes.

        Raises:
            ChildError: It failed (its own words are in the message), ended, or said nothing for `timeout` seconds.
        """
        ready, _, _ = select.select([self._output], [], [], timeout)
        if not ready:
            raise ChildError(f"{self._function} said nothing for {timeout:g} s")
        line = self._output.readline()
        if not line:
            raise ChildError(f"{self._function} ended with code {self._process.wait(PATIENCE)} and said nothing")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise ChildError(f"{self._function} failed:\n{message['error']}")
        return message

    def ask(self, message: dict[str, Any], timeout: float = PATIENCE) -> dict[str, Any]:
        """Send one line and hear the answer."""
        self.say(message)
        return self.hear(timeout)

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask it to end by closing its input, and insist."""
        if error is not None:
            self._process.kill()
        try:
            self._input.close()
            self._process.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._output.close()


def call(function: str, *, timeout: float, **given: Any) -> dict[str, Any]:
    """Run a function in a process of its own and return its answer; `timeout` is seconds."""
    with Child(function, **given) as child:
        return child.hear(timeout)


def answer(message: dict[str, Any]) -> None:
    """From within a child: one line to the parent."""
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Be the child that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        result = function(**json.loads(sys.stdin.readline()))
    except Exception:  # noqa: BLE001  (told to the parent, whatever it is)
        result = {"error": traceback.format_exc()}
    if result is not None:
        answer(result)


if __name__ == "__main__":
    main()
