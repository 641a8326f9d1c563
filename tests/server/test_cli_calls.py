"""The commands that call a running server: what they print, for whom, and what they say when it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_httpserver import HTTPServer

from tests.server.commands import invoked, refusal, told
from tests.server.process import Server, started
from tests.server.rig import ENDPOINTS, JOBS
from video_translation_server import __version__
from video_translation_server.wire.languages import LANGUAGES

VIDEO = "https://example.com/talk.mp4"
ROOT = "root-sesame"
NOWHERE = "http://127.0.0.1:1"
LOCKED = ("--start-job", "false", "--require-key", "true", "--admin-key", ROOT, "--translation-time", "3600")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys."""
    with started(*LOCKED, folder=tmp_path_factory.mktemp("locked")) as running:
        yield running


@pytest.fixture(autouse=True)
def operator(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever types the commands runs the server, which is empty."""
    monkeypatch.delenv("VIDEO_TRANSLATION_API_KEY", raising=False)
    monkeypatch.delenv("VIDEO_TRANSLATION_BASE_URL", raising=False)
    monkeypatch.setenv("VTS_URL", server.url)
    monkeypatch.setenv("VTS_ADMIN_KEY", ROOT)
    assert invoked("reset", "--yes").exit_code == 0


def workspace(name: str) -> str:
    """A workspace of its own id, made once in this server."""
    if name not in [one["workspace_id"] for one in told("workspaces", "list")]:
        assert told("workspaces", "create", name.title(), "--id", name)["workspace_id"] == name
    return name


def create(job_id: str, *, workspace_id: str = "ws_default", simulate: str = "outcome=completed") -> str:
    words = ("-l", "German", "--id", job_id, "--workspace", workspace_id, "--simulate", simulate)
    assert told("jobs", "create", VIDEO, *words) == {"video_translation_ids": [job_id]}
    return job_id


ENDED = "progression=immediate,outcome=completed"


def test_workspaces_and_keys_from_creation_to_revocation(server: Server) -> None:
    team = invoked("workspaces", "create", "Team Blue").stdout.strip()
    assert [team, "Team Blue"] in [
        line.split(maxsplit=2)[::2] for line in invoked("workspaces", "list").stdout.splitlines()
    ]
    made = invoked("keys", "create", "--workspace", team, "--label", "laptop")
    key = made.stdout.strip()
    assert key.startswith("vtk_")
    assert "\n" not in key, "stdout is the key and nothing else: KEY=$(... keys create)"
    assert "not shown again" in made.stderr

    def status() -> int:
        return httpx.get(f"{server.url}{JOBS}", headers={"X-Api-Key": key}, trust_env=False).status_code

    assert status() == 200
    [listed] = told("keys", "list", "--workspace", team)
    assert (listed["revoked_at"], listed["label"]) == (None, "laptop")
    assert told("keys", "revoke", listed["key_id"])["revoked_at"] is not None
    assert status() == 401
    assert told("keys", "list", "--workspace", team)[0]["revoked_at"] is not None
    unknown = invoked("keys", "revoke", "key_none")
    assert (unknown.exit_code, unknown.stderr) == (1, "error: no key key_none\n")


def test_a_workspace_tells_how_its_jobs_stand() -> None:
    workspace("blue")
    create("one", workspace_id="blue")
    create("two", workspace_id="blue", simulate=ENDED)
    found = told("workspaces", "status", "blue")
    assert (found["name"], found["jobs"]) == ("Blue", {"pending": 1, "running": 0, "completed": 1, "failed": 0})
    assert "jobs          pending 1, running 0, completed 1, failed 0" in invoked("workspaces", "status", "blue").stdout
    assert refusal("workspaces", "create", "x", "--id", "blue", code=1)["reason"] == "conflict"
    assert refusal("workspaces", "create", "x", "--id", "no/path", code=2)["param"] == "id"
    assert refusal("workspaces", "status", "ws_none", code=1)["reason"] == "resource_not_found"


def test_a_job_of_ones_own_id_is_created_once() -> None:
    create("order-17")
    taken = refusal("jobs", "create", VIDEO, "-l", "German", "--id", "order-17", code=1)
    assert (taken["reason"], taken["status"], taken["param"]) == ("conflict", 409, "simulation.id")
    two = refusal("jobs", "create", VIDEO, "-l", "German", "-l", "Hindi", "--id", "order-18", code=2)
    assert (two["reason"], two["param"]) == ("invalid_parameter", "simulation")
    assert [job["id"] for job in told("jobs", "list")] == ["order-17"]


def test_without_an_id_each_job_gets_one_and_its_fields() -> None:
    words = ("-l", "German", "-l", "Hindi", "--title", "Keynote", "--priority", "9", "--callback-id", "mine")
    ids = told("jobs", "create", VIDEO, *words)["video_translation_ids"]
    assert len(set(ids)) == 2
    found = told("jobs", "status", ids[1])
    assert [found[name] for name in ("title", "priority", "callback_id", "output_language")] == [
        "Keynote",
        9,
        "mine",
        "Hindi",
    ]


def test_jobs_are_listed_of_all_of_one_workspace_and_of_a_keys_own() -> None:
    workspace("blue")
    create("one", simulate=ENDED)
    create("two", workspace_id="blue", simulate=ENDED)
    create("three", workspace_id="blue")
    key = told("keys", "create", "--workspace", "blue")["key"]

    def ids(*words: str, **variables: str) -> list[str]:
        return [job["id"] for job in told("jobs", *words, code=0, **variables)]

    assert ids("list") == ["three", "two", "one"]
    assert ids("list", "--limit", "2") == ["three", "two"]
    assert ids("list", "--status", "pending") == ["three"]
    assert ids("completed") == ["two", "one"]
    assert ids("completed", "--workspace", "blue") == ids("completed", "--key", key, VTS_ADMIN_KEY="") == ["two"]
    assert ids("list", VTS_ADMIN_KEY="", VIDEO_TRANSLATION_API_KEY=key) == ["three", "two"]
    assert refusal("jobs", "completed", "--workspace", "ws_none", code=1)["param"] == "workspace_id"
    table = invoked("jobs", "completed").stdout.splitlines()
    assert [line.split()[:3] for line in table] == [
        ["ID", "WORKSPACE_ID", "STATUS"],
        ["two", "blue", "completed"],
        ["one", "ws_default", "completed"],
    ]


def test_a_list_is_read_to_its_end_and_no_further_than_asked() -> None:
    languages = [word for language in LANGUAGES[:60] for word in ("-l", language)]
    for _ in range(2):
        told("jobs", "create", VIDEO, *languages)
    assert len(told("jobs", "list")) == len(told("jobs", "list", "--limit", "500")) == 120
    assert len(told("jobs", "list", "--limit", "101")) == 101


def test_a_job_is_looked_at_cancelled_and_reset_in_whichever_workspace_it_is() -> None:
    workspace("blue")
    create("one", workspace_id="blue")
    assert told("jobs", "status", "one")["status"] == "pending"
    cancelled = told("jobs", "cancel", "one")
    assert (cancelled["status"], cancelled["failure_message"]) == ("failed", "Cancelled by the caller")
    assert refusal("jobs", "cancel", "one", code=1)["reason"] == "conflict"
    assert told("jobs", "status", "one", code=1)["status"] == "failed", "the exit code tells"
    assert told("jobs", "status", "one", "--workspace", "blue", code=1)["sequence"] == 2
    reset = told("jobs", "reset", "one")
    assert (reset["status"], reset["sequence"], reset["cancelled_at"]) == ("pending", 3, None)
    for verb in ("status", "cancel", "reset"):
        assert refusal("jobs", verb, "none", code=1)["reason"] == "resource_not_found"
        if verb != "reset":
            assert refusal("jobs", verb, "one", "--workspace", "ws_default", code=1)["status"] == 404


def test_the_newest_job_is_meant_where_none_is_named() -> None:
    assert refusal("jobs", "status", code=1)["reason"] == "resource_not_found"
    create("one")
    create("two")
    assert (told("jobs", "status")["id"], told("jobs", "status")["result"]) == ("two", "pending")


def test_endpoints_and_deliveries_are_listed(server: Server) -> None:
    workspace("blue")
    headers = {"X-Api-Key": ROOT, "X-Workspace-Id": "blue"}
    body = {"url": "http://127.0.0.1:1/hook", "events": ["video_translate.pending"], "description": "ours"}
    made = httpx.post(f"{server.url}{ENDPOINTS}", json=body, headers=headers, trust_env=False).json()["data"]
    create("one", workspace_id="blue")
    [endpoint] = told("endpoints", "list", "--workspace", "blue")
    assert (endpoint["endpoint_id"], endpoint["description"]) == (made["endpoint_id"], "ours")
    assert told("endpoints", "list") == []
    [delivery] = told("deliveries", "list", "--workspace", "blue", "--job", "one")
    assert (delivery["endpoint_id"], delivery["state"]) == (made["endpoint_id"], "due")
    assert told("deliveries", "list", "--workspace", "blue", "--state", "dead") == []
    assert "video_translate.pending" in invoked("deliveries", "list", "--workspace", "blue").stdout


def test_the_server_tells_how_it_stands(server: Server) -> None:
    create("one")
    found = told("status")
    assert [found[name] for name in ("running", "ready", "url", "pid", "version")] == [
        *(True, True, server.url),
        *(None, __version__),
    ]
    assert found["jobs"] == {"pending": 1, "running": 0, "completed": 0, "failed": 0}
    assert (found["clock"]["frozen"], found["clock"]["speed"]) == (False, 1)
    stranger = invoked("status", VTS_ADMIN_KEY="")
    assert stranger.exit_code == 0
    assert "running  true" in stranger.stdout
    assert "admin key" in stranger.stderr
    assert told("status", VTS_ADMIN_KEY="")["jobs"] is None


def test_a_server_that_is_not_ready_says_so(httpserver: HTTPServer) -> None:
    body = {"status": "unavailable", "detail": {"loops": "not all loops run"}}
    httpserver.expect_request("/readyz").respond_with_json(body, status=503)
    found = told("status", "--url", httpserver.url_for("/"), code=1)
    assert (found["running"], found["ready"], found["detail"]) == (True, False, body["detail"])


@pytest.mark.parametrize("answer", [("<html>", 200), ("<html>", 404), ("[]", 503)])
def test_another_server_is_not_taken_for_ours(httpserver: HTTPServer, answer: tuple[str, int]) -> None:
    httpserver.expect_request("/readyz").respond_with_data(*answer)
    assert told("status", "--url", httpserver.url_for("/"), code=4)["running"] is False


def test_an_error_that_is_not_ours_is_an_error_all_the_same(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v3/admin/workspaces").respond_with_data("Bad Gateway", status=502)
    error = refusal("workspaces", "list", "--url", httpserver.url_for("/"), code=1)
    assert (error["message"], error["status"]) == ("the server answered 502", 502)


def test_a_server_is_reset_only_when_that_is_meant() -> None:
    create("one")
    for typed in ("n\n", ""):
        asked = invoked("reset", answer=typed)
        assert asked.exit_code == 1
        assert "Delete all jobs" in asked.stderr
    assert refusal("reset", code=2)["message"].startswith("give --yes")
    assert len(told("jobs", "list")) == 1
    assert invoked("reset", answer="y\n").exit_code == 0
    assert told("jobs", "list") == []
    assert told("reset", "--yes") == {"reset": True}


EVERY_CALL = [
    ["reset", "--yes"],
    ["workspaces", "create", "x"],
    ["workspaces", "list"],
    ["workspaces", "status", "blue"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke", "key_1"],
    ["jobs", "create", VIDEO, "-l", "German"],
    ["jobs", "list"],
    ["jobs", "completed"],
    ["jobs", "status"],
    ["jobs", "status", "one"],
    ["jobs", "cancel", "one"],
    ["jobs", "reset", "one"],
    ["endpoints", "list"],
    ["deliveries", "list"],
]


@pytest.mark.parametrize("command", EVERY_CALL, ids=" ".join)
def test_each_command_says_that_no_server_answers_and_what_to_do(command: list[str]) -> None:
    error = refusal(*command, "--url", NOWHERE, code=4)
    assert error["reason"] == "server_unreachable"
    assert f"no server answers at {NOWHERE}" in error["message"]
    assert "video-translation-server start" in error["message"]
    plain = invoked(*command, "--url", NOWHERE)
    assert (plain.exit_code, plain.stdout) == (4, "")
    assert plain.stderr == f"error: {error['message']}\n"


@pytest.mark.parametrize("command", EVERY_CALL, ids=" ".join)
def test_each_command_says_that_the_admin_key_is_needed_or_wrong(command: list[str]) -> None:
    for given in ("", "wrong"):
        error = refusal(*command, code=1, VTS_ADMIN_KEY=given)
        assert (error["reason"], error["status"]) == ("forbidden", 403)
        assert "--admin-key or VTS_ADMIN_KEY" in error["message"]


def test_a_wrong_key_is_told() -> None:
    for command in (["jobs", "list"], ["jobs", "create", VIDEO, "-l", "German"], ["endpoints", "list"]):
        error = refusal(*command, "--key", "wrong", code=1, VTS_ADMIN_KEY="")
        assert (error["reason"], error["status"]) == ("unauthorized", 401)
        assert "--key" in error["message"]
        assert "wrong" not in error["message"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["jobs", "list", "--url", "localhost:8000"], "--url http://"),
        (["jobs", "list", "--status", "done"], "done"),
        (["jobs", "list", "--limit", "0"], "--limit"),
        (["jobs", "create", VIDEO], "--language"),
        (["jobs", "create", "talk.mp4", "-l", "German"], "talk.mp4"),
        (["jobs", "create", VIDEO, "-l", "German", "--simulate", "failed"], "NAME=VALUE"),
        (["jobs", "create", VIDEO, "-l", "Klingon"], "Klingon"),
        (["jobs", "create", VIDEO, "-l", "German", "--simulate", "colour=red"], "colour"),
        (["jobs", "create", "asset:none", "-l", "German"], "none"),
        (["deliveries", "list", "--state", "lost"], "lost"),
        (["jobs", "cancel"], "ID"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else None,
)
def test_wrong_usage_is_told(words: list[str], says: str) -> None:
    result = invoked(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_title_has_does_not_reach_the_terminal() -> None:
    told("jobs", "create", VIDEO, "-l", "German", "--title", "red \x1b[31m and\nmore")
    table = invoked("jobs", "list").stdout
    assert r"red \x1b[31m and\nmore" in table
    assert "\x1b" not in table


def test_secrets_are_not_in_the_log(tmp_path: Path) -> None:
    with started(*LOCKED, folder=tmp_path) as one:
        key = told("keys", "create", "--url", one.url)["key"]
        assert told("jobs", "list", "--url", one.url, "--key", key, VTS_ADMIN_KEY="") == []
        one.end()
        log = one.log()
    assert key not in log
    assert ROOT not in log


def test_a_server_without_a_simulator_has_no_clock_and_no_reset(tmp_path: Path) -> None:
    with started("--simulator", "false", "--start-job", "false", folder=tmp_path) as one:
        found = told("status", "--url", one.url, VTS_ADMIN_KEY="")
        assert (found["clock"], found["jobs"]["pending"]) == (None, 0)
        assert refusal("reset", "--yes", "--url", one.url, code=1, VTS_ADMIN_KEY="")["status"] == 404
        document = json.loads(invoked("jobs", "list", "--url", one.url, "--json", VTS_ADMIN_KEY="").stdout)
        assert document == []
