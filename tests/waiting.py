"""How tests wait: for a condition, and for `PATIENCE` at most, which is there to end a hang and for nothing else.

What is waited for takes a moment on an idle machine and many times that on a busy one; neither is a failure. How long
something may take is measured in benchmarks/.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 45.0
"""Seconds; less than what tests have the server itself wait (a minute), and than a test may take in all."""


def until(condition: Callable[[], T], *, pause: float = 0.005) -> T:
    """Return what the condition says once it holds; `pause` (seconds) is between two looks."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, _in_vain(condition)
        time.sleep(pause)
    return found


async def eventually(condition: Callable[[], T]) -> T:
    """The same for a condition that comes true in this event loop."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, _in_vain(condition)
        await asyncio.sleep(0.001)
    return found


def _in_vain(condition: Callable[[], object]) -> str:
    return f"not within {PATIENCE:g} s: {inspect.getsource(condition).strip()}"
