"""Where a process's CPU time goes, function by function and thread by thread, with the standard library's cProfile.

It runs on each thread's own CPU clock, so that waiting costs nothing. Being watched makes small functions dearer, so
each thread's figures are scaled to what it used unwatched; the order tells more than the last digit.
"""

import cProfile
import pstats
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

SHOWN = 45
SMALL = 0.15
"""Functions that use less of their own, in microseconds per delivery, are left out."""


class Profile:
    """The threads of a process under watch; costs nothing where it is not wanted."""

    def __init__(self, unwatched: dict[str, float] | None) -> None:
        """Wanted where it is said what each thread uses unwatched, in microseconds of CPU per delivery."""
        self._wanted = unwatched is not None
        self._unwatched = unwatched or {}
        self._of: dict[str, list[cProfile.Profile]] = {}

    @contextmanager
    def of_new_threads(self) -> Iterator[None]:
        """Watch each thread that starts in the block."""
        if not self._wanted:
            yield
            return
        threading.setprofile(self._begin)
        try:
            yield
        finally:
            threading.setprofile(None)

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Watch the calling thread in the block."""
        if not self._wanted:
            yield
            return
        profile = self._new("event-loop")
        profile.enable()
        try:
            yield
        finally:
            profile.disable()

    def _begin(self, *_: object) -> None:
        # Called in the new thread for its first event; enabling takes this function's place there.
        self._new(threading.current_thread().name.partition("_")[0]).enable()

    def _new(self, thread: str) -> cProfile.Profile:
        profile = cProfile.Profile(time.thread_time)
        self._of.setdefault(thread, []).append(profile)
        return profile

    def told(self, deliveries: int) -> dict[str, Any]:
        """A table per thread, once the threads have ended; microseconds per delivery."""
        if not self._wanted:
            return {}
        tables = [_table(name, found, self._unwatched.get(name, 0.0), deliveries) for name, found in self._of.items()]
        return {"profile": "\n\n".join(table for table in tables if table)}


Place = tuple[str, int, str]


def _table(thread: str, profiles: list[cProfile.Profile], unwatched: float, deliveries: int) -> str:
    stats = pstats.Stats(profiles[0])
    for profile in profiles[1:]:
        stats.add(profile)
    # place -> (primitive calls, calls, self seconds, cumulative seconds, the same four by caller)
    found: dict[Place, tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    scale = unwatched / (sum(row[2] for row in found.values()) or 1.0)
    lines = []
    for place, (_, calls, own, whole, callers) in sorted(found.items(), key=lambda item: -item[1][2])[:SHOWN]:
        if own * scale < SMALL:
            break
        lines.append(f"{own * scale:8.1f} {whole * scale:12.1f} {calls / deliveries:7.2f}  {_name(place)}")
        if _is_of_c(place) and len(callers) > 1:
            lines += [
                f"{row[2] * scale:8.1f} {'':12} {row[1] / deliveries:7.2f}    for {_name(caller)}"
                for caller, row in sorted(callers.items(), key=lambda item: -item[1][2])
                if row[2] * scale >= 2 * SMALL
            ]
    head = [f"{thread}: {unwatched:.1f} us of CPU per delivery", " self us with callees   calls  function"]
    return "\n".join(head + lines) if lines else ""


def _is_of_c(place: Place) -> bool:
    return place[1] == 0


def _name(place: Place) -> str:
    file, line, function = place
    return function if _is_of_c(place) else f"{'/'.join(PurePath(file).parts[-2:])}:{line} {function}"
