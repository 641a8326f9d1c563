"""What a measured part cost the process it ran in: wall time, CPU time over all threads, CPU per thread, peak memory.

CPU time is user plus system time of the whole process (getrusage), so a busy machine spoils it far less than a
clock on the wall; the split by thread comes from the kernel's accounting (Linux only, empty elsewhere).
"""

import asyncio
import resource
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class Meter:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._threads = _cpu_by_thread()
        self._cpu = cpu_seconds()
        self._wall = time.perf_counter()

    def stop(self, deliveries: int) -> dict[str, Any]:
        """The cost so far, as JSON: of the whole, and per delivery in microseconds of CPU."""
        seconds, cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu
        threads = {name: used - self._threads.get(name, 0.0) for name, used in _cpu_by_thread().items()}
        return {
            "deliveries": deliveries,
            "seconds": seconds,
            "per_second": deliveries / seconds,
            "cpu_us": cpu / deliveries * 1e6,
            "cpu_us_by_thread": {name: used / deliveries * 1e6 for name, used in threads.items() if used > 0},
            "rss_mb": peak_memory_mb(),
        }


def cpu_seconds() -> float:
    """User and system time of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """CPU seconds of the threads that another process has, so far (Linux only)."""
    return sum(_cpu_of(int(task.name), pid) for task in Path(f"/proc/{pid}/task").iterdir())


def memory_of(pid: int) -> int:
    """Bytes of memory that another process holds now, its database's cache included (Linux only)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


def peak_memory_mb() -> float:
    """The most memory that this process has held.

    The kernel's own mark where there is one: `ru_maxrss` of a child begins with its parent's.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop, as the server does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _cpu_by_thread() -> dict[str, float]:
    used: dict[str, float] = {}
    for thread in threading.enumerate():
        name = "event-loop" if thread is threading.main_thread() else thread.name.partition("_")[0]
        used[name] = used.get(name, 0.0) + _cpu_of(thread.native_id)
    return used


def _cpu_of(native_id: int | None, process: int | str = "self") -> float:
    try:
        return int(Path(f"/proc/{process}/task/{native_id}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        return 0.0
