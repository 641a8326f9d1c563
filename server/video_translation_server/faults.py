"""Faults on order: rules that say which answers and deliveries go wrong, and how; and a journal of what was asked.

What a fault does is up to those who carry it out: `api.faulty` for answers, `delivery.faulty` for deliveries.
"""

import random
import re
from collections import deque
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

JOURNAL = 1000
"""Requests that the journal holds; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    Attributes:
        on: `api` for answers of the API, `webhook` for deliveries.
        kind: What goes wrong.
        probability: Of each that fits, from 0 to 1.
        count: How often it may still happen; None: without end.
        where: Pattern (`*`, `?`) of the path, or of the endpoint's URL.
        job_id: Only what is about this job.
        status: Of an answer of the kind `status`.
        seconds: How long `slow` and `delay` take (real time), how old `stale_timestamp` is, how long `reorder` waits to
            be overtaken at most (the server's clock).
    """

    id: str
    on: str
    kind: str
    probability: float = 1.0
    count: int | None = None
    where: str = "*"
    job_id: str | None = None
    status: int = 500
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the journal has it; `at` is real time, Unix seconds."""

    at: float
    method: str
    path: str
    status: int
    fault_id: str | None


class Faults:
    """The rules in the order of their making; of those that fit, the first that chance lets happen does."""

    def __init__(self, seed: int | None) -> None:
        """With a seed, the same faults in every run of the same requests."""
        self._seed = seed
        self.journal: deque[Asked] = deque(maxlen=JOURNAL)
        self.clear()

    def __bool__(self) -> bool:
        """Whether anything can go wrong at all."""
        return bool(self._rules)

    @property
    def rules(self) -> list[Fault]:
        """The rules that can still happen."""
        return list(self._rules.values())

    def add(self, fault: Fault) -> None:
        """One more rule."""
        self._rules[fault.id] = fault

    def remove(self, fault_id: str) -> bool:
        """Take a rule back; False where there is none of that id."""
        return self._rules.pop(fault_id, None) is not None

    def clear(self) -> None:
        """No rules, an empty journal, and chance from its beginning."""
        self._rules: dict[str, Fault] = {}
        self._random = random.Random(self._seed)  # noqa: S311  (a simulation, and reproducible on purpose)
        self.journal.clear()

    def pick(self, on: str, where: str, about: str | bytes) -> Fault | None:
        """What goes wrong with this one, if anything; `about` is a JSON body or a path with its query."""
        for fault in self._rules.values():
            fits = fault.on == on and fnmatchcase(where, fault.where) and _is_about(fault.job_id, about)
            if fits and self._random.random() < fault.probability:
                self._use(fault)
                return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count > 1:
            self._rules[fault.id] = replace(fault, count=fault.count - 1)
        else:
            del self._rules[fault.id]


def _is_about(job_id: str | None, about: str | bytes) -> bool:
    if job_id is None:
        return True
    if isinstance(about, bytes):
        return f'"{job_id}"'.encode() in about
    return job_id in re.split(r"[/?&=,]", about)
