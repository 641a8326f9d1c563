"""`GET /v3/users/me`: a workspace in the shape of a user."""

from pathlib import Path

import httpx

from tests.server.promises import conforms, refused
from tests.server.rig import serving
from video_translation_server.wire.responses import Answer, User

ME = "/v3/users/me"


async def test_the_caller_is_a_workspace_with_a_wallet(http: httpx.AsyncClient) -> None:
    assert conforms(await http.get(ME), Answer[User])["data"] == {
        "username": "ws_default",
        "email": "ws_default@workspace.invalid",
        "first_name": "Simulated",
        "last_name": "User",
        "billing_type": "wallet",
        "wallet": {"currency": "usd", "remaining_balance": 1000.0, "auto_reload": None},
    }


async def test_a_key_tells_whose_it_is_and_none_tells_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, require_key=True, admin_key="admin") as rig:
        admin = {"X-Api-Key": "admin"}
        created = await rig.http.post("/v3/admin/workspaces", json={"name": "Team"}, headers=admin)
        workspace = created.json()["data"]["workspace_id"]
        key = await rig.http.post(f"/v3/admin/workspaces/{workspace}/keys", headers=admin)
        for headers in (
            {"X-Api-Key": key.json()["data"]["key"]},
            {"Authorization": f"Bearer {key.json()['data']['key']}"},
        ):
            assert (await rig.http.get(ME, headers=headers)).json()["data"]["username"] == workspace
        refused(await rig.http.get(ME), 401, "unauthorized")
