"""Named points at which a test harness may look on or pull the plug; the product itself never does.

A probe is an argument, so that no switch in the environment can reach the hot path.
"""

from collections.abc import Callable

Probe = Callable[[str], None]
"""Called with a point's name: `before commit`, `after commit`, `after claim`, `before settle`."""


def unobserved(_: str) -> None:
    """Nobody looks."""
