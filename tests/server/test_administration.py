"""`keys` and `workspaces` of the command line, against a server that runs."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.server.process import started
from tests.server.rig import JOBS
from video_translation_server.cli import cli


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), env=variables)


def test_workspaces_and_keys_from_creation_to_revocation(tmp_path: Path) -> None:
    flags = ("--start-job", "false", "--require-key", "true", "--admin-key", "root-sesame")
    with started(*flags, folder=tmp_path) as server:
        at = {"VTS_URL": server.url, "VTS_ADMIN_KEY": "root-sesame"}
        team = run("workspaces", "create", "Team Blue", **at).stdout.strip()
        assert [line.split("\t")[::2] for line in run("workspaces", "list", **at).stdout.splitlines()] == [
            [team, "Team Blue"],
            ["ws_default", "default"],
        ]
        made = run("keys", "create", "--workspace", team, "--label", "laptop", **at)
        key = made.stdout.strip()
        assert key.startswith("vtk_")
        assert "\n" not in key, "stdout is the key and nothing else: KEY=$(... keys create)"

        def status() -> int:
            return httpx.get(f"{server.url}{JOBS}", headers={"X-Api-Key": key}, trust_env=False).status_code

        assert status() == 200
        [line] = run("keys", "list", "--workspace", team, **at).stdout.splitlines()
        key_id, _, state, label = line.split("\t")
        assert (state, label) == ("valid", "laptop")
        assert run("keys", "revoke", key_id, **at).exit_code == 0
        assert status() == 401
        assert "\trevoked " in run("keys", "list", "--workspace", team, **at).stdout

        refused = run("keys", "create", "--url", server.url)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "admin key" in refused.stderr
        unknown = run("keys", "revoke", "key_none", **at)
        assert (unknown.exit_code, unknown.stderr) == (1, "error: no key key_none\n")
        server.end()
        log = server.log()
        assert key not in log
        assert "root-sesame" not in log


@pytest.mark.parametrize("command", [["keys", "list"], ["workspaces", "create", "x"]])
def test_no_server_is_told(command: list[str]) -> None:
    result = run(*command, "--url", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("error: no server answers at http://127.0.0.1:1")
    assert "--url" in result.stderr


def test_what_is_no_url_is_told() -> None:
    result = run("keys", "list", "--url", "localhost:8000")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--url http://" in result.stderr
