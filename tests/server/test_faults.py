"""Faults on order, over real HTTP: what goes wrong, how often, with what, and what the journal says of it."""

import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from werkzeug import Request, Response

from tests.server.promises import conforms, refused
from tests.server.rig import ENDPOINTS, JOBS, VIDEO
from tests.waiting import PATIENCE
from video_translation_server.chance import Chance
from video_translation_server.faults import Faults
from video_translation_server.model import Delivery
from video_translation_server.testing import TranslationServer
from video_translation_server.wire.responses import Answer, Page
from video_translation_server.wire.simulator import AskedAnswer, FaultAnswer

FAULTS = "/_sim/faults"
SUCCESS = "video_translate.success"
FUTURE = Path(__file__).parents[2] / "contract" / "from_the_future.json"
Deliver = Callable[..., Delivery]
Order = Callable[[str], list[int]]


@pytest.fixture
def http(translation_server: TranslationServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=translation_server.url, trust_env=False, timeout=20) as client:
        yield client


def translate(http: httpx.Client) -> str:
    answer = http.post(JOBS, json={"video": VIDEO, "output_languages": ["German"]})
    return str(answer.json()["data"]["video_translation_ids"][0])


@pytest.fixture
def deliver(http: httpx.Client, translation_server: TranslationServer, httpserver: HTTPServer) -> Deliver:
    """Deliver one success under a rule, to a receiver that takes everything."""
    httpserver.expect_request("/hook").respond_with_data("", status=200)
    http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook"), "events": [SUCCESS]})

    def run(kind: str, **fields: Any) -> Delivery:
        translation_server.faults.add("webhook", kind, **fields)
        job = translate(http)
        translation_server.complete(job)
        return translation_server.wait_for_delivery(job)

    return run


# Answers


def test_an_error_is_answered_as_often_as_it_was_ordered(http: httpx.Client) -> None:
    rule = {"on": "api", "kind": "status", "status": 429, "seconds": 7, "count": 2}
    made = conforms(http.post(FAULTS, json=rule), Answer[FaultAnswer])["data"]
    answers = [http.get(JOBS) for _ in range(3)]
    assert [one.status_code for one in answers] == [429, 429, 200]
    refused(answers[0], 429, "rate_limit_exceeded")
    assert answers[0].headers["retry-after"] == "7"
    assert conforms(http.get(FAULTS), Page[FaultAnswer])["data"] == []
    journal = conforms(http.get("/_sim/requests"), Page[AskedAnswer])["data"]
    assert [(one["status"], one["fault_id"]) for one in journal] == [(429, made["id"])] * 2 + [(200, None)]


@pytest.mark.parametrize(
    ("status", "given", "code"),
    [
        (400, {}, "invalid_parameter"),
        (400, {"code": "download_failed"}, "download_failed"),
        (401, {}, "unauthorized"),
        (402, {}, "insufficient_credit"),
        (403, {}, "forbidden"),
        (404, {}, "resource_not_found"),
        (409, {}, "conflict"),
        (409, {"code": "resource_not_ready"}, "resource_not_ready"),
        (429, {"code": "quota_exceeded"}, "quota_exceeded"),
        (418, {}, "internal_error"),
        (500, {}, "internal_error"),
    ],
)
def test_an_error_has_the_code_of_its_status_or_the_one_that_was_ordered(
    http: httpx.Client, status: int, given: dict[str, str], code: str
) -> None:
    http.post(FAULTS, json={"on": "api", "kind": "status", "status": status, "count": 1} | given).raise_for_status()
    refused(http.get(JOBS), status, code)


def test_an_answer_is_lost_after_what_was_asked_for_was_done(http: httpx.Client) -> None:
    http.post(FAULTS, json={"on": "api", "kind": "reset", "count": 1})
    with pytest.raises(httpx.TransportError):
        translate(http)
    assert len(http.get(JOBS).json()["data"]) == 1


def test_an_answer_is_cut_and_still_an_answer(http: httpx.Client) -> None:
    whole = http.get(JOBS)
    http.post(FAULTS, json={"on": "api", "kind": "malformed", "count": 1})
    cut = http.get(JOBS)
    assert (cut.status_code, cut.content) == (200, whole.content[: len(whole.content) // 2])


def test_a_slow_answer_comes(http: httpx.Client) -> None:
    http.post(FAULTS, json={"on": "api", "kind": "slow", "seconds": 0.05, "count": 1})
    answer = http.get(JOBS)
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.05


def test_a_rule_is_for_a_path_or_a_job(http: httpx.Client) -> None:
    first, second = translate(http), translate(http)
    made = http.post(FAULTS, json={"on": "api", "kind": "status", "job_id": first}).json()["data"]["id"]
    assert [http.get(f"{JOBS}/{one}").status_code for one in (first, second)] == [500, 200]
    assert http.get("/status", params={"video_translation_id": first}).status_code == 500
    http.post(FAULTS, json={"on": "api", "kind": "status", "status": 503, "where": "/v3/webhooks/*"})
    assert http.get(ENDPOINTS).status_code == 503
    left = conforms(http.delete(f"{FAULTS}/{made}"), Page[FaultAnswer])["data"]
    assert [one["where"] for one in left] == ["/v3/webhooks/*"]
    assert http.get(f"{JOBS}/{first}").status_code == 200
    refused(http.delete(f"{FAULTS}/{made}"), 404, "resource_not_found", "fault_id")


# Deliveries


def test_a_delivery_is_dropped_without_the_servers_knowing(deliver: Deliver, httpserver: HTTPServer) -> None:
    assert deliver("drop").attempts == 1
    assert httpserver.log == []


def test_a_delivery_comes_twice(deliver: Deliver, httpserver: HTTPServer) -> None:
    assert deliver("duplicate").attempts == 1
    bodies = [request.get_data() for request, _ in httpserver.log]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_a_delivery_comes_late(deliver: Deliver, httpserver: HTTPServer) -> None:
    assert deliver("delay", seconds=0.01).attempts == 1
    assert len(httpserver.log) == 1


@pytest.fixture
def secret(deliver: Deliver, http: httpx.Client) -> str:  # noqa: ARG001  (it makes the endpoint)
    """The secret of the endpoint that `deliver` made."""
    endpoint = http.get(ENDPOINTS).json()["data"][0]["endpoint_id"]
    return str(http.post(f"{ENDPOINTS}/{endpoint}/rotate-secret", json={}).json()["data"]["secret"])


def verified(secret: str, request: Request) -> Any:
    """The event in a delivery whose signatures, both families, are right."""
    body = request.get_data()
    assert request.headers["heygen-signature"] == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Webhook(secret).verify(body, dict(request.headers))


def test_a_signature_is_of_something_else(deliver: Deliver, httpserver: HTTPServer, secret: str) -> None:
    deliver("bad_signature", count=1)
    deliver("drop", where="http://elsewhere/*")
    bad, good = [request for request, _ in httpserver.log]
    assert bad.headers["webhook-signature"].startswith("v1,")
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(secret).verify(bad.get_data(), dict(bad.headers))
    assert verified(secret, good)["event_type"] == SUCCESS


def test_a_stale_delivery_is_signed_as_of_then(deliver: Deliver, httpserver: HTTPServer, secret: str) -> None:
    deliver("stale_timestamp", count=1, seconds=3600)
    [(stale, _)] = httpserver.log
    assert stale.headers["heygen-timestamp"] == stale.headers["webhook-timestamp"]
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(stale.get_data(), dict(stale.headers))
    then = datetime.fromtimestamp(int(stale.headers["webhook-timestamp"]), UTC)
    signed = Webhook(secret).sign(stale.headers["webhook-id"], then, stale.get_data().decode())
    assert signed == stale.headers["webhook-signature"], "nothing but the time is wrong"


def test_half_a_body_is_sent(deliver: Deliver, httpserver: HTTPServer) -> None:
    deliver("truncated", count=1)
    deliver("drop", where="http://elsewhere/*")
    cut, good = [request.get_data() for request, _ in httpserver.log]
    assert good.endswith(b"}")
    assert not cut.endswith(b"}")


@pytest.mark.parametrize("kind", ["unknown_type", "unknown_status"])
def test_a_word_from_the_future_is_signed_like_any(
    kind: str, deliver: Deliver, httpserver: HTTPServer, secret: str
) -> None:
    done = deliver(kind, count=1)
    [(request, _)] = httpserver.log
    future, event = json.loads(FUTURE.read_bytes()), verified(secret, request)
    data = event["event_data"]
    told = (event["event_type"], data["status"], data["result"])
    if kind == "unknown_type":
        assert told == (future["event_type"], "completed", "completed")
    else:
        assert told == (SUCCESS, future["event_data"]["status"], future["event_data"]["result"])
    assert (event["event_id"], data["video_translate_id"], data["sequence"]) == (done.event_id, done.job_id, 3)


# Order


@pytest.fixture
def order(http: httpx.Client, httpserver: HTTPServer) -> Order:
    """What of a job has reached an endpoint that wants everything, in the order of its coming."""
    httpserver.expect_request("/all").respond_with_data("", status=200)
    http.post(ENDPOINTS, json={"url": httpserver.url_for("/all")})

    def arrived(job: str) -> list[int]:
        datas = [request.get_json()["event_data"] for request, _ in httpserver.log]
        return [data["sequence"] for data in datas if data["video_translate_id"] == job]

    return arrived


def states(server: TranslationServer) -> set[str]:
    return {str(one.state) for one in server.deliveries}


def test_a_delivery_is_overtaken_by_the_next_one_of_its_job(
    http: httpx.Client, translation_server: TranslationServer, order: Order
) -> None:
    translation_server.faults.add("webhook", "reorder", count=1)
    first, second = translate(http), translate(http)
    translation_server.advance(0)
    assert (order(first), order(second)) == ([], [1]), "another job overtakes nobody"
    assert states(translation_server) == {"delivered"}, "the server believes that it has arrived"
    translation_server.advance_to_next()
    assert (order(first), order(second)) == ([2, 1], [1, 2]), "when the call returns, both have arrived"
    translation_server.advance(100)
    assert (order(first), order(second)) == ([2, 1, 3], [1, 2, 3])


def test_a_delivery_that_nobody_overtakes_comes_when_its_time_is_up(
    http: httpx.Client, translation_server: TranslationServer, order: Order
) -> None:
    job = translate(http)
    translation_server.advance(5)
    translation_server.faults.add("webhook", "reorder", seconds=30)
    translation_server.complete(job)
    translation_server.wait_for_delivery(job, event_type=SUCCESS)
    translation_server.advance(29)
    assert order(job) == [1, 2]
    translation_server.advance_to_next()
    assert order(job) == [1, 2, 3]
    assert http.get("/_sim/clock").json()["data"]["next_due_at"] is None


def test_every_second_one_is_overtaken_where_all_are_to_be(
    http: httpx.Client, translation_server: TranslationServer, order: Order
) -> None:
    rule = translation_server.faults.add("webhook", "reorder")
    assert [one["seconds"] for one in http.get(FAULTS).json()["data"] if one["id"] == rule] == [60]
    job = translate(http)
    translation_server.advance(10)
    assert order(job) == [2, 1]
    translation_server.advance(60)
    assert order(job) == [2, 1, 3]


def test_one_that_was_overtaken_comes_no_second_time(
    http: httpx.Client, translation_server: TranslationServer, order: Order
) -> None:
    translation_server.faults.add("webhook", "reorder", count=1)
    job = translate(http)
    translation_server.advance(4000)
    assert order(job) == [2, 1, 3]


def test_a_clock_that_runs_by_itself_brings_it_too(
    translation_server: TranslationServer, httpserver: HTTPServer, deliver: Deliver
) -> None:
    deliver("reorder", seconds=100)
    assert httpserver.log == []
    arrived = threading.Event()

    def take(_: Request) -> Response:
        arrived.set()
        return Response(status=204)

    httpserver.expect_ordered_request("/hook").respond_with_handler(take)
    translation_server.resume(1000)
    assert arrived.wait(PATIENCE)


def test_what_is_held_back_is_forgotten_by_a_reset(
    http: httpx.Client, translation_server: TranslationServer, order: Order
) -> None:
    translation_server.faults.add("webhook", "reorder")
    job = translate(http)
    translation_server.wait_for_delivery(job)
    translation_server.reset()
    translation_server.advance(3600)
    assert order(job) == []


# Rules


def test_a_seed_makes_the_same_faults_again() -> None:
    def run(seed: int) -> list[bool]:
        faults = Faults(lambda prefix: f"{prefix}_1", Chance(seed))
        faults.add("api", "status", probability=0.5)
        return [faults.pick("api", "/status", "/status?") is not None for _ in range(50)]

    assert run(1) == run(1) != run(2)
    assert 10 < sum(run(1)) < 40


def test_a_reset_takes_the_rules_back(http: httpx.Client) -> None:
    http.post(FAULTS, json={"on": "api", "kind": "status"})
    http.post("/_sim/reset")
    assert http.get(JOBS).status_code == 200
    assert len(http.get("/_sim/requests").json()["data"]) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        *itertools.product([{}, {"kind": "slow"}, {"on": "clock", "kind": "slow"}], ["on"]),
        *itertools.product([{"on": "api", "kind": "drop"}, {"on": "webhook", "kind": "slow"}, {"on": "api"}], ["kind"]),
        ({"on": "api", "kind": "slow", "probability": 1.1}, "probability"),
        ({"on": "api", "kind": "slow", "count": 0}, "count"),
        ({"on": "api", "kind": "status", "status": 200}, "status"),
        ({"on": "api", "kind": "status", "code": "No Money"}, "code"),
        ({"on": "api", "kind": "slow", "seconds": -1}, "seconds"),
        ({"on": "api", "kind": "slow", "often": True}, "often"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    refused(http.post(FAULTS, json=body), 400, "invalid_parameter", param)
