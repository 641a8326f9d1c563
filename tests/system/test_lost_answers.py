"""A create whose answer is lost on the way: the service has made the job, the client asks again, and there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from examples.local_server import LocalServer
from tests.server.footage import clip
from tests.waiting import PATIENCE
from video_translation_client import AsyncVideoTranslationClient, PollPolicy, VideoTranslationClient

VIDEO = "https://example.com/talk.mp4"
NEVER = PollPolicy(first=3600.0, factor=1.0, cap=3600.0)


@contextmanager
def losing(target: str, is_lost: Callable[[int], bool]) -> Iterator[str]:
    """A proxy that hands requests on, and cuts the connection instead of the n-th answer to a POST."""
    posts = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal posts
            posts += 1
            number = posts
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            kept = ("content-type", "idempotency-key")
            headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
            answer = httpx.post(target + self.path, content=body, headers=headers, trust_env=False)
            self.close_connection = True
            if is_lost(number):
                return
            self.send_response(answer.status_code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """The test looks at what the server has."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
        thread.join(PATIENCE)


def jobs_at(url: str) -> list[str]:
    with VideoTranslationClient(url) as client:
        return [job.id for job in client.list_jobs()]


def test_a_create_whose_answer_was_lost_makes_one_job(server: LocalServer) -> None:
    with (
        losing(server.url, lambda number: number < 3) as proxy,
        VideoTranslationClient(proxy, poll=NEVER, safety_net=NEVER) as client,
    ):
        (job,) = client.translate(VIDEO, ["French"])
        assert client.metrics().requests["create_translation"] == 3
    assert jobs_at(server.url) == [job.id]


async def test_the_async_client_makes_one_job_too(server: LocalServer) -> None:
    with losing(server.url, lambda number: number == 1) as proxy:
        async with AsyncVideoTranslationClient(proxy, poll=NEVER, safety_net=NEVER) as client:
            (job,) = await client.translate(VIDEO, ["French"])
    assert jobs_at(server.url) == [job.id]


@pytest.mark.parametrize("retries", [0, 2])
def test_a_create_that_goes_on_at_another_url_makes_one_job(server: LocalServer, retries: int) -> None:
    with (
        losing(server.url, lambda _: True) as broken,
        VideoTranslationClient([broken, server.url], max_retries=retries, poll=NEVER, safety_net=NEVER) as client,
    ):
        (job,) = client.translate(VIDEO, ["French"])
        assert client.get_job(job.id).id == job.id
        assert client.base_url == server.url
    assert jobs_at(server.url) == [job.id]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(clip(1.0))
    return path


def kept(folder: Path) -> list[str]:
    """The files that the server holds; its database is in this folder."""
    return [path.name for path in folder.glob("*/asset*")]


def test_an_upload_and_a_batch_whose_answers_were_lost_make_one_each(own_server: LocalServer, video: Path) -> None:
    with (
        losing(own_server.url, lambda number: number % 2 == 1) as proxy,
        VideoTranslationClient(proxy, poll=NEVER, safety_net=NEVER) as client,
    ):
        batch = client.batches.create(
            [{"video": VIDEO, "output_languages": ["French"]}, {"video": video, "output_languages": ["German"]}]
        )
        requests = client.metrics().requests
        assert (requests["upload_asset"], requests["create_batch"]) == (2, 2)
    assert sorted(jobs_at(own_server.url)) == sorted(job.id for job in batch.jobs)
    with VideoTranslationClient(own_server.url) as client:
        assert client.batches.get(batch.id).total == 2
    assert len(kept(video.parent)) == 1


async def test_the_async_clients_upload_makes_one_too(own_server: LocalServer, video: Path) -> None:
    with losing(own_server.url, lambda number: number == 1) as proxy:
        async with AsyncVideoTranslationClient(proxy, poll=NEVER, safety_net=NEVER) as client:
            asset = await client.assets.upload(video)
    assert kept(video.parent) == [asset.id]
