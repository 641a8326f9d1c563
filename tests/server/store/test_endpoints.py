"""Endpoints: kept, found, paged, deleted with what is on its way to them, renewed and expired."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.server.store.builders import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    advanced,
    claim,
    claim_one,
    created,
    deliver_all,
    deliveries_of,
    delivery,
    endpoint,
    life,
    seen,
    settlement,
    states,
)
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import DeliveryState, Endpoint, EndpointStatus
from video_translation_server.store import Store

FULL = endpoint(
    url="https://example.com:8443/hook?tenant=1",
    secret="whsec_new",
    events=("video_translate.success", "video_translate.progress"),
    entity_id="job_9",
    description="Für die Ablage",
    status=EndpointStatus.DISABLED,
    ttl_seconds=60.5,
    expires_at=NOW + 60.5,
)


@pytest.mark.parametrize("kept", [endpoint(), endpoint(events=()), FULL], ids=["bare", "no events", "full"])
async def test_an_endpoint_is_kept_field_by_field(store: Store, kept: Endpoint) -> None:
    await store.create_endpoint(kept)
    assert await store.endpoint(WORKSPACE, kept.id) == kept


async def test_pages_are_newest_first_of_one_workspace_without_the_deleted(store: Store) -> None:
    for number in range(1, 7):
        await store.create_endpoint(endpoint(f"ep_{number}"))
        await store.create_endpoint(endpoint(f"ep_other_{number}", workspace=OTHER_WORKSPACE))
    await store.delete_endpoint(WORKSPACE, "ep_3", now=NOW)
    pages: list[list[str]] = []
    token: int | None = None
    while token is not None or not pages:
        page, token = await store.endpoints(WORKSPACE, limit=2, token=token)
        pages.append([one.id for one in page])
    assert pages == [["ep_6", "ep_5"], ["ep_4", "ep_2"], ["ep_1"]]


async def test_a_last_page_that_is_full_has_no_token(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1"))
    await store.create_endpoint(endpoint("ep_2"))
    page, token = await store.endpoints(WORKSPACE, limit=2)
    assert ([one.id for one in page], token) == (["ep_2", "ep_1"], None)
    assert await store.endpoints(OTHER_WORKSPACE, limit=2) == ([], None)


# What is not there

Ask = Callable[[Store, str, str], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "get": lambda store, workspace, name: store.endpoint(workspace, name),
    "delete": lambda store, workspace, name: store.delete_endpoint(workspace, name, now=NOW),
    "change": lambda store, workspace, name: store.change_endpoint(workspace, name, lambda same: same, now=NOW),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
async def test_an_endpoint_that_is_not_there_is_not_found(store: Store, ask: Ask) -> None:
    await store.create_endpoint(endpoint("ep_1", ttl_seconds=60, expires_at=NOW + 60))
    await store.create_endpoint(endpoint("ep_gone", ttl_seconds=60, expires_at=NOW + 60))
    await store.delete_endpoint(WORKSPACE, "ep_gone", now=NOW)
    for workspace, name in ((WORKSPACE, "ep_none"), (WORKSPACE, "ep_gone"), (OTHER_WORKSPACE, "ep_1")):
        with pytest.raises(NotFoundError, match=name) as caught:
            await ask(store, workspace, name)
        assert (caught.value.code, caught.value.param) == ("webhook_not_found", "endpoint_id")
    assert (await store.endpoint(WORKSPACE, "ep_1")).expires_at == NOW + 60, "nothing has changed"


# Deleting


async def test_deleting_closes_what_is_pending_waiting_and_in_flight(store: Store) -> None:
    await store.create_endpoint(endpoint())
    changes = [*life("job_flying"), *life("job_pending")]
    await store.record(changes)
    [held] = await claim(store, limit=1)
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW)
    assert await states(store, changes) == [DeliveryState.DEAD] * 6
    assert await store.settle([settlement(held)], now=NOW) == [False]
    assert await states(store, changes) == [DeliveryState.DEAD] * 6
    assert await claim(store, NOW + 1e9) == []
    assert await store.next_delivery_due(0) is None


async def test_deleting_leaves_what_was_delivered_and_the_other_endpoints(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1"))
    await store.create_endpoint(endpoint("ep_2"))
    first = created()
    await store.record([first])
    done = await deliver_all(store)
    second = advanced(first.job)
    await store.record([second])
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW)
    assert {(await delivery(store, held)).state for held in done} == {DeliveryState.DELIVERED}
    assert len(await store.attempts(done[0].delivery_id)) == 1, "the attempt log stays"
    assert seen([await claim_one(store)]) == [("ep_2", "job_1", 2)]


async def test_deleting_in_one_workspace_leaves_the_others_claims(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1"))
    await store.create_endpoint(endpoint("ep_2", workspace=OTHER_WORKSPACE))
    await store.record([created("job_1"), created("job_2", workspace=OTHER_WORKSPACE)])
    claims = {held.endpoint_id: held for held in await claim(store)}
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW)
    assert await store.settle([settlement(claims["ep_2"])], now=NOW) == [True]


# A life of its own


async def test_an_endpoint_with_a_ttl_expires_unless_it_is_renewed(store: Store) -> None:
    for name in ("ep_1", "ep_2"):
        await store.create_endpoint(endpoint(name, ttl_seconds=60, expires_at=NOW + 60))
    await store.create_endpoint(endpoint("ep_lasting"))
    assert await store.expire_endpoints(NOW + 59.9) == []
    renewed = await store.change_endpoint(
        WORKSPACE, "ep_2", lambda old: msgspec.structs.replace(old, expires_at=NOW + 90), now=NOW + 30
    )
    assert renewed == endpoint("ep_2", ttl_seconds=60, expires_at=NOW + 90)
    assert await store.endpoint(WORKSPACE, "ep_2") == renewed
    assert await store.expire_endpoints(NOW + 60) == ["ep_1"]
    assert await store.expire_endpoints(NOW + 60) == [], "once"
    assert await store.expire_endpoints(NOW + 90) == ["ep_2"]
    page, _ = await store.endpoints(WORKSPACE, limit=9)
    assert [one.id for one in page] == ["ep_lasting"]


async def test_expiring_closes_what_was_on_its_way(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_mortal", ttl_seconds=60, expires_at=NOW + 60))
    await store.create_endpoint(endpoint("ep_lasting"))
    await store.record(life())
    held = next(one for one in await claim(store) if one.endpoint_id == "ep_mortal")
    assert await store.expire_endpoints(NOW + 60) == ["ep_mortal"]
    assert await store.settle([settlement(held)], now=NOW) == [False]
    assert (await delivery(store, held)).state is DeliveryState.DEAD
    with pytest.raises(NotFoundError):
        await store.endpoint(WORKSPACE, "ep_mortal")
    await store.record([created("job_2", now=NOW + 61)])
    assert {one.endpoint_id for one in await deliveries_of(store, WORKSPACE, "evt_job_2_1")} == {"ep_lasting"}


async def test_an_endpoint_without_a_ttl_never_expires(store: Store) -> None:
    await store.create_endpoint(endpoint())
    assert await store.expire_endpoints(NOW + 1e9) == []


async def test_a_change_that_raises_changes_nothing(store: Store) -> None:
    def refuse(_: Endpoint) -> Endpoint:
        raise ConflictError("not now")

    await store.create_endpoint(endpoint())
    with pytest.raises(ConflictError, match="not now"):
        await store.change_endpoint(WORKSPACE, "ep_1", refuse, now=NOW)
    assert await store.endpoint(WORKSPACE, "ep_1") == endpoint()


async def test_a_known_endpoint_id_changes_nothing(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1"))
    with pytest.raises(ConflictError, match="ep_1"):
        await store.create_endpoint(endpoint("ep_1", url="http://localhost/stolen", workspace=OTHER_WORKSPACE))
    assert await store.endpoint(WORKSPACE, "ep_1") == endpoint("ep_1")
