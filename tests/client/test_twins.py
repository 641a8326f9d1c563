from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import resources
from typing import Any, assert_type

import pytest

import video_translation_client
from video_translation_client import (
    Asset,
    AsyncJob,
    AsyncJobGroup,
    AsyncRegistration,
    AsyncVideoTranslationClient,
    Batch,
    BatchItem,
    BatchSnapshot,
    Event,
    Job,
    JobGroup,
    JobSnapshot,
    Metrics,
    RawResponse,
    Registration,
    VideoTranslationClient,
)
from video_translation_client._assets import Assets, AsyncAssets
from video_translation_client._batches import AsyncBatches, Batches
from video_translation_client._endpoints import AsyncClientWebhooks, AsyncDeliveries, ClientWebhooks, Deliveries
from video_translation_client._raw import AsyncRawCalls, RawCalls

TWINS: list[tuple[type[Any], type[Any]]] = [
    (VideoTranslationClient, AsyncVideoTranslationClient),
    (Registration, AsyncRegistration),
    (Job, AsyncJob),
    (JobGroup, AsyncJobGroup),
    (ClientWebhooks, AsyncClientWebhooks),
    (Deliveries, AsyncDeliveries),
    (Assets, AsyncAssets),
    (Batches, AsyncBatches),
]
# Whose default is another function in the other world.
AWAITED_DEFAULTS = {("poll_status", "sleep")}


def public(kind: type[Any]) -> dict[str, Any]:
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


def function(member: Any) -> Callable[..., Any] | None:
    found = member.fget if isinstance(member, property) else member
    return found if inspect.isfunction(found) else None


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_both_have_the_same_names(blocking: type[Any], awaited: type[Any]) -> None:
    assert set(public(blocking)) == set(public(awaited))


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_both_take_the_same_arguments(blocking: type[Any], awaited: type[Any]) -> None:
    for name, member in {**public(blocking), "__init__": blocking.__init__}.items():
        if name == "__init__" and blocking is not VideoTranslationClient:
            continue
        one, other = function(member), function(inspect.getattr_static(awaited, name))
        assert (one is None) == (other is None), name
        if one is None or other is None:
            continue
        parameters = zip(
            inspect.signature(one).parameters.values(), inspect.signature(other).parameters.values(), strict=True
        )
        for mine, theirs in parameters:
            assert (mine.name, mine.kind) == (theirs.name, theirs.kind), name
            if (name, mine.name) not in AWAITED_DEFAULTS:
                assert mine.default == theirs.default, (name, mine.name)


@pytest.mark.parametrize("kind", [kind for pair in TWINS for kind in pair])
def test_everything_public_is_described_and_typed(kind: type[Any]) -> None:
    assert inspect.getdoc(kind)
    for name, member in public(kind).items():
        assert inspect.getdoc(member), name
        found = function(member)
        if found is not None:
            # Unresolved: some of the types are imported for type checkers only.
            assert not re.search(r"\bAny\b", str(inspect.signature(found).return_annotation)), name


@pytest.mark.parametrize("kind", [Assets, AsyncAssets, Batches, AsyncBatches])
def test_what_a_namespace_sends_says_what_it_raises(kind: type[Any]) -> None:
    for name, member in public(kind).items():
        assert "Raises:" in str(inspect.getdoc(member)), name


@pytest.mark.parametrize("kind", [VideoTranslationClient, AsyncVideoTranslationClient])
def test_what_sends_says_what_it_raises(kind: type[Any]) -> None:
    sending = ["translate", "get_job", "get_status", "get_statuses", "list_jobs", "cancel", "languages", "list_events"]
    sending += ["rename_job", "delete_job", "me"]
    for name in sending:
        assert "Raises:" in str(inspect.getdoc(getattr(kind, name))), name


def test_raw_answers_are_of_the_same_calls() -> None:
    blocking, awaited = RawCalls.__init__, AsyncRawCalls.__init__
    assert blocking.__code__.co_names == awaited.__code__.co_names


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files(video_translation_client).joinpath("py.typed").is_file()


# mypy reads these; nothing calls them.


def _the_blocking_clients_results_are_typed(client: VideoTranslationClient) -> None:
    assert_type(client.get_job("a"), JobSnapshot)
    assert_type(client.get_status(), JobSnapshot)
    assert_type(client.get_statuses(["a"]), dict[str, JobSnapshot])
    assert_type(client.poll_status(), JobSnapshot)
    assert_type(client.list_jobs(), Iterator[JobSnapshot])
    assert_type(client.list_events("cur_0"), Iterator[Event])
    assert_type(client.cancel("a"), JobSnapshot)
    assert_type(client.languages(), list[str])
    assert_type(client.metrics(), Metrics)
    assert_type(client.with_options(timeout=1.0), VideoTranslationClient)
    assert_type(client.with_raw_response.get_job("a"), RawResponse[JobSnapshot])
    assert_type(client.with_raw_response.get_job("a").parse(), JobSnapshot)
    assert_type(client.with_raw_response.languages().request_id, str | None)
    assert_type(client.register_webhook(), Registration)
    assert_type(client.batches.create([]), Batch[JobGroup])
    assert_type(client.batches.get("a"), BatchSnapshot)
    assert_type(client.with_raw_response.upload_asset("a"), RawResponse[Asset])


async def _the_async_clients_results_are_typed(client: AsyncVideoTranslationClient) -> None:
    assert_type(await client.get_job("a"), JobSnapshot)
    assert_type(await client.get_statuses(["a"]), dict[str, JobSnapshot])
    assert_type(await client.poll_status(), JobSnapshot)
    assert_type(client.job("a"), AsyncJob)
    assert_type(client.list_jobs(), AsyncIterator[JobSnapshot])
    assert_type(client.list_events("cur_0"), AsyncIterator[Event])
    assert_type(await client.cancel("a"), JobSnapshot)
    assert_type(await client.languages(), list[str])
    assert_type(client.with_options(timeout=1.0), AsyncVideoTranslationClient)
    assert_type(await client.with_raw_response.get_job("a"), RawResponse[JobSnapshot])
    assert_type(await client.register_webhook(), AsyncRegistration)
    assert_type(await client.batches.create([]), Batch[AsyncJobGroup])
    assert_type(client.batches.items("a"), AsyncIterator[BatchItem])
    assert_type(await client.assets.upload("a"), Asset)
