"""What a run has seen, as plain values: the event log, the receipts, what was in flight at each kill.

The receivers and the harness write it, `verdict` judges it; nothing here does anything.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

Status = str

TRANSITIONS = {
    "video_translate.pending": "pending",
    "video_translate.running": "running",
    "video_translate.success": "completed",
    "video_translate.fail": "failed",
}
"""The event types of a job's transitions, with the status that each one tells of."""


class Pair(NamedTuple):
    """One event on its way to one endpoint; both are ids."""

    endpoint: str
    event: str


class Answer(Enum):
    """How a receiver answered a request that it has read."""

    NONE = "the connection went before it was answered"
    TAKEN = "2xx, complete"
    SWALLOWED = "2xx begun, then the connection was cut"
    FAILED = "an error, or a reset"
    HUNG = "never"


@dataclass(frozen=True, slots=True)
class Logged:
    """A transition as the server's event log has it; `fingerprint` stands for the whole body."""

    event: str
    job: str
    sequence: int
    status: Status
    fingerprint: str


@dataclass(slots=True)
class Receipt:
    """A delivery that a receiver has read to its end and whose signatures hold.

    Attributes:
        life: Number of the server process that sent it.
        at: When it was read; `answered_at` when its answer was written (both monotonic seconds).
    """

    pair: Pair
    job: str
    sequence: int
    fingerprint: str
    life: int
    at: float
    answer: Answer = Answer.NONE
    answered_at: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: of which server process, at which point, and its attempts that were in flight."""

    life: int
    point: str
    in_flight: frozenset[Pair]


@dataclass(slots=True)
class Record:
    """Everything that the verdict needs.

    Attributes:
        accepted: Job ids for which the API answered 2xx, with the status that each must end in.
        log: The server's event log, in its order.
        owed: Per endpoint, the logged transitions that it subscribed to and that came after it was made.
        set_aside: Pairs that the engine gave up on purpose, as older than what it delivered (DESIGN D9).
        gave_up: Attempts that the server's log says it ended at their deadline, by life and pair.
        in_doubt: With several servers, what may have been sent and was not settled when trouble came.
        most_recovery: Seconds within which deliveries must go on.
        recoveries: Seconds from a restarted server's first ready answer to its first settled delivery.
        attempts: Attempts that were settled.
        trouble: What else went wrong, in words.
    """

    receipts: list[Receipt] = field(default_factory=list)
    forged: int = 0
    accepted: dict[str, Status] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    owed: dict[str, list[Logged]] = field(default_factory=dict)
    set_aside: frozenset[Pair] = frozenset()
    kills: list[Kill] = field(default_factory=list)
    gave_up: Counter[tuple[int, Pair]] = field(default_factory=Counter)
    in_doubt: Counter[Pair] = field(default_factory=Counter)
    most_recovery: float = 2.0
    recoveries: list[float] = field(default_factory=list)
    attempts: int = 0
    trouble: list[str] = field(default_factory=list)
