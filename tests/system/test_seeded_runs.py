"""A run can be repeated: the same seed, calls and moves of the clock give the same ids, order and bytes.

Two servers, one after the other, each with a store of its own; real receivers over real HTTP, which fail by a rule of
their own. Compared is everything but what runs on real time (decision 0013): timestamps of signatures, the signatures
over them, and how long things took.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.server.rig import DELIVERIES, ENDPOINTS, EVENTS, JOBS, VIDEO
from video_translation_server.testing import TranslationServer

SETTINGS = {
    "frozen_at": "2027-01-15T08:00:00Z",
    "public_url": "http://translations.example",
    "translation_time": "20-90",
    "error_rate": 0.3,
    "error_retries": 1,
    "stall_rate": 0.1,
    "progress_steps": 2,
    "retry_jitter": 0.2,
    "retry_delays": "5,30,120",
}
FAILURES = {"/alone": 503, "/flaky": 500}
LANGUAGES = ["German", "French", "Spanish (Spain)"]


@dataclass
class Receivers:
    """What has arrived, by path: (id, body, signature of the body), in the order of its coming."""

    url: str
    arrived: defaultdict[str, list[tuple[str, bytes, str]]] = field(default_factory=lambda: defaultdict(list))
    _tries: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, request: Request) -> Response:
        name = request.headers["webhook-id"]
        self.arrived[request.path].append((name, request.get_data(), request.headers["heygen-signature"]))
        self._tries[request.path, name] += 1
        sequence = json.loads(request.get_data())["event_data"].get("sequence")
        # Only those fail who get one at a time: how others are spared depends on which of their attempts end together.
        is_down = request.path in FAILURES and self._tries[request.path, name] <= {2: 1, 3: 2}.get(sequence, 0)
        return Response(status=FAILURES[request.path] if is_down else 204)

    def forget(self) -> None:
        self.arrived.clear()
        self._tries.clear()


@pytest.fixture
def receivers(httpserver: HTTPServer) -> Receivers:
    there = Receivers(httpserver.url_for(""))
    for path in ("/alone", "/flaky", "/ends", "/callback"):
        httpserver.expect_request(path).respond_with_handler(there.take)
    return there


class Calls:
    """Makes calls, and keeps every answer: status, id of the request, bytes."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=20)
        self.answers: list[tuple[str, int, str, bytes]] = []

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        answer = self._http.request(method, path, **options)
        told = (f"{method} {path}", answer.status_code, answer.headers["x-request-id"], answer.content)
        self.answers.append(told)
        return answer.json().get("data")

    def close(self) -> None:
        self._http.close()


def carry_out(folder: Path, receivers: Receivers, seed: int) -> dict[str, Any]:
    """One run: everything that can be told of it."""
    receivers.forget()
    folder.mkdir()
    with TranslationServer(folder, **SETTINGS, seed=seed) as server:
        call = Calls(server.url)
        call("POST", ENDPOINTS, json={"url": f"{receivers.url}/alone", "max_in_flight": 1})
        call("POST", ENDPOINTS, json={"url": f"{receivers.url}/flaky", "asymmetric": True, "max_in_flight": 1})
        call("POST", ENDPOINTS, json={"url": f"{receivers.url}/ends", "events": ["video_translate.fail"]})
        call("GET", "/v3/webhooks/secret")
        for on, kind, probability in (
            ("webhook", "duplicate", 0.2),
            ("webhook", "unknown_status", 0.2),
            ("webhook", "reorder", 0.2),
            ("webhook", "drop", 0.1),
            ("api", "status", 0.3),
        ):
            call("POST", "/_sim/faults", json={"on": on, "kind": kind, "probability": probability})
        order = {"video": VIDEO, "output_languages": LANGUAGES, "callback_url": f"{receivers.url}/callback"}
        for number in range(6):
            call("POST", JOBS, json=order | {"title": f"Talk {number}"})
            server.advance(7)
        call("POST", f"{JOBS}/batches", json={"video_translations": [order], "title": "All"})
        call("POST", "/v3/assets", files={"file": ("talk.srt", b"1\n", "text/plain")})
        server.configure(error_rate=0)
        call("POST", f"{JOBS}/{server.deliveries[-1].job_id}/cancel")
        server.advance(3600)
        server.faults.clear()
        for path in (JOBS, EVENTS, ENDPOINTS, DELIVERIES, "/_sim/requests"):
            call("GET", path, params={"limit": 100} if path.startswith("/v3") else None)
        call.close()
        arrived = {path: list(told) for path, told in receivers.arrived.items()}
        journal = [(one.method, one.path, one.status, one.fault_id) for one in server.requests]
    return {
        # The journal of requests has real time in it.
        "answers": [told for told in call.answers if "/_sim/requests" not in told[0]],
        "journal": journal,
        "one at a time": [arrived[path] for path in FAILURES],
        "by job": {path: by_job(told) for path, told in arrived.items()},
    }


def by_job(arrived: list[tuple[str, bytes, str]]) -> dict[str, list[tuple[str, bytes, str]]]:
    """One receiver's deliveries, in order per job: jobs of the same instant are sent to it side by side."""
    found = defaultdict(list)
    for told in arrived:
        found[str(json.loads(told[1])["event_data"].get("video_translate_id"))].append(told)
    return dict(found)


@pytest.mark.timeout(240)
def test_the_same_seed_gives_the_same_ids_order_and_bytes(tmp_path: Path, receivers: Receivers) -> None:
    one, same, other = (carry_out(tmp_path / name, receivers, seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert len(one["one at a time"][0]) > 60
    assert {status for _, status, _, _ in one["answers"]} == {200, 500}, "some calls went wrong, as ordered"
    for part in one:
        assert one[part] == same[part], part
    assert not {name for name, _, _ in one["one at a time"][0]} & {name for name, _, _ in other["one at a time"][0]}


def test_a_restart_goes_on_with_ids_that_there_have_not_been(tmp_path: Path) -> None:
    seen: list[str] = []
    for _ in range(3):
        with TranslationServer(tmp_path, **SETTINGS, seed=5) as server:
            call = Calls(server.url)
            made = call("POST", JOBS, json={"video": VIDEO, "output_languages": LANGUAGES})["video_translation_ids"]
            server.advance(600)
            seen += [*made, *(event["event_id"] for event in call("GET", EVENTS, params={"limit": 100}))][: 3 + 9]
            call.close()
    assert len(set(seen)) == len(seen) == 36
