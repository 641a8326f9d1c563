"""Timeouts as threads take them: some that a caller may well mean are beyond their reach.

Who waits, and what comes of a timeout, is left to the callers.
"""

from __future__ import annotations

import math
import threading


def bearable(seconds: float | None) -> float | None:
    """Return a timeout as threads take it; one beyond their reach (infinity, say) is none.

    Raises:
        ValueError: it is not a number.
    """
    if seconds is not None and math.isnan(seconds):
        raise ValueError("timeout must be seconds, or None for as long as it takes; not NaN")
    return None if seconds is None or seconds > threading.TIMEOUT_MAX else seconds
