"""Who kept the machine's cores busy while something was measured: so it can be told what a second worker was short of.

CPU seconds per second on the wall; what is in none of the parts is somebody else's, or the kernel's on their behalf.
"""

import time
from collections.abc import Callable, Mapping

import psutil

IDLE = ("idle", "iowait", "guest", "guest_nice")
"""What a machine's times count that is no work, or is counted twice."""


class Cores:
    """Starts when it is made."""

    def __init__(self, parts: Mapping[str, Callable[[], float]]) -> None:
        """Each part tells its CPU seconds so far."""
        self._parts = parts
        self._before = {name: used() for name, used in parts.items()}
        self._busy = _busy()
        self._began = time.perf_counter()

    def stop(self) -> dict[str, float]:
        """Cores that each part kept busy since the start, those that `others` did, and how many there are."""
        seconds = time.perf_counter() - self._began
        used = {name: (used() - self._before[name]) / seconds for name, used in self._parts.items()}
        others = max(0.0, (_busy() - self._busy) / seconds - sum(used.values()))
        return used | {"others": others, "cores": float(psutil.cpu_count() or 1)}


def told(busy: Mapping[str, float]) -> str:
    """One line of it."""
    parts = {name: cores for name, cores in busy.items() if name != "cores"}
    named = ", ".join(f"{name} {cores:.2f}" for name, cores in parts.items())
    return f"{sum(parts.values()):.2f} of {busy['cores']:.0f} cores busy: {named}"


def _busy() -> float:
    """CPU seconds of all that ran on this machine so far."""
    return float(sum(seconds for name, seconds in psutil.cpu_times()._asdict().items() if name not in IDLE))
