"""Workspaces and keys: kept by digest, listed, revoked for good."""

import pytest

from tests.server.store.builders import NOW, WORKSPACE
from tests.server.store.engines import Reopen
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Key, Workspace
from video_translation_server.store import Store

TEAM = Workspace(id="ws_team", name="Team", created_at=NOW)
DIGEST = b"\x01" * 32


def key(key_id: str = "key_1", *, workspace: str = TEAM.id, label: str | None = None) -> Key:
    return Key(id=key_id, workspace_id=workspace, label=label, created_at=NOW)


async def test_a_new_store_has_the_default_workspace_and_no_key(store: Store) -> None:
    [only], token = await store.workspaces(limit=10)
    assert (only.id, only.name, token) == (WORKSPACE, "default", None)
    assert await store.keys(WORKSPACE, limit=10) == ([], None)
    assert not await store.has_keys()


async def test_workspaces_are_listed_newest_first(store: Store) -> None:
    for number in range(3):
        await store.create_workspace(Workspace(id=f"ws_{number}", name="same name", created_at=NOW + number))
    first, token = await store.workspaces(limit=2)
    rest, end = await store.workspaces(limit=2, token=token)
    assert [one.id for one in first + rest] == ["ws_2", "ws_1", "ws_0", WORKSPACE]
    assert end is None


async def test_a_workspace_is_created_once(store: Store) -> None:
    await store.create_workspace(TEAM)
    with pytest.raises(ConflictError, match="ws_team"):
        await store.create_workspace(TEAM)
    assert await store.workspace(TEAM.id) == TEAM
    with pytest.raises(NotFoundError, match="ws_none"):
        await store.workspace("ws_none")


async def test_a_key_is_found_by_its_digest(store: Store, reopen: Reopen) -> None:
    await store.create_workspace(TEAM)
    await store.create_key(key(label="laptop"), DIGEST)
    store = await reopen()
    assert await store.key_of(DIGEST) == key(label="laptop")
    assert await store.key_of(b"\x02" * 32) is None
    assert await store.key_of(b"") is None
    assert await store.has_keys()


async def test_keys_are_listed_by_workspace_newest_first(store: Store) -> None:
    await store.create_workspace(TEAM)
    await store.create_key(key("key_default", workspace=WORKSPACE), b"d")
    for number in range(3):
        await store.create_key(key(f"key_{number}"), bytes([number]))
    first, token = await store.keys(TEAM.id, limit=2)
    rest, end = await store.keys(TEAM.id, limit=2, token=token)
    assert [one.id for one in first + rest] == ["key_2", "key_1", "key_0"]
    assert end is None


async def test_a_key_needs_its_workspace(store: Store) -> None:
    with pytest.raises(NotFoundError, match="ws_team"):
        await store.create_key(key(), DIGEST)
    with pytest.raises(NotFoundError, match="ws_team"):
        await store.keys(TEAM.id, limit=10)
    assert not await store.has_keys()


@pytest.mark.parametrize(("key_id", "digest"), [("key_1", b"other"), ("key_2", DIGEST)])
async def test_no_id_and_no_key_is_given_twice(store: Store, key_id: str, digest: bytes) -> None:
    await store.create_workspace(TEAM)
    await store.create_key(key(), DIGEST)
    with pytest.raises(ConflictError):
        await store.create_key(key(key_id), digest)


async def test_a_revoked_key_stays_revoked_and_known(store: Store, reopen: Reopen) -> None:
    await store.create_workspace(TEAM)
    await store.create_key(key(), DIGEST)
    assert (await store.revoke_key("key_1", now=NOW + 5)).revoked_at == NOW + 5
    assert (await store.revoke_key("key_1", now=NOW + 9)).revoked_at == NOW + 5
    store = await reopen()
    found = await store.key_of(DIGEST)
    assert found is not None
    assert found.revoked_at == NOW + 5
    assert (await store.keys(TEAM.id, limit=10))[0] == [found]
    assert await store.has_keys()


async def test_what_is_not_there_cannot_be_revoked(store: Store) -> None:
    with pytest.raises(NotFoundError, match="key_none"):
        await store.revoke_key("key_none", now=NOW)


async def test_a_new_workspace_has_a_secret_of_its_own(store: Store) -> None:
    await store.create_workspace(TEAM)
    assert await store.workspace_secret(TEAM.id, fresh="a") != await store.workspace_secret(WORKSPACE, fresh="b")
