"""`video-translation listen`: prints what the stream tells, resumes where it broke, forwards with signatures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from video_translation_client import VideoTranslationClient
from video_translation_client._signature import Keyring
from video_translation_client.cli.program import cli
from video_translation_client.cli.tailing import Tail

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Run = Callable[..., Result]


def body(number: int) -> str:
    data = {"video_translate_id": f"vt_{number}", "status": "completed", "output_language": "\x1b[2J"}
    event = {"event_id": f"evt_{number}", "event_type": "video_translate.success", "event_data": data}
    return json.dumps(event)


def frames(*numbers: int) -> bytes:
    return b"retry: 1\nid: cur_0\n\n: ping\n\n" + b"".join(
        b"id: cur_%d\nevent: x\ndata: %s\n\n" % (number, body(number).encode()) for number in numbers
    )


@pytest.fixture
def asked(httpserver: HTTPServer) -> list[dict[str, str]]:
    """Each connection tells the next two events and breaks."""
    found: list[dict[str, str]] = []

    def answer(request: Request) -> Response:
        after = request.headers.get("last-event-id")
        found.append(dict(request.args) | ({} if after is None else {"after": after}))
        first = int((after or "cur_0").removeprefix("cur_")) + 1
        return Response(frames(first, first + 1), content_type="text/event-stream")

    httpserver.expect_request("/v3/events/stream").respond_with_handler(answer)
    return found


@pytest.fixture
def run(httpserver: HTTPServer) -> Run:
    return lambda *words: CliRunner().invoke(cli, ["--base-url", httpserver.url_for(""), "listen", *words])


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_events_are_printed_and_a_broken_stream_is_resumed(asked: list[dict[str, str]], run: Run) -> None:
    result = run("--json", "--limit", "3", "--events", "a,b")
    assert lines(result)[2] == {"cursor": "cur_3", "event": json.loads(body(3)), "forwarded": None}
    assert asked == [{"event_type": "a,b"}, {"event_type": "a,b", "after": "cur_2"}]


def test_people_read_a_line_per_event_with_the_cursor(asked: list[dict[str, str]], run: Run) -> None:
    result = run("--limit", "1", "--from", "cur_7")
    assert result.stdout == "-  video_translate.success  vt_8  \\x1b[2J  completed  [cur_8]\n"
    assert asked == [{"after": "cur_7"}]
    assert result.stderr.startswith("Listening to ")


def test_forwarded_events_are_signed_with_the_secret(
    httpserver: HTTPServer, asked: list[dict[str, str]], run: Run
) -> None:
    taken: list[tuple[bytes, dict[str, str]]] = []

    def take(request: Request) -> Response:
        taken.append((request.get_data(), {name.lower(): value for name, value in request.headers.items()}))
        return Response(status=204 if len(taken) == 1 else 500)

    httpserver.expect_request("/hook", method="POST").respond_with_handler(take)
    result = run("--json", "--limit", "2", "--forward-to", httpserver.url_for("/hook"), "--secret", SECRET)
    assert [item["forwarded"]["status"] for item in lines(result)] == [204, 500]
    assert f"verifies with the secret {SECRET}" in result.stderr
    assert [content.decode() for content, _ in taken] == [body(1), body(2)]
    for content, headers in taken:
        assert Keyring([SECRET]).verify(content, headers, now=time.time()).event_id == json.loads(content)["event_id"]
        del headers["webhook-signature"]
        assert Keyring([SECRET]).verify(content, headers, now=time.time()).family == "heygen"
    assert len(asked) == 1


def test_an_app_that_is_away_is_told_and_listening_goes_on(asked: list[dict[str, str]], run: Run) -> None:
    result = run("--json", "--limit", "2", "--forward-to", "http://127.0.0.1:1/hook")
    assert [item["forwarded"]["status"] for item in lines(result)] == [None, None]
    assert "no answer from http://127.0.0.1:1/hook" in lines(result)[0]["forwarded"]["error"]
    assert "whsec_" in result.stderr
    assert len(asked) == 1


@pytest.mark.parametrize(
    "words", [("--forward-to", "localhost:3000"), ("--forward-to", "http://localhost:1", "--secret", "no!")]
)
def test_what_cannot_work_is_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_service_without_a_stream_is_told_with_the_way_out(httpserver: HTTPServer, run: Run) -> None:
    httpserver.expect_request("/v3/events/stream").respond_with_json({"error": {"code": "x"}}, status=404)
    result = run()
    assert result.exit_code == 1
    assert "has no event stream; use a webhook" in result.stderr


def test_a_stream_that_cannot_be_opened_at_first_is_exit_code_4() -> None:
    assert CliRunner().invoke(cli, ["listen", "--base-url", "http://127.0.0.1:1"]).exit_code == 4


def test_a_broken_stream_is_tried_again_with_growing_pauses(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/v3/events/stream").respond_with_data(frames(1))
    for _ in range(3):
        httpserver.expect_ordered_request("/v3/events/stream").respond_with_data(status=503)
    httpserver.expect_ordered_request("/v3/events/stream").respond_with_data(frames(2))
    pauses: list[float] = []
    complaints: list[str] = []
    with VideoTranslationClient(httpserver.url_for("")) as client:
        messages = Tail(client, (), None, complaints.append, pauses.append).messages()
        assert [next(messages).id, next(messages).id] == ["cur_1", "cur_2"]
    assert pauses == [0.2, 1.0, 2.0, 5.0]
    assert len(complaints) == 4
