"""What others wrote, run against this server: the real service's own n8n node, and the standard's JavaScript library.

`make test` installs both with npm. Without npm these tests are skipped, but not in CI, which installs it.
docs/known_clients.md tells what else was tried.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer

from tests.server.rig import ENDPOINTS, JOBS, VIDEO
from tests.waiting import PATIENCE
from video_translation_server.testing import TranslationServer

INSTALLED = Path(sys.prefix) / "npm"
EXAMPLES = Path(__file__).parents[2] / "contract" / "examples"
FILE = b"\x00\x00\x00\x18ftypisom" + bytes(12)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if (INSTALLED / "node_modules" / "standardwebhooks").is_dir():
        return
    if os.environ.get("CI"):
        pytest.fail("others' clients are not installed although there is npm; `make .venv/npm` does it")
    pytest.skip("others' clients are not installed: `make .venv/npm` does it, and needs node and npm")


def node(script: str, **given: Any) -> dict[str, Any]:
    """What a script of tests/system/npm answers."""
    command = ["node", str(INSTALLED / script)]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=PATIENCE, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def n8n(server: TranslationServer, *, authentication: str = "apiKey", **parameters: Any) -> dict[str, Any]:
    """One run of the node; it is given an `https://api.heygen.com` that leads to the server."""
    binary = {"data": {"data": base64.b64encode(FILE).decode(), "fileName": "talk.mp4", "mimeType": "video/mp4"}}
    parameters |= {"authentication": authentication}
    return node("n8n.cjs", url=server.url, key="any", node="HeygenNode", parameters=parameters, binary=binary)


def translate(server: TranslationServer, *, authentication: str = "apiKey", **fields: Any) -> dict[str, Any]:
    asked = {"operation": "translateVideo", "videoUrl": VIDEO["url"], "outputLanguage": "German"} | fields
    return n8n(server, authentication=authentication, **asked)


@pytest.mark.parametrize("authentication", ["apiKey", "oAuth2"])
def test_the_n8n_node_starts_translations(translation_server: TranslationServer, authentication: str) -> None:
    fields = {"title": "week 47", "mode": "precision", "enableCaption": True, "callbackId": "order-17"}
    languages = {"useMultipleLanguages": True, "outputLanguages": ["German", "French"]}
    ran = translate(translation_server, authentication=authentication, additionalFields=fields, **languages)
    ids = ran["output"][0][0]["json"]["data"]["video_translation_ids"]
    with httpx.Client(base_url=translation_server.url, trust_env=False) as http:
        jobs = [http.get(f"{JOBS}/{job_id}").json()["data"] for job_id in ids]
    assert [(job["output_language"], job["title"], job["callback_id"]) for job in jobs] == [
        ("German", "week 47", "order-17"),
        ("French", "week 47", "order-17"),
    ]


def test_the_n8n_node_uploads_files(translation_server: TranslationServer) -> None:
    ran = n8n(translation_server, operation="uploadAssets", binaryData=True, binaryPropertyName="data")
    uploaded = ran["output"][0][0]["json"]["data"]
    assert (uploaded["asset_id"][:6], uploaded["size_bytes"]) == ("asset_", len(FILE))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"outputLanguage": "de"}, "output_languages[0]"),
        ({"additionalFields": {"checkCreditsSync": False}}, "check_credits_sync"),
    ],
    ids=["a code of a language", "a field of the API before"],
)
def test_the_n8n_node_is_told_what_this_api_does_not_take(
    translation_server: TranslationServer, fields: dict[str, Any], param: str
) -> None:
    ran = translate(translation_server, **fields)
    assert ran["error"]["name"] == "NodeApiError"
    assert f'"param":"{param}"' in ran["error"]["message"]


def test_the_n8n_trigger_knows_only_events_of_the_api_before(translation_server: TranslationServer) -> None:
    body = json.loads((EXAMPLES / "event.video_translate.success.json").read_bytes())
    given = {"url": translation_server.url, "key": "any", "node": "HeygenTrigger", "parameters": {"events": []}}
    assert "event" in node("n8n.cjs", **given, body=body)["error"]["message"]
    before = {"event": body["event_type"], "event_data": body["event_data"]}
    [[taken]] = node("n8n.cjs", **given, body=before)["output"]["workflowData"]
    assert taken["json"]["message"] == "Video translation successful."


def test_the_standards_javascript_library_verifies_deliveries(
    translation_server: TranslationServer, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=204)
    with httpx.Client(base_url=translation_server.url, trust_env=False) as http:
        endpoint = http.post(ENDPOINTS, json={"url": httpserver.url_for("/hook")}).json()["data"]
        work = {"video": VIDEO, "output_languages": ["Japanese"], "title": "基調講演"}
        [job_id] = http.post(JOBS, json=work).json()["data"]["video_translation_ids"]
    translation_server.complete(job_id)
    translation_server.wait_for_delivery(job_id, event_type="video_translate.success")
    assert len(httpserver.log) == 3
    for request, _ in httpserver.log:
        given = {"secret": endpoint["secret"], "headers": dict(request.headers), "body": request.get_data(as_text=True)}
        assert node("verify.cjs", **given)["event"]["event_data"]["title"] == "基調講演"
        assert "error" in node("verify.cjs", **(given | {"body": given["body"] + " "}))
