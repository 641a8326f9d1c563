"""The rules of delivery that both engines carry out, as numbers; what they are for is in docs/delivery.md.

An engine decides in SQL where they apply; how a retry schedule runs is `retry`'s business.
"""

from dataclasses import dataclass

from video_translation_server.ids import Ids

SUPERSEDE_AFTER = 3
"""Failures after which a transition gives way to a later one."""

MAX_STRAIN = 6
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds that a strained endpoint is left alone: doubled each time, up to the longest."""

MAX_HURRIES = 3
"""How often a recovery may bring one delivery's retry forward: an event that the receiver cannot stomach must not
be tried anew after each success of the others."""

HURRIED_AT_ONCE = 500
"""Retries that one success brings forward, the next one the next so many: a settlement is to be short, however large
the backlog is."""

RECOVERY_WORTH_TELLING = 60.0
"""Seconds of failing after which `endpoint.recovered` is told."""

BURST = 0.05
"""Seconds by which a rate limit may be run ahead, so that a timer's lateness does not lower the rate."""

LONGEST_REFUSAL = 30
"""Seconds after which a caller who was refused may ask again at the latest."""

EXACT_PLACES = 1000
"""Places in line that are counted; beyond them they are estimated."""

LOOK_BACK = 100
"""Neighbours in line that tell how new it is there."""

PLACES_PER_SECOND = 1_000_000
"""Places of the log that a second counts for where its end is raised to the time (decision 0035): far more than events
can come in it, so that an end which was raised later lies behind everything that came before."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What settling needs beside the settlements: ids for notices, and when a dead endpoint is given up (seconds)."""

    ids: Ids
    disable_after: float


DISABLE_AFTER = 3 * 86400.0
"""Seconds without a success after which a failing endpoint is disabled."""

LEASE = 30.0
"""Seconds that a claim holds, where nothing else is said."""
