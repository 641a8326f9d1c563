"""One attempt: what is sent, how it is signed, what is said of it in the log."""

import hashlib
import hmac
import json
import time
from itertools import count
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.server.rig import HOOK, FakeSender, Rig, SteppedClock, answered, serving
from video_translation_server import __version__
from video_translation_server.delivery.attempt import Attempter
from video_translation_server.delivery.courier import Courier
from video_translation_server.model import Claim, Dead, Delivered, Outcome, OutcomeKind, RetryAt, Settlement
from video_translation_server.retry import RetryPolicy
from video_translation_server.signing import new_secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def claim(attempt: int = 1, secrets: tuple[str, ...] = (SECRET,)) -> Claim:
    return Claim(
        delivery_id=1,
        claim_id=2,
        attempt=attempt,
        tries=attempt,
        first_attempt_at=None,
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        event_type="video_translate.success",
        job_id="vt_1",
        sequence=3,
        body=b'{"test": 2432232314}',
        endpoint_id="ep_1",
        url=HOOK,
        secrets=secrets,
        private_key=None,
        headers={},
    )


def attempter(clock: SteppedClock, sender: FakeSender, start: int = 1614265330) -> Attempter:
    times = count(start)
    return Attempter(
        carrier=Courier(sender, deadline=7, real_time=lambda: float(next(times))),
        policy=RetryPolicy(),
        clock=clock,
        chance=lambda _: 0.5,
    )


async def attempted(attempts: Attempter, claimed: Claim) -> Settlement:
    flight = attempts.begin(claimed)
    await flight.outcome
    return attempts.judge(flight)


def verifies(secret: str, headers: dict[str, str], body: bytes) -> None:
    """By other people's code for the one family, by the rule of contract/README.md for the other."""
    Webhook(secret).verify(body, headers)
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["Heygen-Signature"] == expected


async def test_the_headers_are_these_and_no_others() -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    await attempted(attempter(clock, sender), claim())
    [post] = sender.posts
    assert (post.url, post.body, post.deadline) == (HOOK, b'{"test": 2432232314}', 7)
    assert post.headers == {
        "Content-Type": "application/json",
        "User-Agent": f"video-translation-server/{__version__}",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "Heygen-Signature": "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c",
        "Heygen-Timestamp": "1614265330",
        "Heygen-Event-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    }


async def test_each_attempt_is_signed_anew_over_the_same_bytes() -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    now = int(time.time())
    attempts = attempter(clock, sender, start=now)
    for number in (1, 2, 3):
        await attempted(attempts, claim(number))
    assert {post.body for post in sender.posts} == {claim().body}
    assert [post.headers["webhook-timestamp"] for post in sender.posts] == [str(now), str(now + 1), str(now + 2)]
    assert [post.headers["Heygen-Timestamp"] for post in sender.posts] == [str(now), str(now + 1), str(now + 2)]
    assert len({post.headers["webhook-signature"] for post in sender.posts}) == 3
    for post in sender.posts:
        verifies(SECRET, dict(post.headers), post.body)


async def test_during_an_overlap_both_secrets_sign() -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    fresh = new_secret()
    await attempted(attempter(clock, sender, start=int(time.time())), claim(secrets=(fresh, OLD_SECRET)))
    headers = dict(sender.posts[0].headers)
    verifies(fresh, headers, claim().body)
    Webhook(OLD_SECRET).verify(claim().body, headers)


async def test_the_settlement_tells_when_and_how_long() -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)

    def answer(_: object) -> Outcome:
        clock.advance(3)
        return answered(500)

    sender.answer = answer
    settlement = await attempted(attempter(clock, sender), claim(2))
    assert settlement.claim == claim(2)
    assert settlement.attempt.number == 2
    assert settlement.attempt.started_at == 1_800_000_000
    assert 0 <= settlement.attempt.duration < 1
    assert settlement.verdict == RetryAt(1_800_000_003 + 30 * 1.1), "the delay begins when the answer is there"


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind is not OutcomeKind.STATUS])
async def test_whatever_the_network_does_is_a_verdict(kind: OutcomeKind) -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    sender.answer = lambda _: Outcome(kind=kind, detail="so it went")
    attempts = attempter(clock, sender)
    assert isinstance((await attempted(attempts, claim())).verdict, RetryAt)
    assert (await attempted(attempts, claim(11))).verdict == Dead()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_only_2xx_is_delivered(status: int) -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    sender.answer = lambda _: answered(status)
    assert (await attempted(attempter(clock, sender), claim())).verdict == Delivered()


@pytest.mark.parametrize("status", [199, 300, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503, 599])
async def test_everything_else_is_tried_again(status: int) -> None:
    clock = SteppedClock()
    sender = FakeSender(clock)
    sender.answer = lambda _: answered(status)
    assert isinstance((await attempted(attempter(clock, sender), claim())).verdict, RetryAt)


async def test_what_a_receiver_gets_verifies_with_the_secret_that_it_was_told(rig: Rig) -> None:
    secret = (await rig.register())["secret"]
    [job_id] = await rig.translate(title="映画", simulation={"outcome": "completed"})
    for seconds in (0, 1, 9):
        await rig.advance(seconds)
    assert rig.sender.sequences(job_id) == [1, 2, 3]
    for post in rig.sender.posts:
        verifies(secret, dict(post.headers), post.body)
        assert post.headers["webhook-id"] == post.headers["Heygen-Event-Id"] == post.event["event_id"]
        assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < 60, "real time, not the server's clock"


async def test_the_body_is_the_jobs_snapshot(rig: Rig) -> None:
    await rig.register()
    [good, bad] = await rig.translate("English", "German", callback_id="order-17", simulation={"duration_seconds": 10})
    [broken] = await rig.translate(
        simulation={"outcome": "failed", "error_message": "No audio", "duration_seconds": 10}
    )
    await rig.advance(1)
    await rig.advance(9)
    last = {post.job: post.event for post in rig.sender.posts if post.sequence == 3}
    assert set(last) == {good, bad, broken}
    success, failure = last[good], last[broken]
    assert success["event_type"] == "video_translate.success"
    assert success["created_at"] == "2027-01-15T08:00:10.000Z"
    data = success["event_data"]
    assert data.pop("url") == data["video_url"]
    snapshot = await rig.job(good)
    assert data.pop("video_translate_id") == snapshot.pop("id")
    assert data.pop("result") == "completed"
    for name in ("priority", "queue_position", "estimated_start_at"):
        del snapshot[name]  # what the line looks like just now is no part of an event
    assert data == snapshot
    assert (failure["event_type"], failure["event_data"]["message"]) == ("video_translate.fail", "No audio")
    assert (failure["event_data"]["result"], failure["event_data"]["status"]) == ("error", "failed")
    assert "url" not in failure["event_data"]
    assert "message" not in data


async def test_an_attempt_is_one_wide_line(rig: Rig) -> None:
    endpoint = await rig.register()
    statuses = iter([503, 204])
    rig.sender.answer = lambda _: answered(next(statuses))
    [job_id] = await rig.translate(simulation={"duration_seconds": 1000})
    await rig.quiet()
    await rig.advance(5)
    failed, delivered = rig.lines("attempt")
    for line, number in ((failed, 1), (delivered, 2)):
        assert line["job_id"] == job_id
        assert line["endpoint_id"] == endpoint["endpoint_id"]
        assert line["event_id"] == rig.sender.posts[0].event["event_id"]
        assert (line["event_type"], line["sequence"], line["number"]) == ("video_translate.pending", 1, number)
        assert line["delivery_id"]
        assert line["ms"] >= 0
    assert (failed["verdict"], failed["status"], failed["log_level"]) == (
        "retry at 2027-01-15T08:00:05.000Z",
        503,
        "warning",
    )
    assert (delivered["verdict"], delivered["status"], delivered["log_level"]) == ("delivered", 204, "info")
    moves = rig.lines("transition")
    assert [(move["job_id"], move["status"], move["sequence"]) for move in moves] == [(job_id, "pending", 1)]


async def test_no_secret_and_no_signature_is_ever_logged(tmp_path: Path) -> None:
    async with serving(
        tmp_path, error_rate=0.5, retry_delays="1,1", api_keys="sesame", headers={"X-Api-Key": "sesame"}
    ) as rig:
        secrets = [(await rig.register(f"{HOOK}/{number}"))["secret"] for number in range(3)]
        answers = iter(range(1000))
        rig.sender.answer = lambda _: answered(204 if next(answers) % 3 else 500)
        await rig.translate("English", "German", "French")
        for _ in range(30):
            await rig.advance(1)
        said = json.dumps(rig.logs, default=str)
        signatures = [
            post.headers[name] for post in rig.sender.posts for name in ("webhook-signature", "Heygen-Signature")
        ]
        assert len(signatures) > 27
        for hidden in [*secrets, *signatures, "whsec_", "sesame"]:
            assert hidden not in said
            assert hidden.removeprefix("whsec_").removeprefix("v1,") not in said or hidden == "whsec_"
