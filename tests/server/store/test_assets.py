"""What a store knows of uploaded files: found in their own workspace, and old ones forgotten."""

import pytest

from tests.server.store.builders import NOW, OTHER_WORKSPACE, WORKSPACE
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Asset, Kept, Mark
from video_translation_server.store import Keep, Store


def asset(
    asset_id: str = "asset_1", *, workspace: str = WORKSPACE, created_at: float = NOW, seconds: float | None = 12.5
) -> Asset:
    return Asset(
        id=asset_id,
        workspace_id=workspace,
        media_type="video/mp4",
        size=17,
        created_at=created_at,
        seconds=seconds,
    )


async def test_an_asset_is_found_in_its_own_workspace_only(store: Store) -> None:
    await store.create_asset(asset())
    assert await store.asset(WORKSPACE, "asset_1") == asset()
    for workspace, asset_id in ((OTHER_WORKSPACE, "asset_1"), (WORKSPACE, "asset_none")):
        with pytest.raises(NotFoundError, match=asset_id):
            await store.asset(workspace, asset_id)
    with pytest.raises(ConflictError, match="asset_1"):
        await store.create_asset(asset())


async def test_the_oldest_are_named_first_and_forgotten(store: Store) -> None:
    for number in (3, 1, 2):
        await store.create_asset(asset(f"asset_{number}", created_at=NOW + number))
    await store.create_asset(asset("asset_other", workspace=OTHER_WORKSPACE, created_at=NOW))
    assert await store.old_assets(NOW + 3, limit=2) == ["asset_other", "asset_1"]
    assert await store.old_assets(NOW + 3, limit=9) == ["asset_other", "asset_1", "asset_2"]
    await store.delete_assets(["asset_other", "asset_1", "asset_none"])
    assert await store.old_assets(NOW + 9, limit=9) == ["asset_2", "asset_3"]
    await store.delete_assets([])


async def test_a_length_may_be_unknown(store: Store) -> None:
    await store.create_asset(asset(seconds=None))
    assert (await store.asset(WORKSPACE, "asset_1")).seconds is None


async def test_it_is_told_which_ids_are_known_in_any_workspace(store: Store) -> None:
    await store.create_asset(asset())
    await store.create_asset(asset("asset_other", workspace=OTHER_WORKSPACE))
    assert await store.known_assets(["asset_other", "asset_none", "asset_1"]) == {"asset_1", "asset_other"}
    assert await store.known_assets([]) == set()


async def test_the_first_key_of_files_is_kept(store: Store) -> None:
    assert await store.file_key(b"first") == b"first"
    assert await store.file_key(b"second") == b"first"
    await store.erase()
    assert await store.file_key(b"third") == b"first"


async def test_the_answer_is_kept_with_it(store: Store) -> None:
    mark = await store.start_request(WORKSPACE, "POST /v3/assets", "key-1", now=NOW, lease=30)
    assert isinstance(mark, Mark)
    kept = Kept(status=200, body=b"{}")
    await store.create_asset(asset(), keep=Keep(mark, lambda _: kept))
    assert await store.start_request(WORKSPACE, "POST /v3/assets", "key-1", now=NOW, lease=30) == kept
