"""`callback_url` of one job, events for one endpoint alone, what signs an attempt, and pages of deliveries."""

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
    dead,
    deliver_all,
    delivery,
    endpoint,
    life,
    read_log,
    retry,
    seen,
    settlement,
)
from tests.server.store.engines import Reopen
from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Change, DeliveryState, Endpoint, Event, RetiredSecret
from video_translation_server.store import DeliveryFilter, Store

FINAL = ("video_translate.success", "video_translate.fail")


def callback(job_id: str = "job_1", **fields: str) -> Endpoint:
    return endpoint(f"ep_of_{job_id}", entity_id=job_id, events=FINAL, is_callback=True, **fields)


def called_back(job_id: str = "job_1") -> list[Change]:
    """A whole life of a job with a callback URL."""
    first, *rest = life(job_id)
    return [msgspec.structs.replace(first, callback=callback(job_id)), *rest]


# Callbacks


async def test_a_callback_gets_its_jobs_end_and_nothing_else(store: Store) -> None:
    await store.record(called_back("job_1") + life("job_2"))
    held = await claim_one(store)
    assert seen([held]) == [("ep_of_job_1", "job_1", 3)]
    assert held.event_type == "video_translate.success"


async def test_a_callback_may_ask_for_more_than_the_end(store: Store) -> None:
    wanted = ("video_translate.pending", "video_translate.success")
    first = created(callback_events=list(wanted))
    first = msgspec.structs.replace(first, callback=msgspec.structs.replace(callback(), events=wanted))
    second = advanced(first.job)
    await store.record([first, second, advanced(second.job)])
    assert [one.sequence for one in await deliver_all(store)] == [1, 3]


async def test_a_callback_is_hidden_from_the_list_but_can_be_read(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(called_back())
    listed, _ = await store.endpoints(WORKSPACE, limit=10)
    assert [one.id for one in listed] == ["ep_1"]
    assert await store.endpoint(WORKSPACE, "ep_of_job_1") == callback()


async def test_a_callback_and_registered_endpoints_do_not_disturb_each_other(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(called_back())
    assert sorted(seen(await deliver_all(store))) == [
        ("ep_1", "job_1", 1),
        ("ep_1", "job_1", 2),
        ("ep_1", "job_1", 3),
        ("ep_of_job_1", "job_1", 3),
    ]


async def test_a_callback_outlives_a_reopen_and_its_failures(store: Store, reopen: Reopen) -> None:
    await store.record(called_back())
    await store.settle([retry(await claim_one(store), NOW + 60)], now=NOW)
    store = await reopen()
    held = await claim_one(store, NOW + 60)
    assert held.attempt == 2
    await store.settle([dead(held)], now=NOW + 60)
    await store.resend(WORKSPACE, held.delivery_id, now=NOW + 61)
    assert (await claim_one(store, NOW + 61)).attempt == 3


async def test_a_job_that_is_not_kept_leaves_no_callback_behind(store: Store) -> None:
    await store.record([created("job_1")])
    first, *_ = called_back("job_1")
    with pytest.raises(ConflictError):
        await store.record([first])
    with pytest.raises(NotFoundError):
        await store.endpoint(WORKSPACE, "ep_of_job_1")


async def test_a_callback_whose_id_is_taken_leaves_no_job_behind(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_of_job_1"))
    first, *_ = called_back("job_1")
    with pytest.raises(ConflictError):
        await store.record([first])
    with pytest.raises(NotFoundError):
        await store.job(WORKSPACE, "job_1")
    assert await read_log(store) == []


async def test_a_callback_never_expires_nor_gets_notices(store: Store) -> None:
    await store.create_endpoint(endpoint(events=("video_translate.pending",)))
    await store.record(called_back())
    assert await store.expire_endpoints(NOW + 1e9) == []
    await store.settle([dead(held) for held in await claim(store)], now=NOW)
    assert [event.type for event in await read_log(store)].count("delivery.exhausted") == 2
    assert await claim(store) == []


# Secrets and headers


async def test_a_workspaces_secret_is_made_once_and_kept(store: Store, reopen: Reopen) -> None:
    assert await store.workspace_secret(WORKSPACE, fresh="whsec_1") == "whsec_1"
    assert await store.workspace_secret(WORKSPACE, fresh="whsec_2") == "whsec_1"
    store = await reopen()
    assert await store.workspace_secret(WORKSPACE, fresh="whsec_3") == "whsec_1"


async def test_an_unknown_workspace_has_no_secret(store: Store) -> None:
    with pytest.raises(NotFoundError):
        await store.workspace_secret("ws_none", fresh="whsec_1")


async def test_retired_secrets_sign_until_their_time_is_up(store: Store) -> None:
    retired = (RetiredSecret(secret="whsec_B", until=NOW + 20), RetiredSecret(secret="whsec_C", until=NOW + 10))
    await store.create_endpoint(endpoint(secret="whsec_A", retired=retired))
    await store.record([created()])
    for now, secrets in (
        (NOW, ("whsec_A", "whsec_B", "whsec_C")),
        (NOW + 9.9, ("whsec_A", "whsec_B", "whsec_C")),
        (NOW + 10, ("whsec_A", "whsec_B")),
        (NOW + 20, ("whsec_A",)),
    ):
        held = await claim_one(store, now)
        assert held.secrets == secrets
        await store.release([held])


async def test_a_claim_has_what_the_endpoint_is_now(store: Store) -> None:
    await store.create_endpoint(endpoint(headers={"x-old": "1"}))
    await store.record([created()])
    held = await claim_one(store)
    assert (held.private_key, held.headers) == (None, {"x-old": "1"})
    await store.release([held])
    after = endpoint(
        url="http://localhost/new", secret="whsec_N", private_key="whsk_K", headers={"x-new": "ü", "x-more": ""}
    )
    await store.change_endpoint(WORKSPACE, "ep_1", lambda _: after, now=NOW)
    held = await claim_one(store)
    assert (held.url, held.secrets, held.private_key) == (after.url, ("whsec_N",), "whsk_K")
    assert held.headers == after.headers


# To one endpoint alone


def check_event(event_id: str = "evt_test", workspace: str = WORKSPACE) -> Event:
    return Event(id=event_id, workspace_id=workspace, type="endpoint.test", created_at=NOW, body=b"{}")


async def test_an_event_for_one_endpoint_reaches_it_alone_whatever_it_wants(store: Store) -> None:
    await store.create_endpoint(endpoint("ep_1", events=FINAL, entity_id="job_x"))
    await store.create_endpoint(endpoint("ep_2"))
    number = (await store.send_to(check_event(), "ep_1")).id
    held = await claim_one(store)
    assert (held.delivery_id, held.endpoint_id, held.event_type, held.job_id) == (number, "ep_1", "endpoint.test", None)
    assert [event.id for event in await read_log(store)] == ["evt_test"]
    await store.settle([settlement(held)], now=NOW)
    assert (await delivery(store, held)).state is DeliveryState.DELIVERED


async def test_an_event_for_one_endpoint_waits_for_nothing(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.record(life())
    await claim_one(store)
    await store.send_to(check_event(), "ep_1")
    await store.send_to(check_event("evt_more"), "ep_1")
    assert len(await claim(store)) == 2


async def test_an_event_for_no_living_endpoint_is_not_kept(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.create_endpoint(endpoint("ep_gone"))
    await store.delete_endpoint(WORKSPACE, "ep_gone", now=NOW)
    for event, name in (
        (check_event(), "ep_none"),
        (check_event(), "ep_gone"),
        (check_event(workspace=OTHER_WORKSPACE), "ep_1"),
    ):
        with pytest.raises(NotFoundError) as caught:
            await store.send_to(event, name)
        assert caught.value.code == "webhook_not_found"
    assert await store.last_position() == 0


async def test_an_event_for_one_endpoint_whose_id_is_taken_is_a_conflict(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.send_to(check_event(), "ep_1")
    with pytest.raises(ConflictError):
        await store.send_to(check_event(), "ep_1")
    assert len(await claim(store)) == 1


# Pages of deliveries


async def test_deliveries_are_paged_newest_first_of_one_workspace(store: Store) -> None:
    await store.create_endpoint(endpoint())
    await store.create_endpoint(endpoint("ep_foreign", workspace=OTHER_WORKSPACE))
    for number in range(7):
        await store.record([created(f"job_{number}"), created(f"job_x{number}", workspace=OTHER_WORKSPACE)])
    found: list[str | None] = []
    token = None
    while True:
        page, token = await store.deliveries(WORKSPACE, limit=3, token=token, wanted=DeliveryFilter())
        found += [one.job_id for one in page]
        if token is None:
            break
        await store.record([created(f"job_late_{len(found)}")])
    assert found == [f"job_{number}" for number in reversed(range(7))]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_a_listing_shows_each_delivery_once_though_it_is_settled_or_taken_up_meanwhile(
    store: Store, limit: int
) -> None:
    await store.create_endpoint(endpoint(events=("video_translate.pending",)))
    await store.record([created(f"job_{number}") for number in range(9)])
    first = await claim(store, limit=4, per_endpoint=4)
    await store.settle([settlement(held) for held in first], now=NOW)
    found: list[int] = []
    token: int | None = None
    while not found or token is not None:
        page, token = await store.deliveries(WORKSPACE, limit=limit, token=token, wanted=DeliveryFilter())
        found += [one.id for one in page]
        # Now some more are settled, above and below the token, and one that was settled is open again.
        await store.settle([settlement(held) for held in await claim(store, limit=2)], now=NOW)
        again = first[len(found) % len(first)]
        if not (await delivery(store, again)).state.is_open:
            await store.resend(WORKSPACE, again.delivery_id, now=NOW)
    everything, _ = await store.deliveries(WORKSPACE, limit=100, wanted=DeliveryFilter())
    assert found == sorted((one.id for one in everything), reverse=True)
    assert len(found) == 9


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (DeliveryFilter(), 8),
        (DeliveryFilter(endpoint_id="ep_2"), 4),
        (DeliveryFilter(job_id="job_1"), 6),
        (DeliveryFilter(event_id="evt_job_2_1"), 2),
        (DeliveryFilter(state=DeliveryState.WAITING), 4),
        (DeliveryFilter(endpoint_id="ep_1", job_id="job_1", state=DeliveryState.DUE), 1),
        (DeliveryFilter(endpoint_id="ep_none"), 0),
        (DeliveryFilter(job_id="job_none"), 0),
        (DeliveryFilter(event_id="evt_none"), 0),
        (DeliveryFilter(state=DeliveryState.DEAD), 0),
    ],
)
async def test_filters_narrow_the_deliveries(store: Store, wanted: DeliveryFilter, count: int) -> None:
    for name in ("ep_1", "ep_2"):
        await store.create_endpoint(endpoint(name))
    await store.record([*life("job_1"), created("job_2")])
    found, token = await store.deliveries(WORKSPACE, limit=100, wanted=wanted)
    assert (len(found), token) == (count, None)
    assert await store.deliveries(OTHER_WORKSPACE, limit=100, wanted=wanted) == ([], None)


async def test_a_delivery_of_a_deleted_endpoint_can_still_be_read(store: Store) -> None:
    await store.create_endpoint(endpoint())
    first = created()
    await store.record([first, advanced(first.job)])
    held = await claim_one(store)
    await store.settle([settlement(held)], now=NOW)
    await store.delete_endpoint(WORKSPACE, "ep_1", now=NOW + 1)
    found, _ = await store.deliveries(WORKSPACE, limit=10, wanted=DeliveryFilter(endpoint_id="ep_1"))
    assert [one.state for one in found] == [DeliveryState.DEAD, DeliveryState.DELIVERED]
