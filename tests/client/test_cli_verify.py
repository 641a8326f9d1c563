"""`video-translation verify`: checks a delivery that was kept, and says why it is not genuine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.client.fake_server import sign
from video_translation_client.cli.program import cli

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"event_id": "evt_1", "event_type": "video_translate.success", "event_data": {"id": "vt_1"}}).encode()
Verify = Callable[..., Result]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    def run(*words: str, body: bytes = BODY, headers: dict[str, str] | None = None, age: int = 0) -> Result:
        (tmp_path / "body").write_bytes(body)
        found = headers if headers is not None else sign(BODY, SECRET, "evt_1", int(time.time()) - age)
        (tmp_path / "headers").write_text("".join(f"{name}: {value}\n" for name, value in found.items()))
        files = [str(tmp_path / "body"), "--headers", str(tmp_path / "headers")]
        return CliRunner().invoke(cli, ["--json", "verify", *files, *words])

    return run


def test_a_genuine_delivery(verify: Verify) -> None:
    result = verify("--secret", SECRET)
    assert result.exit_code == 0, result.output
    expected = {"event_id": "evt_1", "event_type": "video_translate.success", "video_translate_id": "vt_1"}
    assert json.loads(result.stdout) == {"valid": True, "family": "standard", **expected}


def test_the_secret_may_come_from_the_environment(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify().exit_code == 2
    monkeypatch.setenv("VIDEO_TRANSLATION_WEBHOOK_SECRET", f"whsec_AAAA {SECRET}")
    assert verify().exit_code == 0


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("no_matching_signature", {"body": BODY + b" "}),
        ("missing_headers", {"headers": {}}),
        ("timestamp_out_of_tolerance", {"age": 1000}),
    ],
)
def test_each_reason(verify: Verify, reason: str, changed: dict[str, object]) -> None:
    result = verify("--secret", SECRET, **changed)
    assert (result.exit_code, json.loads(result.stdout)["reason"]) == (1, reason)


def test_an_old_delivery_can_be_checked_without_its_time(verify: Verify) -> None:
    assert verify("--secret", SECRET, "--ignore-time", age=100_000).exit_code == 0


def test_headers_may_be_flags_or_json_and_the_body_stdin(tmp_path: Path) -> None:
    headers = sign(BODY, SECRET, "evt_1", int(time.time()))
    flags = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    assert CliRunner().invoke(cli, ["verify", "-", *flags, "--secret", SECRET], input=BODY).exit_code == 0
    file = tmp_path / "headers.json"
    file.write_text(json.dumps(headers))
    words = ["verify", "-", "--headers", str(file), "--secret", SECRET]
    result = CliRunner().invoke(cli, words, input=BODY)
    assert result.stdout == "valid (standard): evt_1 video_translate.success\n"
    file.write_text("{")
    assert CliRunner().invoke(cli, words, input=BODY).exit_code == 2


def test_signed_garbage_is_no_event(verify: Verify) -> None:
    result = verify("--secret", SECRET, body=b"{}", headers=sign(b"{}", SECRET, "evt_1", int(time.time())))
    assert json.loads(result.stdout)["reason"] == "malformed_body"


def test_a_malformed_secret_is_wrong_usage_and_not_a_forged_delivery(verify: Verify) -> None:
    result = verify("--secret", "whsec_nonsense!")
    assert result.exit_code == 2
    assert "--secret is malformed" in result.stderr
