"""Whatever is sent: a clear refusal in the wire's shape, and nothing half-written."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.server.api import bad_fields
from tests.server.api.bad_fields import LONG
from tests.server.promises import refused
from tests.server.rig import ENDPOINTS, HOOK, JOBS, VIDEO, Rig, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD_JOB: dict[str, Any] = {"video": VIDEO, "output_languages": ["English"]}
GOOD_ENDPOINT: dict[str, Any] = {"url": HOOK}


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


JOB_ROWS: list[tuple[Any, str, str]] = [
    # what is changed in a good body, the param, words of the message
    ({"video": None}, "video", ""),
    ({"video": "https://example.com/a.mp4"}, "video", ""),
    ({"video": []}, "video", ""),
    ({"video": {}}, "video.type", "required"),
    ({"video": {"type": "url"}}, "video", "'url'"),
    ({"video": {"type": "asset_id"}}, "video", "'asset_id'"),
    ({"video": {"type": "file", "url": "https://example.com"}}, "video.type", "'asset_id'"),
    ({"video": {"type": "url", "asset_id": "a"}}, "video", "'url'"),
    ({"video": {"type": "url", "url": "https://example.com", "asset_id": "a"}}, "video", "only that"),
    ({"video": {"type": "asset_id", "asset_id": "asset_none"}}, "video.asset_id", "by url"),
    ({"video": {"type": "url", "url": 7}}, "video.url", "string"),
    ({"video": {"type": "url", "url": ""}}, "video.url", "http"),
    ({"video": {"type": "url", "url": "ftp://example.com/a.mp4"}}, "video.url", "http"),
    ({"video": {"type": "url", "url": "file:///etc/passwd"}}, "video.url", "http"),
    ({"video": {"type": "url", "url": "example.com/a.mp4"}}, "video.url", "http"),
    ({"video": {"type": "url", "url": "https://example.com/" + LONG}}, "video.url", "2048"),
    ({"video": {"type": "url", "url": "https://"}}, "video.url", "host"),
    ({"video": {"type": "url", "url": "https://example.com/\ud800"}}, "video.url", ""),
    ({"video": VIDEO | {"codec": "av1"}}, "video.codec", "/docs"),
    ({"output_languages": None}, "output_languages", ""),
    ({"output_languages": "English"}, "output_languages", "list"),
    ({"output_languages": {}}, "output_languages", "list"),
    ({"output_languages": []}, "output_languages", "at least 1"),
    ({"output_languages": [None]}, "output_languages[0]", "string"),
    ({"output_languages": ["English", 1]}, "output_languages[1]", "string"),
    ({"output_languages": ["Klingon"]}, "output_languages[0]", "/v3/video-translations/languages"),
    ({"output_languages": ["english"]}, "output_languages[0]", "/v3/video-translations/languages"),
    ({"output_languages": [" English"]}, "output_languages[0]", "/v3/video-translations/languages"),
    ({"output_languages": [LONG]}, "output_languages[0]", "/v3/video-translations/languages"),
    ({"output_languages": ["English\x00"]}, "output_languages[0]", "/v3/video-translations/languages"),
    ({"output_languages": ["German", "English", "German"]}, "output_languages", "German"),
    ({"output_languages": ["English"] * 201}, "output_languages", "200"),
    ({"title": 7}, "title", "string"),
    ({"title": ["a"]}, "title", "string"),
    ({"title": "x" * 1001}, "title", "1000"),
    ({"title": "\ud800"}, "title", ""),
    ({"input_language": True}, "input_language", "string"),
    ({"input_language": LONG}, "input_language", "100"),
    ({"mode": "fast"}, "mode", "'precision'"),
    ({"mode": None}, "mode", ""),
    ({"translate_audio_only": "yes"}, "translate_audio_only", "boolean"),
    ({"translate_audio_only": 1}, "translate_audio_only", "boolean"),
    ({"callback_id": 17}, "callback_id", "string"),
    ({"callback_url": 7}, "callback_url", "string"),
    ({"callback_url": ""}, "callback_url", "http"),
    ({"callback_url": "example.com/hook"}, "callback_url", "http"),
    ({"callback_url": "ftp://example.com/hook"}, "callback_url", "http"),
    ({"callback_url": "https://example.com/" + LONG}, "callback_url", "2048"),
    ({"callback_url": "https://user:sesame@example.com/"}, "callback_url", "credentials"),
    ({"callback_url": "https://example.com:0/"}, "callback_url", "port"),
    ({"callback_url": "https://example.com/\r\nX-Evil: 1"}, "callback_url", "U+000D"),
    ({"callback_url": "https://example.com/\ud800"}, "callback_url", ""),
    ({"callback_url": "http://10.0.0.1/hook"}, "callback_url", "private"),
    ({"callback_url": "http://169.254.169.254/latest/meta-data"}, "callback_url", "link-local"),
    ({"callback_url": "http://[::ffff:192.168.1.1]/"}, "callback_url", "private"),
    ({"callback_events": ["video_translate.success"]}, "callback_events", "callback_url"),
    ({"callback_url": "https://example.com/", "callback_events": []}, "callback_events", ""),
    ({"callback_url": "https://example.com/", "callback_events": ["done"]}, "callback_events[0]", "unknown"),
    ({"speaker_num": 0}, "speaker_num", ""),
    ({"speaker_num": 1.5}, "speaker_num", "integer"),
    ({"speaker_num": "2"}, "speaker_num", "integer"),
    ({"speaker_num": 10**40}, "speaker_num", ""),
    ({"speaker_num": float("nan")}, "speaker_num", ""),
    ({"start_time": float("nan")}, "start_time", "finite"),
    ({"start_time": float("inf")}, "start_time", "finite"),
    ({"start_time": -1}, "start_time", ""),
    ({"start_time": 10**400}, "start_time", ""),
    ({"start_time": "1"}, "start_time", "number"),
    ({"start_time": 5, "end_time": 5}, "end_time", "later"),
    ({"fps_mode": "60"}, "fps_mode", "'passthrough'"),
    ({"audio": {"type": "url"}}, "audio", "'url'"),
    ({"srt": {"type": "url", "url": "javascript:alert(1)"}}, "srt.url", "http"),
    ({"srt_role": "both"}, "srt_role", "'input'"),
    ({"stock_voice_config": {"preferred_stock_voice_ids": [1]}}, "stock_voice_config.preferred_stock_voice_ids[0]", ""),
    ({"stock_voice_config": {"use": True}}, "stock_voice_config.use", "/docs"),
    ({"priority": 10}, "priority", ""),
    ({"priority": -1}, "priority", ""),
    ({"priority": "5"}, "priority", ""),
    ({"simulation": None}, "simulation", ""),
    ({"simulation": {"outcome": "explodes"}}, "simulation.outcome", "'failed'"),
    ({"simulation": {"duration_seconds": -0.1}}, "simulation.duration_seconds", ""),
    ({"simulation": {"duration_seconds": float("inf")}}, "simulation.duration_seconds", "finite"),
    ({"simulation": {"duration_seconds": 10**9}}, "simulation.duration_seconds", ""),
    ({"simulation": {"duration_seconds": 10**400}}, "simulation.duration_seconds", ""),
    ({"simulation": {"error_message": ""}}, "simulation.error_message", ""),
    ({"simulation": {"error_message": "no", "outcome": "completed"}}, "simulation", "'failed'"),
    ({"simulation": {"stall": True}}, "simulation.stall", "/docs"),
    ({"languages": ["English"]}, "languages", "/docs"),
    ({"": 1}, "body", ""),
    ({"\ud800": 1}, "body", ""),
    ({"a\x00b": 1}, "a\x00b", "/docs"),
]

ENDPOINT_ROWS: list[tuple[Any, str, str]] = [
    *bad_fields.SHARED,
    ({"url": None}, "url", "string"),
    ({"url": "//example.com/hook"}, "url", "http"),
    ({"url": "https:///hook"}, "url", "host"),
    ({"url": "https://example.com/hook#part"}, "url", "fragment"),
    ({"url": "https://example.com:99999/"}, "url", "port"),
    ({"url": "https://exam ple.com/"}, "url", "U+0020"),
    ({"url": "https://example.com/\x00"}, "url", "U+0000"),
    ({"url": "https://[::1"}, "url", ""),
    ({"url": "http://169.254.169.254/latest/meta-data"}, "url", "link-local"),
    ({"url": "http://[fd00::1]/"}, "url", "private"),
    ({"url": "http://[::ffff:192.168.1.1]/"}, "url", "private"),
    ({"entity_id": 7}, "entity_id", "string"),
    ({"entity_id": ""}, "entity_id", ""),
    ({"entity_id": "x" * 256}, "entity_id", "255"),
    ({"ttl_seconds": 9.99}, "ttl_seconds", "10"),
    ({"ttl_seconds": 2_592_001}, "ttl_seconds", "2592000"),
    ({"ttl_seconds": "60"}, "ttl_seconds", "number"),
    ({"ttl_seconds": True}, "ttl_seconds", ""),
    ({"ttl_seconds": float("nan")}, "ttl_seconds", ""),
    ({"ttl_seconds": float("inf")}, "ttl_seconds", ""),
    ({"ttl_seconds": 10**400}, "ttl_seconds", ""),
    ({"asymmetric": None}, "asymmetric", "boolean"),
    ({"asymmetric": "yes"}, "asymmetric", "boolean"),
    ({"asymmetric": 1}, "asymmetric", "boolean"),
    ({"status": "disabled"}, "status", "/docs"),
]

RAW_ROWS: list[tuple[str, bytes, str, str]] = [
    # what it is, the bytes, the param, words of the message
    ("nothing", b"", "body", "required"),
    ("blank", b"  \n", "body", "JSON"),
    ("malformed", b'{"video": ', "body", "JSON"),
    ("trailing comma", b'{"url": "https://example.com",}', "body", "JSON"),
    ("two values", b"{} {}", "body", "JSON"),
    ("single quotes", b"{'url': 1}", "body", "JSON"),
    ("text", b"hello", "body", "JSON"),
    ("a form", b"url=https://example.com", "body", "JSON"),
    ("null", b"null", "body", ""),
    ("a list", b"[]", "body", ""),
    ("a string", b'"https://example.com"', "body", ""),
    ("a number", b"7", "body", ""),
    ("NaN", b"NaN", "body", ""),
    ("true", b"true", "body", ""),
    ("latin-1", '{"title": "Película"}'.encode("latin-1"), "body", "JSON"),
    ("broken UTF-8", b'{"\xff\xfe": 1}', "body", "JSON"),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "body", "JSON"),
    ("deeply nested", deep(100_000), "body", ""),
    ("an integer of 5000 digits", b'{"url": ' + b"9" * 5000 + b"}", "body", ""),
    ("a raw NUL in a string", b'{"url": "\x00"}', "body", "JSON"),
]


def named(rows: list[tuple[Any, str, str]]) -> list[Any]:
    return [pytest.param(*row, id=f"{index}-{next(iter(row[0]))[:20]!a}") for index, row in enumerate(rows)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One server for every row: that it stays empty is a part of each test."""
    async with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


async def post(http: httpx.AsyncClient, path: str, body: Any) -> httpx.Response:
    # json.dumps keeps what httpx's own encoder refuses: lone surrogates, NaN, huge integers.
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(("change", "param", "words"), named(JOB_ROWS))
async def test_a_bad_translation_is_refused(
    rig: Rig, http: httpx.AsyncClient, change: dict[str, Any], param: str, words: str
) -> None:
    answer = await post(http, JOBS, GOOD_JOB | change)
    refused(answer, 400, "invalid_parameter", param, words)
    assert await rig.stored() == (0, 0, 0)


@pytest.mark.parametrize(("change", "param", "words"), named(ENDPOINT_ROWS))
async def test_a_bad_endpoint_is_refused(
    rig: Rig, http: httpx.AsyncClient, change: dict[str, Any], param: str, words: str
) -> None:
    answer = await post(http, ENDPOINTS, GOOD_ENDPOINT | change)
    refused(answer, 400, "invalid_parameter", param, words)
    assert "sesame" not in answer.text
    assert await rig.stored() == (0, 0, 0)


@pytest.mark.parametrize("path", [JOBS, ENDPOINTS])
@pytest.mark.parametrize(("content", "param", "words"), [pytest.param(*row[1:], id=row[0]) for row in RAW_ROWS])
async def test_a_bad_body_is_refused(rig: Rig, path: str, content: bytes, param: str, words: str) -> None:
    refused(await post(rig.http, path, content), 400, "invalid_parameter", param, words)
    assert await rig.stored() == (0, 0, 0)


async def test_a_lone_surrogate_in_utf_8_is_refused(http: httpx.AsyncClient) -> None:
    answer = await post(http, ENDPOINTS, b'{"url": "https://example.com/\xed\xa0\x80"}')
    refused(answer, 400, "invalid_parameter", "url")


@pytest.mark.parametrize("missing", ["video", "output_languages"])
async def test_a_required_field_is_named(http: httpx.AsyncClient, missing: str) -> None:
    body = {name: value for name, value in GOOD_JOB.items() if name != missing}
    refused(await post(http, JOBS, body), 400, "invalid_parameter", missing, "required")
    refused(await post(http, ENDPOINTS, {}), 400, "invalid_parameter", "url", "required")


async def chunks(size: int) -> AsyncIterator[bytes]:
    yield b'{"title": "'
    for _ in range(size // 65536):
        yield b"x" * 65536
    yield b'"}'


@pytest.mark.parametrize("path", [JOBS, ENDPOINTS])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with its length"])
async def test_a_body_of_2_mb_is_too_large(rig: Rig, http: httpx.AsyncClient, path: str, chunked: bool) -> None:
    content: Any = chunks(2 * 1024 * 1024) if chunked else b'{"title": "' + b"x" * 2 * 1024 * 1024 + b'"}'
    answer = await http.post(path, content=content, headers={"Content-Type": "application/json"})
    refused(answer, 413, "request_too_large", message="1048576")
    assert await rig.stored() == (0, 0, 0)


@pytest.mark.parametrize("path", [JOBS, ENDPOINTS])
@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "text/plain;application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json, text/plain",
    ],
)
async def test_a_body_that_does_not_say_it_is_json(
    rig: Rig, http: httpx.AsyncClient, path: str, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    content = json.dumps(GOOD_JOB if path == JOBS else GOOD_ENDPOINT)
    answer = await http.post(path, content=content, headers=headers)
    refused(answer, 415, "unsupported_media_type", message="application/json")
    assert await rig.stored() == (0, 0, 0)
