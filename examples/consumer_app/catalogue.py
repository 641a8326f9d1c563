"""A course platform's catalogue: each talk is translated, and shown when its translation is there.

`docs/guides/testing.md` tells how its tests work, without an account and without waiting.
"""

import threading

from video_translation_client import Event, VideoTranslationClient


class Catalogue:
    """Which talks are shown, and what went wrong with others."""

    def __init__(self, client: VideoTranslationClient) -> None:
        """Be told of every step of every translation."""
        self._client = client
        self._changed = threading.Condition()
        self.shown: dict[str | None, str | None] = {}
        self.problems: dict[str | None, str | None] = {}
        client.on_event(self._note)
        client.register_webhook()

    def add(self, title: str, video: str, language: str) -> str:
        """Have a talk translated; the answer is the job's id."""
        (job,) = self._client.translate(video, language, title=title)
        return job.id

    def wait_for(self, title: str, timeout: float = 10.0) -> bool:
        """Whether the talk is shown, once that is known."""
        with self._changed:
            self._changed.wait_for(lambda: title in self.shown or title in self.problems, timeout)
            return title in self.shown

    def _note(self, event: Event) -> None:
        with self._changed:
            if event.type == "video_translate.success":
                self.shown[event.job.title] = event.job.video_url
            elif event.type == "video_translate.fail":
                self.problems[event.job.title] = event.job.failure_message
            self._changed.notify_all()
