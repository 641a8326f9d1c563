"""Every setting: what is taken, what is refused, and that the refusal names the field."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from video_translation_server.settings import Settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"translation_time": "10"}, (10, 10)),
        ({"translation_time": "5-15"}, (5, 15)),
        ({"translation_time": "0.5-1.5"}, (0.5, 1.5)),
        ({"translation_time": " 5 - 15 "}, (5, 15)),
        ({"translation_time": 7}, (7, 7)),
        ({"translation_time": (1, 2)}, (1, 2)),
        ({"translation_time": "0"}, (0, 0)),
        ({"api_keys": "a, b,,c "}, ("a", "b", "c")),
        ({"api_keys": ""}, ()),
        ({"retry_delays": "5,30"}, (5, 30)),
        ({"retry_delays": ""}, ()),
        ({"allow_targets": "10.0.0.0/8, fd00::/8"}, ("10.0.0.0/8", "fd00::/8")),
        ({"start_job": "false"}, False),
        ({"start_job": "0"}, False),
        ({"start_job": "no"}, False),
        ({"error_rate": "0.1"}, 0.1),
        ({"error_rate": "1"}, 1),
        ({"seed": "42"}, 42),
        ({"drain_timeout": "0"}, 0),
        ({"disable_after": "60"}, 60),
        ({"keep_delivered": "0.5"}, 0.5),
        ({"port": "0"}, 0),
        ({"host": "::1"}, "::1"),
        ({"log_level": "debug"}, "debug"),
    ],
)
def test_text_becomes_the_value(given: dict[str, Any], expected: Any) -> None:
    [name] = given
    assert getattr(Settings.model_validate(given), name) == expected


BAD = [
    ({"port": "65536"}, "port"),
    ({"port": "-1"}, "port"),
    ({"port": "http"}, "port"),
    ({"translation_time": "fast"}, "translation_time"),
    ({"translation_time": "15-5"}, "translation_time"),
    ({"translation_time": "0-5", "time_distribution": "lognormal"}, "translation_time"),
    ({"workers": "0"}, "workers"),
    ({"fast_workers": "1"}, "fast_workers"),
    ({"polls": "2"}, "polls"),
    ({"progression": "manual", "polls": "1000001"}, "polls"),
    ({"progression": "sideways"}, "progression"),
    ({"stall_rate": "2"}, "stall_rate"),
    ({"translation_time": "-5"}, "translation_time"),
    ({"translation_time": "5-"}, "translation_time"),
    ({"translation_time": "1-2-3"}, "translation_time"),
    ({"translation_time": ""}, "translation_time"),
    ({"translation_time": "nan"}, "translation_time"),
    ({"translation_time": "inf"}, "translation_time"),
    ({"error_rate": "1.1"}, "error_rate"),
    ({"error_rate": "-0.1"}, "error_rate"),
    ({"error_rate": "10%"}, "error_rate"),
    ({"error_rate": "nan"}, "error_rate"),
    ({"pending_share": "2"}, "pending_share"),
    ({"seed": "x"}, "seed"),
    ({"start_job": "maybe"}, "start_job"),
    ({"attempt_timeout": "0"}, "attempt_timeout"),
    ({"attempt_timeout": "-1"}, "attempt_timeout"),
    ({"attempt_timeout": "inf"}, "attempt_timeout"),
    ({"attempt_timeout": "30", "lease": "30"}, "lease"),
    ({"retry_delays": "5,x"}, "retry_delays"),
    ({"retry_delays": "5,-1"}, "retry_delays"),
    ({"retry_jitter": "1.5"}, "retry_jitter"),
    ({"max_in_flight": "0"}, "max_in_flight"),
    *(
        ({name: value}, name)
        for name in ("disable_after", "keep_delivered", "keep_dead", "keep_bodies")
        for value in ("0", "-1", "inf", "nan", "a week", "999999999999")
    ),
    ({"drain_timeout": "-1"}, "drain_timeout"),
    ({"drain_timeout": "inf"}, "drain_timeout"),
    ({"drain_timeout": "soon"}, "drain_timeout"),
    ({"concurrency": "0"}, "concurrency"),
    ({"poll_interval": "0"}, "poll_interval"),
    ({"max_request_bytes": "10"}, "max_request_bytes"),
    ({"allow_targets": "10.0.0.0/8,everywhere"}, "allow_targets"),
    ({"allow_targets": "10.0.0.1/8"}, "allow_targets"),
    ({"log_level": "loud"}, "log_level"),
    ({"log_format": "xml"}, "log_format"),
    ({"host": "0.0.0.0"}, "api_keys"),
    ({"host": "::"}, "api_keys"),
    ({"host": "example.com"}, "api_keys"),
    ({"host": "192.168.1.1", "api_keys": " , "}, "api_keys"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("given", "field"), BAD)
def test_a_bad_value_names_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    problem = caught.value.errors()[0]
    assert field in [*problem["loc"], problem["msg"].removeprefix("Value error, ").partition(":")[0]]


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, is_loopback: bool) -> None:
    assert Settings(host=host, api_keys=("k",)).is_loopback is is_loopback


def test_the_defaults_are_those_of_the_promise() -> None:
    found = Settings.model_validate({}).model_dump()
    promised = {
        "host": "127.0.0.1",
        "port": 8000,
        "translation_time": (10, 10),
        "error_rate": 0.1,
        "start_job": True,
        "attempt_timeout": 10,
        "connect_timeout": 5,
        "retry_delays": (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800),
        "retry_jitter": 0.2,
        "max_retry_after": 3600,
        "max_in_flight": 16,
        "disable_after": 3 * 86400,
        "drain_timeout": 0.5,
        "keep_delivered": 7 * 86400,
        "keep_dead": 30 * 86400,
        "keep_bodies": 7 * 86400,
    }
    assert {name: found[name] for name in promised} == promised


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("store", "folder"),
    [
        ("a/b.db", "a/b.db-assets"),
        ("sqlite:///a/b.db", "a/b.db-assets"),
        ("postgresql://user:password@db/name", "video-translation-assets"),
    ],
)
def test_uploaded_files_lie_beside_the_store_that_is_a_file(store: str, folder: str) -> None:
    assert Settings(store=store).shelf == Path(folder)


def test_a_shared_stores_clock_cannot_be_set_at_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen_at: goes with a file"):
        Settings.model_validate({"store": "postgresql://db/name", "frozen_at": "2026-11-27T12:00:00Z"})
