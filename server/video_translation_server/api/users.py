"""`GET /v3/users/me`: who the caller is.

There are no people here, only workspaces; what the real service tells of a person is made of the workspace's id.
"""

from fastapi import APIRouter, Response

from video_translation_server.api.answers import answer
from video_translation_server.api.auth import Workspace
from video_translation_server.api.errors import RESPONSES
from video_translation_server.wire.responses import Answer, User

router = APIRouter(prefix="/v3/users", tags=["users"], responses=RESPONSES)

BALANCE = 1000.0
"""US dollars that every wallet shows, whatever is translated."""


@router.get("/me", response_model=Answer[User])
async def me(workspace: Workspace) -> Response:
    """The caller's workspace in the shape of a user, with a wallet that never empties."""
    return answer(
        {
            "username": workspace,
            "email": f"{workspace}@workspace.invalid",
            "first_name": "Simulated",
            "last_name": "User",
            "billing_type": "wallet",
            "wallet": {"currency": "usd", "remaining_balance": BALANCE, "auto_reload": None},
        }
    )
