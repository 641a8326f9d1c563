"""What is told around a restore, and what our client must make of it. How the store is saved and restored, tests know.

Real servers and clients over real HTTP. Jobs are moved by hand, so that what is saved and what is lost is certain.
"""

import json
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.client.recorder import Recorder
from tests.waiting import PATIENCE, until
from video_translation_client import Job, JobCancelledError, NotFoundError, PollPolicy, VideoTranslationClient

VIDEO = "https://example.com/talk.mp4"
SOON = PollPolicy(first=0.2, factor=1.0, cap=0.2, jitter=0.0)
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The blocks of commands and settings below a heading of docs/operations.md."""
    [section] = re.findall(rf"^### {heading}\n(.*?)(?=^##)", OPERATIONS, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```(?:bash|ini)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


class Door:
    """The HTTP endpoint of a client's receiver, in a service of the user's own; keeps count of what comes in."""

    def __init__(self, http: HTTPServer) -> None:
        self.url = http.url_for("/hook")
        self.answered: list[tuple[str, tuple[str, int], int]] = []
        """Event id, job and sequence, and status of the answer of each delivery."""
        self.is_waiting = threading.Event()
        self.client: VideoTranslationClient | None = None
        self._held: tuple[str, int] | None = None
        self._opened = threading.Event()
        http.expect_request("/hook").respond_with_handler(self._take)

    def hold(self, job: Job, sequence: int) -> None:
        """Leave the one who brings this event waiting, until `open`."""
        self._held = job.id, sequence

    def open(self) -> None:
        """Let everybody in."""
        self._held = None
        self._opened.set()

    def times(self, job: Job, sequence: int) -> Counter[str]:
        """How often each event of this sequence was delivered and taken."""
        return Counter(
            event_id for event_id, which, status in self.answered if (which, status) == ((job.id, sequence), 204)
        )

    def _take(self, request: Request) -> Response:
        body = request.get_data()
        told = json.loads(body)
        which = told["event_data"]["video_translate_id"], told["event_data"]["sequence"]
        if which == self._held:
            self.is_waiting.set()
            assert self._opened.wait(PATIENCE)
        assert self.client is not None
        reply = self.client.webhook_receiver.handle(request.method, dict(request.headers), body)
        self.answered.append((told["event_id"], which, reply.status))
        return Response(reply.body, reply.status, reply.end_to_end)


class Rehearsal:
    """One story in three parts: what is saved, what is lost, and what comes after the restore.

    A client with a durable inbox gets it pushed, and another one, without, over the stream.
    """

    def __init__(self, url: str, door: Door, inbox: Path) -> None:
        self.door = door
        self.seen, self.streamed = Recorder(), Recorder()
        self._url, self._inbox = url, inbox
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE)
        self.client = self._connected(self.seen)
        self._stream = VideoTranslationClient(url, mode="stream", poll=SOON)
        self._stream.on_event(self.streamed)

    def _connected(self, seen: Recorder) -> VideoTranslationClient:
        client = VideoTranslationClient(self._url, inbox=self._inbox, mode="webhook", safety_net=SOON)
        self.door.client = client
        client.register_webhook(seen, url=self.door.url)
        return client

    def close(self) -> None:
        """End the clients."""
        self.door.open()
        self._stream.close()
        self.client.close()
        self._http.close()

    def tell_what_is_saved(self) -> None:
        """One job has ended, one goes on, one has not begun; and one's end is on its way when the store is saved."""
        [self.done] = self._translate("French", client=self._stream)  # which begins to read with its first job
        until(lambda: self._stream.health().mode == "stream" and self._stream.health().cursor)
        self.half, self.turned, self.held = self._translate("German", "Hindi", "Czech")
        self._move(self.done, self.done, self.half, self.held)
        self.seen.wait_for(4 + 4, PATIENCE)
        self.door.hold(self.held, 3)
        self._move(self.held)
        assert self.door.is_waiting.wait(PATIENCE)

    def tell_what_is_lost(self) -> None:
        """All of it is delivered, and read from the log; one job goes on, and somebody waits for its end."""
        self.door.open()
        self._move(self.half, self.turned)
        self.lost, self.waited_for = self._translate("English", "French")
        self._move(self.lost, self.lost)
        for seen in (self.seen, self.streamed):
            seen.wait_for(9 + 2 + 4, PATIENCE)
        self.lost_end = self._log("cur_0")["cursor"]
        until(lambda: self.client.health().cursor == self._stream.health().cursor == self.lost_end)
        until(self._everything_is_delivered)
        self._deliveries = self.door.times(self.held, 3).total()

    def go_on(self) -> None:
        """The restored server delivers again what it does not know to be delivered; then it moves on, another way."""
        until(lambda: self.door.times(self.held, 3).total() > self._deliveries)
        assert len(self.door.times(self.held, 3)) == 1, "the same event"
        for waiting in (self.waited_for, self._stream.job(self.waited_for.id)):
            with pytest.raises(NotFoundError):
                waiting.result(PATIENCE)
        self._move(self.half)
        self._http.post(f"/v3/video-translations/{self.turned.id}/cancel").raise_for_status()
        [self.fresh] = self._translate("English")
        self._move(self.fresh, self.fresh)
        for seen in (self.seen, self.streamed):
            seen.wait_for(15 + 1 + 3, PATIENCE)
        until(self._everything_is_delivered)

    def check(self) -> None:
        """Each event was told once and in order, whatever was delivered how often; nothing that was new is missing."""
        for seen in (self.seen, self.streamed):
            assert [seen.sequences(job.id) for job in (self.done, self.half, self.held, self.lost, self.fresh)] == [
                [1, 2, 3]
            ] * 5
            states = [(event.job.sequence, event.job.status) for event in seen.events if event.job.id == self.turned.id]
            assert states == [(1, "pending"), (2, "running"), (2, "failed")]
            assert len(seen.events) == len({event.id for event in seen.events}) == 19
        assert len(self.door.times(self.half, 3)) == 2, "two events of one transition came, and the second was dropped"
        assert self.client.metrics().duplicates_dropped >= 1
        assert (self.client.metrics().log_breaks, self._stream.metrics().log_breaks) == (0, 0)
        assert [self.half.result(PATIENCE).status, self.lost.result(PATIENCE).status] == ["completed"] * 2
        with pytest.raises(JobCancelledError):
            self.turned.result(PATIENCE)
        new = [event["event_data"]["video_translate_id"] for event in self._log(self.lost_end)["data"]]
        assert new == [self.half.id, self.turned.id, *[self.fresh.id] * 3], "what is behind a cursor of before is new"

    def start_the_client_anew(self) -> None:
        """A client that is started on the same inbox is told what is new, and nothing else."""
        self.client.close()
        again = Recorder()
        self.client = self._connected(again)
        [last] = self._translate("English")
        self._move(last, last)
        again.wait_for(3, PATIENCE)
        until(self._everything_is_delivered)
        assert (again.sequences(last.id), len(again.events)) == ([1, 2, 3], 3)

    def _translate(self, *languages: str, client: VideoTranslationClient | None = None) -> list[Job]:
        return list((client or self.client).translate(VIDEO, languages, simulation={"progression": "manual"}))

    def _move(self, *jobs: Job) -> None:
        for job in jobs:
            self._http.post(f"/_sim/jobs/{job.id}/advance").raise_for_status()

    def _log(self, after: str) -> Any:
        return self._http.get("/v3/webhooks/events", params={"after": after, "limit": 100}).raise_for_status().json()

    def _everything_is_delivered(self) -> bool:
        answer = self._http.get("/v3/webhooks/deliveries", params={"limit": 100}).raise_for_status().json()
        return all(delivery["state"] == "delivered" for delivery in answer["data"])
