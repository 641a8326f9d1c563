"""A callback that remembers, and can be waited on."""

from __future__ import annotations

import threading

from tests.waiting import PATIENCE
from video_translation_client import Event


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()

    def wait_for(self, count: int, timeout: float = PATIENCE) -> list[Event]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.events) >= count, timeout), (
                f"only {len(self.events)} of {count} events came: {self.events}"
            )
            return list(self.events)

    def sequences(self, job_id: str) -> list[int | None]:
        return [event.job.sequence for event in self.events if event.job.id == job_id]
