"""Decides which events reach the callbacks, and when: each once, in sequence per job, gaps waited for.

It is thread-safe and does no I/O. Filling a gap through the event log, and waking handles (which never wait
for a gap), is left to the modules above.
"""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from video_translation_client._models import Event


class Verdict(enum.Enum):
    """What became of an offered event."""

    RELEASED = "new"
    """It goes to the callbacks."""
    PARKED = "parked"
    """Events before it are missing: it waits for them, or for the word that they will not come."""
    DUPLICATE = "dropped as a duplicate"
    """It was pushed, and had been pushed before."""
    KNOWN = "known already"
    """Seen before by another way: pushed and then read from the log, or the other way round."""
    STALE = "dropped as stale"
    """Older than what the callbacks have seen, and not waited for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The inbox's answer to one offer.

    Attributes:
        verdict: what became of the event.
        out_of_order: it was pushed below a sequence already pushed, or ahead of a gap.
        opens_gap: its job had no gap before, and has one now.
    """

    verdict: Verdict
    out_of_order: bool = False
    opens_gap: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a job are missing after sequence `after`; those up to `upto` are in the log or nowhere."""

    job_id: str
    after: int
    upto: int


class _Track:
    """Where one job stands."""

    __slots__ = ("goes_on", "last", "parked", "pushed")

    def __init__(self) -> None:
        self.last = 0  # the highest sequence released
        self.goes_on = False  # the event of that sequence was handed out here, and was not the job's last
        self.pushed = 0  # the highest sequence that was pushed
        self.parked: dict[int, Event] = {}

    def has(self, sequence: int, *, terminal: bool) -> bool:
        """Whether an event was released, stepped over or parked.

        A service that was restored to an earlier point gives sequences anew. What it tells twice is known; that a job
        ends with a sequence at which it went on before is news, and nothing later would tell of it.
        """
        if sequence == self.last and terminal and self.goes_on:
            return False
        return sequence <= self.last or sequence in self.parked


class Inbox:
    """Dedupe and order.

    Args:
        release: called with each event that is due, in order, under the inbox's lock: it must only enqueue.
        remember_events: how many event ids are remembered, oldest forgotten first.
        remember_jobs: how many ended jobs' last sequences are remembered, oldest forgotten first. Of jobs that
            have not ended it is ten times as many, those that were silent for longest forgotten first.
    """

    def __init__(
        self,
        release: Callable[[Event], None],
        *,
        remember_events: int = 10_000,
        remember_jobs: int = 100_000,
    ) -> None:
        self._release_to = release
        self._remember_events = remember_events
        self._remember_jobs = remember_jobs
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, bool] = OrderedDict()  # event id -> has been pushed
        self._tracks: OrderedDict[str, _Track] = OrderedDict()  # the job that moved last is last
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._gaps: dict[str, None] = {}
        self._log_is_readable = False

    def restore(
        self, sequences: Mapping[str, int], event_ids: Iterable[str], going_on: Collection[str] = frozenset()
    ) -> None:
        """Go on where an earlier process stood: what it has handled is known, and which jobs had not ended by it."""
        with self._lock:
            for job_id, sequence in sequences.items():
                track = self._tracks[job_id] = _Track()
                track.last = track.pushed = sequence
                track.goes_on = job_id in going_on
                self._ended[job_id] = None  # taken back when the job moves
            for event_id in event_ids:
                self._recall(event_id, pushed=True)
            self._forget()

    def knows(self, event: Event) -> bool:
        """Whether this event was taken in before, by whatever way it came, or is progress that came too late."""
        with self._lock:
            if event.id in self._ids:
                return True
            sequence, track = event.job.sequence, self._tracks.get(event.job.id)
            if sequence is None or track is None:
                return False
            if event.is_progress:
                return sequence < track.last
            return track.has(sequence, terminal=event.job.terminal)

    def offer(self, event: Event, *, pushed: bool) -> Receipt:
        """Take in an event, pushed or read from the log."""
        with self._lock:
            known = self._recall(event.id, pushed=pushed)
            disorder = pushed and not known and self._note_push(event)
            if known is not None:
                return Receipt(Verdict.DUPLICATE if known and pushed else Verdict.KNOWN, disorder)
            return self._place(event, pushed=pushed, disorder=disorder)

    def use_log(self, *, readable: bool) -> None:
        """Say whether gaps can be filled; where they cannot, the newer state simply wins."""
        with self._lock:
            self._log_is_readable = readable
            if not readable:
                for job_id in list(self._gaps):
                    track = self._tracks[job_id]
                    self._release_parked(track, max(track.parked))

    def start_after(self, job_id: str, sequence: int) -> None:
        """Say that a job's events up to `sequence` are from before this client's time.

        Changes nothing once an event of the job was offered.
        """
        with self._lock:
            if job_id not in self._tracks:
                self._tracks[job_id] = track = _Track()
                track.last = sequence

    def gap(self, job_id: str) -> Gap | None:
        """Return the job's gap as it is now, or None."""
        with self._lock:
            track = self._tracks.get(job_id)
            return Gap(job_id, track.last, max(track.parked)) if track and track.parked else None

    def gaps(self) -> list[str]:
        """Return the ids of the jobs that have a gap."""
        with self._lock:
            return list(self._gaps)

    def settle(self, gap: Gap) -> int:
        """Go on over a gap after the log was read: what it did not hold will not come.

        Only what was parked when the gap was looked at is released. The log's order is the order of
        commits, so that a read which began later than the newest parked arrival saw all before it.

        Returns:
            How many sequences were skipped.
        """
        with self._lock:
            track = self._tracks.get(gap.job_id)
            return self._release_parked(track, gap.upto) if track else 0

    def _recall(self, event_id: str, *, pushed: bool) -> bool | None:
        """Return whether this id had been pushed before, or None when it is new."""
        if not event_id:
            return None
        known = self._ids.pop(event_id, None)
        self._ids[event_id] = pushed or bool(known)
        if len(self._ids) > self._remember_events:
            self._ids.popitem(last=False)
        return known

    def _note_push(self, event: Event) -> bool:
        """Note the order of arrivals on the wire; return whether this one was out of order."""
        if event.transition is None:
            return False
        job_id, sequence = event.transition
        track = self._tracks.get(job_id)
        if track is None:
            track = self._tracks[job_id] = _Track()
            track.pushed = sequence
            return False  # the first arrival of a job that may have begun before this client
        newest = max(track.last, track.pushed)
        below = sequence < track.pushed
        track.pushed = max(track.pushed, sequence)
        return below or sequence > newest + 1

    def _place(self, event: Event, *, pushed: bool, disorder: bool) -> Receipt:
        sequence = event.job.sequence
        if sequence is None or not event.job.id:
            self._release_to(event)
            return Receipt(Verdict.RELEASED)
        if event.is_progress:
            return self._place_progress(event, sequence)
        track = self._tracks.setdefault(event.job.id, _Track())
        if sequence <= track.last and disorder:
            return Receipt(Verdict.STALE, disorder)
        if track.has(sequence, terminal=event.job.terminal):
            return Receipt(Verdict.DUPLICATE if pushed else Verdict.KNOWN, disorder)
        had_gap = bool(track.parked)
        track.parked[sequence] = event
        self._gaps[event.job.id] = None
        if sequence == track.last:
            self._release(track, sequence)
        elif self._log_is_readable:
            self._release_contiguous(track)
        else:
            self._release_parked(track, sequence)
        if sequence <= track.last:
            return Receipt(Verdict.RELEASED, disorder)
        return Receipt(Verdict.PARKED, disorder, opens_gap=not had_gap)

    def _place_progress(self, event: Event, sequence: int) -> Receipt:
        track = self._tracks.get(event.job.id)
        if track is not None and sequence < track.last:
            return Receipt(Verdict.STALE)
        self._release_to(event)
        return Receipt(Verdict.RELEASED)

    def _release_contiguous(self, track: _Track) -> None:
        while track.last + 1 in track.parked:
            self._release(track, track.last + 1)

    def _release_parked(self, track: _Track, upto: int) -> int:
        skipped = 0
        for sequence in sorted(number for number in track.parked if number <= upto):
            skipped += sequence - track.last - 1
            self._release(track, sequence)
        self._release_contiguous(track)
        return skipped

    def _release(self, track: _Track, sequence: int) -> None:
        event = track.parked.pop(sequence)
        job_id = event.job.id
        track.last, track.goes_on = sequence, not event.job.terminal
        if not track.parked:
            del self._gaps[job_id]
        self._release_to(event)
        self._tracks.move_to_end(job_id)
        self._ended.pop(job_id, None)
        if event.job.terminal:
            self._ended[job_id] = None
        self._forget()

    def _forget(self) -> None:
        while len(self._ended) > self._remember_jobs:
            self._drop(next(iter(self._ended)))
        while len(self._tracks) - len(self._ended) > 10 * self._remember_jobs:
            silent = next(iter(self._tracks))
            if silent in self._gaps:
                break  # it is being looked into
            self._drop(silent)

    def _drop(self, job_id: str) -> None:
        self._ended.pop(job_id, None)
        if job_id not in self._gaps:
            self._tracks.pop(job_id, None)
