"""The comparison, pure: what the receivers got against what the server's event log says they were owed.

The words of the result, exactly:

- `lost`: pairs of endpoint and event that the receiver never answered with a complete 2xx, where the event came
  after the endpoint and is of a type that it subscribed to; and transitions of a job that the API accepted, or
  that the log knows, which the log does not have. A pair that the engine set aside is lost too, unless the
  endpoint took a later transition of that job (DESIGN D9).
- `out_of_order`: first receipts of an event by an endpoint that came after one of a higher sequence of that job,
  or before a lower one that it was owed had been answered with a complete 2xx (or was set aside).
- `duplicates`: receipts of an event by an endpoint that directly follow one which the receiver took, which is to
  say answered with 2xx, complete or cut. (A receipt after a 500 is a retry, and no duplicate.)
- `duplicates_bound`: the attempts in flight at each kill (the leases on disk, read from the dead server's file),
  plus the 2xx answers that a fault cut, plus those that the server's log says it no longer waited for.
- With several servers on PostgreSQL, what any of them had leased, or had sent and not settled, stands in for what was
  in flight: a frozen server may have sent it, and another sends it when the lease has run out.
- needless: duplicates that none of these causes explains for that very pair: neither in flight when the process
  that sent the receipt before was killed, nor cut, nor too late. The bound alone would let an engine repeat as
  often as it had attempts in flight, whichever they were; so one needless duplicate fails the run.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.record import Answer, Logged, Pair, Receipt, Record, Status

TOOK = (Answer.TAKEN, Answer.SWALLOWED)
ENDINGS = ("completed", "failed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of a run, and what is wrong with them."""

    kills: int
    jobs: int
    events: int
    attempts: int
    lost: int
    out_of_order: int
    duplicates: int
    duplicates_bound: int
    recovery_p50: float | None
    recovery_max: float | None
    problems: tuple[str, ...]

    def as_json(self, seed: int) -> dict[str, Any]:
        """The line that `make chaos` ends with."""
        return {
            "kills": self.kills,
            "jobs": self.jobs,
            "events": self.events,
            "attempts": self.attempts,
            "lost": self.lost,
            "out_of_order": self.out_of_order,
            "duplicates": self.duplicates,
            "duplicates_bound": self.duplicates_bound,
            "recovery_s": {"p50": self.recovery_p50, "max": self.recovery_max},
            "seed": seed,
        }


def judge(record: Record) -> Verdict:
    """Compare, count, and name every broken requirement."""
    lost = [*lost_pairs(record), *lost_transitions(record)]
    disorder = list(out_of_order(record))
    repeated = list(duplicates(record.receipts))
    bound = duplicates_bound(record)
    p50, worst = _recovery(record.recoveries)
    problems = [
        *_broken("lost", lost),
        *_broken("out of order", disorder),
        *_broken("needless duplicates", list(needless(record))),
        *_broken("repeated transitions", list(repeated_transitions(record.log))),
        *_broken("bodies that differ from the log's", list(altered(record))),
        *record.trouble,
    ]
    if record.forged:
        problems.append(f"{record.forged} deliveries with a bad signature")
    if len(repeated) > bound:
        problems.append(f"{len(repeated)} duplicates, of which at most {bound} can be explained")
    if record.kills and (worst is None or worst >= record.most_recovery):
        problems.append(f"recovery took {worst} s, {record.most_recovery:g} s are allowed")
    return Verdict(
        kills=len(record.kills),
        jobs=len(record.accepted),
        events=len(record.log),
        attempts=record.attempts,
        lost=len(lost),
        out_of_order=len(disorder),
        duplicates=len(repeated),
        duplicates_bound=bound,
        recovery_p50=p50,
        recovery_max=worst,
        problems=tuple(problems),
    )


def lost_pairs(record: Record) -> Iterator[Pair]:
    """What an endpoint was owed and never took, nor was rightly spared."""
    taken = {receipt.pair for receipt in record.receipts if receipt.answer is Answer.TAKEN}
    newest: dict[tuple[str, str], int] = defaultdict(int)
    for endpoint, owed in record.owed.items():
        for event in owed:
            if Pair(endpoint, event.event) in taken:
                newest[endpoint, event.job] = max(newest[endpoint, event.job], event.sequence)
    for endpoint, owed in record.owed.items():
        for event in owed:
            pair = Pair(endpoint, event.event)
            is_older = event.sequence < newest[endpoint, event.job]
            if pair not in taken and not (pair in record.set_aside and is_older):
                yield pair


def lost_transitions(record: Record) -> Iterator[tuple[str, int, Status]]:
    """Transitions that a job must have gone through and that the log does not know."""
    logged = {(event.job, event.sequence, event.status) for event in record.log}
    ends = {event.job: event.status for event in record.log if event.status in ENDINGS}
    for job in dict.fromkeys([*record.accepted, *(event.job for event in record.log)]):
        # A job whose request was cut by a kill may have been taken: then it too must come to an end.
        end = record.accepted.get(job) or ends.get(job, ENDINGS[0])
        for sequence, status in enumerate(("pending", "running", end), start=1):
            if (job, sequence, status) not in logged:
                yield job, sequence, status


def repeated_transitions(log: list[Logged]) -> Iterator[tuple[str, int]]:
    """Transitions that are in the log more than once."""
    counts = Counter((event.job, event.sequence) for event in log)
    return (transition for transition, count in counts.items() if count > 1)


def altered(record: Record) -> Iterator[Pair]:
    """Receipts of something else than the log's event of that id, or of none that it has."""
    logged = {event.event: event.fingerprint for event in record.log}
    return (receipt.pair for receipt in record.receipts if logged.get(receipt.pair.event) != receipt.fingerprint)


def out_of_order(record: Record) -> Iterator[Pair]:
    """First receipts that came too late or too early."""
    sequences = _owed_sequences(record)
    received: dict[tuple[str, str], set[int]] = defaultdict(set)
    taken_at = _first_taken(record.receipts)
    for receipt in record.receipts:
        key = receipt.pair.endpoint, receipt.job
        if receipt.sequence in received[key]:
            continue
        lower = {number for number in sequences[key] if number < receipt.sequence}
        waited = all(taken_at.get((*key, number), float("inf")) <= receipt.at for number in lower)
        if not waited or any(number > receipt.sequence for number in received[key]):
            yield receipt.pair
        received[key].add(receipt.sequence)


def _owed_sequences(record: Record) -> dict[tuple[str, str], set[int]]:
    sequences: dict[tuple[str, str], set[int]] = defaultdict(set)
    for endpoint, owed in record.owed.items():
        for event in owed:
            if Pair(endpoint, event.event) not in record.set_aside:
                sequences[endpoint, event.job].add(event.sequence)
    return sequences


def _first_taken(receipts: list[Receipt]) -> dict[tuple[str, str, int], float]:
    taken: dict[tuple[str, str, int], float] = {}
    for receipt in receipts:
        if receipt.answer is Answer.TAKEN and receipt.answered_at is not None:
            key = receipt.pair.endpoint, receipt.job, receipt.sequence
            taken[key] = min(taken.get(key, receipt.answered_at), receipt.answered_at)
    return taken


def duplicates(receipts: list[Receipt]) -> Iterator[tuple[Receipt, Receipt]]:
    """Each receipt that follows one which was taken, with that one before it."""
    last: dict[Pair, Receipt] = {}
    for receipt in receipts:
        before = last.get(receipt.pair)
        if before is not None and before.answer in TOOK:
            yield before, receipt
        last[receipt.pair] = receipt


def duplicates_bound(record: Record) -> int:
    """How many duplicates the kills and the faults can have caused."""
    in_flight = 0 if record.in_doubt else sum(len(kill.in_flight) for kill in record.kills)
    cut = sum(receipt.answer is Answer.SWALLOWED for receipt in record.receipts)
    return in_flight + cut + record.in_doubt.total() + _too_late(record).total()


def needless(record: Record) -> Iterator[Pair]:
    """Duplicates that nothing explains."""
    in_flight = {kill.life: kill.in_flight for kill in record.kills}
    too_late, in_doubt = _too_late(record), Counter(record.in_doubt)
    for before, receipt in duplicates(record.receipts):
        pair = receipt.pair
        was_killed = receipt.life > before.life and pair in in_flight.get(before.life, ())
        if before.answer is Answer.SWALLOWED or was_killed:
            continue
        if too_late[before.life, pair] > 0:
            too_late[before.life, pair] -= 1
        elif in_doubt[pair] > 0:
            in_doubt[pair] -= 1
        else:
            yield pair


def _too_late(record: Record) -> Counter[tuple[int, Pair]]:
    """Complete answers that the server had stopped to wait for: its deadlines beyond those of answers never given."""
    unanswered = Counter(
        (receipt.life, receipt.pair) for receipt in record.receipts if receipt.answer in (Answer.HUNG, Answer.NONE)
    )
    taken = Counter((receipt.life, receipt.pair) for receipt in record.receipts if receipt.answer is Answer.TAKEN)
    return (record.gave_up - unanswered) & taken


def _recovery(seconds: list[float]) -> tuple[float | None, float | None]:
    if not seconds:
        return None, None
    return round(statistics.median(seconds), 3), round(max(seconds), 3)


def _broken(what: str, found: list[Any]) -> list[str]:
    return [f"{len(found)} {what}, for example {found[0]}"] if found else []
