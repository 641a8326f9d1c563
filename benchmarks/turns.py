"""Children side by side: each runs for a moment while the others stand still, until all of them have answered.

A machine that others use is faster in one second than in the next; so it is as fast for all of them. Each measures its
own CPU time, which does not pass while it stands still; what it says of time on the wall is worth nothing.
"""

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.child import Child, ChildError

MOMENT = 0.05
"""Seconds that one runs. Three take turns well within those after which a server takes a standstill for a slow disk."""


def side_by_side(children: Sequence[Child], *, timeout: float) -> list[dict[str, Any]]:
    """What children that run already answer, in their order; they take turns from here on.

    Raises:
        ChildError: One failed, or they have not all answered after `timeout` seconds.
    """
    answers: dict[int, dict[str, Any]] = {}
    ends = time.monotonic() + timeout
    waiting = dict(enumerate(children))
    for child in children:
        os.kill(child.pid, signal.SIGSTOP)
    while waiting:
        for number, child in list(waiting.items()):
            if time.monotonic() > ends:
                raise ChildError(f"{len(waiting)} of {len(children)} have not answered after {timeout:g} s")
            os.kill(child.pid, signal.SIGCONT)
            if child.has_spoken(MOMENT):
                answers[number] = child.hear()
                del waiting[number]
            else:
                os.kill(child.pid, signal.SIGSTOP)
    return [answers[number] for number in range(len(children))]
