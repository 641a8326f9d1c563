"""Faults on order: rules that say which answers and deliveries go wrong, and how; and a journal of what was asked.

What a fault does is up to those who carry it out: `api.faulty` for answers, `delivery.faulty` for deliveries.
"""

import re
from collections import deque
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from video_translation_server.chance import Chance
from video_translation_server.ids import Ids

Occasion = tuple[object, ...]
"""What a delivery is told by, whenever it is sent: chance goes by it."""

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
        status: Of an answer of the kind `status`,
        code: and the code in its body; None: the one that goes with the status.
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
    code: str | None = None
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the journal has it; `at` is real time, Unix seconds."""

    at: float
    method: str
    path: str
    status: int
    fault_id: str | None


@dataclass(slots=True)
class _Rule:
    """A fault, the how-manieth it is, and how often it has fitted; both are the same in every run."""

    fault: Fault
    number: int
    fitted: int = 0


class Faults:
    """The rules in the order of their making; of those that fit, the first that chance lets happen does."""

    def __init__(self, ids: Ids, chance: Chance) -> None:
        """With a seeded chance, the same faults in every run of the same requests."""
        self._ids = ids
        self._chance = chance
        self._rules: dict[str, _Rule] = {}
        self._made = 0
        self.journal: deque[Asked] = deque(maxlen=JOURNAL)

    def __bool__(self) -> bool:
        """Whether anything can go wrong at all."""
        return bool(self._rules)

    @property
    def rules(self) -> list[Fault]:
        """The rules that can still happen."""
        return [rule.fault for rule in self._rules.values()]

    def add(self, on: str, kind: str, **fields: Any) -> Fault:
        """One more rule; the fields are those of `Fault`."""
        fault = Fault(self._ids("flt"), on, kind, **fields)
        self._made += 1
        self._rules[fault.id] = _Rule(fault, self._made)
        return fault

    def remove(self, fault_id: str) -> bool:
        """Take a rule back; False where there is none of that id."""
        return self._rules.pop(fault_id, None) is not None

    def clear(self) -> None:
        """No rules, an empty journal, and chance from its beginning."""
        self._rules.clear()
        self._made = 0
        self.journal.clear()

    def pick(self, on: str, where: str, about: str | bytes, occasion: Occasion | None = None) -> Fault | None:
        """What goes wrong with this one, if anything.

        `about` is a JSON body or a path with its query. Chance goes by the `occasion`; without one, by how often the
        rule has fitted.
        """
        for rule in self._rules.values():
            if rule.fault.on == on and fnmatchcase(where, rule.fault.where) and _is_about(rule.fault.job_id, about):
                rule.fitted += 1
                if self._chance("fault", rule.number, occasion or rule.fitted) < rule.fault.probability:
                    self._use(rule)
                    return rule.fault
        return None

    def _use(self, rule: _Rule) -> None:
        count = rule.fault.count
        if count is None:
            return
        if count > 1:
            rule.fault = replace(rule.fault, count=count - 1)
        else:
            del self._rules[rule.fault.id]


def _is_about(job_id: str | None, about: str | bytes) -> bool:
    if job_id is None:
        return True
    if isinstance(about, bytes):
        return f'"{job_id}"'.encode() in about
    return job_id in re.split(r"[/?&=,]", about)
