"""A whole client with a durable inbox: what it stores, repeats and catches up with over a restart."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.client.conftest import MakeClient
from tests.client.fake_server import FakeServer
from tests.client.recorder import Recorder
from tests.waiting import PATIENCE
from video_translation_client import Event, InboxError, InboxState, RetryLater, VideoTranslationClient
from video_translation_client._durable import SQLiteInbox

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "durable-inbox.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


def crash(client: VideoTranslationClient, server: FakeServer) -> None:
    """End a client as a crash does: nothing more is handled or marked; then let go of the file."""
    client._engine.dispatcher.stop(0.0)
    server.forget_endpoints()
    client.close(timeout=0.0)


def test_a_restarted_client_goes_on_where_the_last_one_stood(
    server: FakeServer, make_client: MakeClient, path: Path
) -> None:
    first, second = Recorder(), Recorder()
    client = make_client(inbox=path)
    client.register_webhook(first)
    (job,) = client.translate("https://v", ["French"])
    server.push(server.move(job.id, "running"), server.log[0])
    first.wait_for(2)
    client.close()
    server.move(job.id, "completed")  # while nobody listens
    other = server.new_job()

    client = make_client(inbox=path)
    client.register_webhook(second)
    server.push(*server.log)
    second.wait_for(2)
    client.close()
    assert first.sequences(job.id) == [1, 2]
    assert (second.sequences(job.id), second.sequences(other)) == ([3], [1])
    assert server.count("job") == 0


def test_what_was_stored_and_not_handled_is_handled_by_the_next_start(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def stuck(_: Event) -> None:
        entered.set()
        let_go.wait(PATIENCE)

    client = make_client(inbox=path)
    client.register_webhook(stuck)
    job_id = server.new_job()
    server.move(job_id, "completed")
    assert server.push(*server.log) == [204, 204]
    assert entered.wait(PATIENCE)
    crash(client, server)
    let_go.set()

    client = make_client(inbox=path)
    client.register_webhook(recorder)
    recorder.wait_for(2)
    client.close()
    assert recorder.sequences(job_id) == [1, 2]


def test_progress_that_came_too_late_is_not_stored_for_ever(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    client = make_client(inbox=path)
    client.register_webhook(recorder)
    job_id = server.new_job()
    server.move(job_id, "completed")
    assert server.push(*server.log) == [204, 204]
    late = server.log[0] | {"event_id": "evt_late", "event_type": "video_translate.progress"}
    assert server.push(late) == [204]
    recorder.wait_for(2)
    client.close()
    with closing(SQLiteInbox(path)) as inbox:
        assert inbox.load().waiting == []


def test_a_second_start_after_a_clean_end_repeats_nothing(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    client = make_client(inbox=path)
    client.register_webhook(recorder)
    job_id = server.new_job()
    server.push(*server.log)
    recorder.wait_for(1)
    client.close()
    again = Recorder()
    client = make_client(inbox=path)
    client.register_webhook(again)
    server.push(*server.log, server.move(job_id, "running"))
    again.wait_for(1)
    client.close()
    assert again.sequences(job_id) == [2]


def test_events_wait_for_the_first_callback(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    client = make_client(inbox=path)
    client.register_webhook()
    job_id = server.new_job()
    server.move(job_id, "running")
    server.push(*server.log)
    client.close()
    client = make_client(inbox=path)
    client.register_webhook()
    client.on_event(recorder)
    recorder.wait_for(2)
    assert recorder.sequences(job_id) == [1, 2]


def test_a_callback_may_ask_for_the_event_again_and_the_order_stays(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    refusals = iter([True, True, False, False])

    def callback(event: Event) -> None:
        if next(refusals):
            raise RetryLater(0.001)
        recorder(event)

    client = make_client(inbox=path)
    client.register_webhook(callback)
    job_id = server.new_job()
    server.move(job_id, "running")
    server.push(*server.log)
    recorder.wait_for(2)
    client.close()
    assert recorder.sequences(job_id) == [1, 2]
    assert client.metrics().callback_errors == 2


def test_what_waits_to_be_tried_again_survives_the_end(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    asked = threading.Event()

    def busy(_: Event) -> None:
        asked.set()
        raise RetryLater(3600.0)

    client = make_client(inbox=path)
    client.register_webhook(busy)
    job_id = server.new_job()
    server.push(*server.log)
    assert asked.wait(PATIENCE)
    client.close()
    client = make_client(inbox=path)
    client.register_webhook(recorder)
    recorder.wait_for(1)
    assert recorder.sequences(job_id) == [1]


def test_a_callback_that_raises_has_handled_its_event(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    called = threading.Event()

    def broken(_: Event) -> None:
        called.set()
        raise ZeroDivisionError("on purpose")

    client = make_client(inbox=path)
    client.register_webhook(broken)
    job_id = server.new_job()
    server.push(*server.log)
    assert called.wait(PATIENCE)
    client.close()
    client = make_client(inbox=path)
    client.register_webhook(recorder)
    server.push(server.move(job_id, "running"))
    recorder.wait_for(1)
    assert recorder.sequences(job_id) == [2]


class Full:
    """A storage whose disk is full as long as a test says so."""

    def __init__(self) -> None:
        self.is_full = True

    def load(self) -> InboxState:
        return InboxState()

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        del done
        if (keep or cursor) and self.is_full:
            raise OSError("no space left on device")

    def close(self) -> None:
        pass


def test_a_delivery_that_cannot_be_stored_is_asked_to_come_again(
    server: FakeServer, make_client: MakeClient, recorder: Recorder
) -> None:
    storage = Full()
    client = make_client(inbox=storage)
    with pytest.raises(InboxError, match="no space left"):  # it must know where it begins
        client.register_webhook(recorder)
    assert server.endpoints == {}
    storage.is_full = False
    client.register_webhook(recorder)
    storage.is_full = True
    job_id = server.new_job()
    assert server.push(*server.log) == [503]
    assert recorder.events == []
    storage.is_full = False
    assert server.push(*server.log) == [204]
    recorder.wait_for(1)
    assert recorder.sequences(job_id) == [1]
    assert client.metrics().pushes_refused == 1


def test_the_same_delivery_many_times_at_once_is_handled_once(
    server: FakeServer, make_client: MakeClient, path: Path, recorder: Recorder
) -> None:
    client = make_client(inbox=path)
    client.register_webhook(recorder)
    server.new_job()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.push(server.log[0]), range(16)))
    assert answers == [[204]] * 16
    client.close()
    assert len(recorder.events) == 1


@pytest.mark.parametrize("block", BLOCKS)
def test_the_guides_blocks_run(block: str, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile(block.replace("http://localhost:8000", server.url), GUIDE.name, "exec")
    exec(code, {"__name__": "guide"})  # noqa: S102 - it is our own page
