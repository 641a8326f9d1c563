"""`/v3/webhooks/endpoints` and the event types: who is told of what."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from msgspec.structs import replace

from video_translation_server.api.answers import Limit, Token, answer, decode_token, encode_token, page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.events import encode_cursor
from video_translation_server.api.idempotency import Once, OnceOnly
from video_translation_server.api.lenience import LenientRoute
from video_translation_server.errors import ConflictError, InvalidError
from video_translation_server.model import Endpoint, EndpointStatus, Ordering, RetiredSecret, Sweep, SweepKind
from video_translation_server.signing import public_key
from video_translation_server.wire.deliveries import delivery_resource, sweep_resource
from video_translation_server.wire.events import EVENT_TYPES, iso_time, maybe_iso_time, notice_event
from video_translation_server.wire.requests import (
    EndpointPatch,
    EndpointRequest,
    ReplayRequest,
    RotateRequest,
    SweepRequest,
)
from video_translation_server.wire.responses import (
    Answer,
    DeliveryAnswer,
    EndpointAnswer,
    NewEndpoint,
    NewSecret,
    Page,
    Recovery,
    WorkspaceSecret,
)

router = APIRouter(prefix="/v3/webhooks", tags=["webhooks"], route_class=LenientRoute, responses=RESPONSES)


@router.post("/endpoints", response_model=Answer[NewEndpoint])
async def create(request: EndpointRequest, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Register a URL; the answer has its secret, and the cursor behind which its events begin."""
    context.check_target(request.url)
    now = context.clock.now()
    endpoint = Endpoint(
        id=context.ids("ep"),
        workspace_id=workspace,
        url=request.url,
        created_at=now,
        secret=context.new_secret(),
        private_key=context.new_private_key() if request.asymmetric else None,
        events=_types(request.events),
        entity_id=request.entity_id,
        description=request.description,
        headers=request.headers,
        ordering=Ordering(request.ordering),
        max_in_flight=request.max_in_flight,
        rate_limit=request.rate_limit,
        ttl_seconds=request.ttl_seconds,
        expires_at=None if request.ttl_seconds is None else now + request.ttl_seconds,
    )
    resource = _resource(endpoint) | {"secret": endpoint.secret}
    return await once.do(
        lambda keep: context.store.create_endpoint(endpoint, keep=keep),
        lambda position: answer(resource | {"cursor": encode_cursor(position)}),
    )


@router.get("/endpoints", response_model=Page[EndpointAnswer])
async def list_(workspace: Workspace, context: Surroundings, limit: Limit = 10, token: Token = None) -> Response:
    """The workspace's endpoints, newest first."""
    endpoints, place = await context.store.endpoints(workspace, limit=limit, token=decode_token("endpoints", token))
    return page([_resource(endpoint) for endpoint in endpoints], encode_token("endpoints", place))


@router.get("/endpoints/{endpoint_id}", response_model=Answer[EndpointAnswer])
async def get(endpoint_id: str, workspace: Workspace, context: Surroundings) -> Response:
    """One endpoint."""
    return answer(_resource(await context.store.endpoint(workspace, endpoint_id)))


@router.patch("/endpoints/{endpoint_id}", response_model=Answer[EndpointAnswer])
async def patch(endpoint_id: str, request: EndpointPatch, workspace: Workspace, context: Surroundings) -> Response:
    """Change what is named; `events` is replaced whole. Enabling offers what was held meanwhile."""
    given = request.model_dump(include=request.model_fields_set)
    if request.url is None:
        given.pop("url", None)  # the real service takes null there
    for name in ("status", "headers", "ordering"):
        if name in given and given[name] is None:
            raise InvalidError(f"{name} cannot be null; leave it out to keep it", param=name)
    if "url" in given:
        context.check_target(given["url"])
    if "events" in given:
        given["events"] = _types(request.events)
    if "ordering" in given:
        given["ordering"] = Ordering(given["ordering"])
    if "status" in given:
        given["status"] = EndpointStatus(given["status"])
        is_disabled = given["status"] is EndpointStatus.DISABLED
        given["disabled_reason"] = "disabled by the caller" if is_disabled else None
    changed = await context.store.change_endpoint(
        workspace, endpoint_id, lambda endpoint: replace(endpoint, **given), now=context.clock.now()
    )
    return answer(_resource(changed))


@router.delete("/endpoints/{endpoint_id}", response_model=Answer[dict[str, Any]])
async def delete(endpoint_id: str, workspace: Workspace, context: Surroundings) -> Response:
    """Forget an endpoint; what was on its way to it is not sent any more."""
    await context.store.delete_endpoint(workspace, endpoint_id, now=context.clock.now())
    return answer({})


@router.post("/endpoints/{endpoint_id}/renew", response_model=Answer[EndpointAnswer])
async def renew(endpoint_id: str, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Start the endpoint's `ttl_seconds` anew."""
    now = context.clock.now()

    def renewed(endpoint: Endpoint) -> Endpoint:
        if endpoint.ttl_seconds is None:
            raise ConflictError(f"endpoint {endpoint_id} has no ttl_seconds: there is nothing to renew")
        return replace(endpoint, expires_at=now + endpoint.ttl_seconds)

    return await once.do(
        lambda keep: context.store.change_endpoint(workspace, endpoint_id, renewed, now=now, keep=keep),
        lambda changed: answer(_resource(changed)),
    )


@router.post("/endpoints/{endpoint_id}/rotate-secret", response_model=Answer[NewSecret])
async def rotate_secret(
    endpoint_id: str,
    workspace: Workspace,
    context: Surroundings,
    once: OnceOnly,
    request: RotateRequest | None = None,
) -> Response:
    """Give the endpoint a new secret; the old one signs beside it for `overlap_seconds`."""
    now, secret = context.clock.now(), context.new_secret()
    until = now + (request.overlap_seconds if request else 0)

    def rotated(endpoint: Endpoint) -> Endpoint:
        candidates = (RetiredSecret(secret=endpoint.secret, until=until), *endpoint.retired)
        # A second rotation without overlap ends older overlaps too: the caller wants the old ones dead.
        retired = tuple(replace(old, until=min(old.until, until)) for old in candidates)
        return replace(endpoint, secret=secret, retired=tuple(old for old in retired if old.until > now))

    return await once.do(
        lambda keep: context.store.change_endpoint(workspace, endpoint_id, rotated, now=now, keep=keep),
        lambda _: answer({"endpoint_id": endpoint_id, "secret": secret}),
    )


@router.post("/endpoints/{endpoint_id}/test", response_model=Answer[DeliveryAnswer])
async def test(endpoint_id: str, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Send the endpoint an `endpoint.test` event, through the same queue as all others."""
    event = notice_event(
        "endpoint.test",
        {"endpoint_id": endpoint_id},
        event_id=context.ids("evt"),
        workspace_id=workspace,
        now=context.clock.now(),
    )
    return await once.do(
        lambda keep: context.store.send_to(event, endpoint_id, keep=keep),
        lambda delivery: answer(delivery_resource(delivery)),
    )


@router.post("/endpoints/{endpoint_id}/recover", response_model=Answer[Recovery])
async def recover(
    endpoint_id: str, request: SweepRequest, workspace: Workspace, context: Surroundings, once: OnceOnly
) -> Response:
    """Take up again all since a time that failed for good or was never sent; it goes on over a restart."""
    sweep = _sweep(context, workspace, endpoint_id, SweepKind.RECOVER, request.since)
    return await _start(context, sweep, once)


@router.post("/endpoints/{endpoint_id}/replay", response_model=Answer[Recovery])
async def replay(
    endpoint_id: str,
    workspace: Workspace,
    context: Surroundings,
    once: OnceOnly,
    request: ReplayRequest | None = None,
) -> Response:
    """Send what the endpoint was never sent, for example from before it was registered."""
    since = request.since if request else None
    return await _start(context, _sweep(context, workspace, endpoint_id, SweepKind.REPLAY, since), once)


@router.get("/recoveries/{recovery_id}", response_model=Answer[Recovery])
async def recovery(recovery_id: str, workspace: Workspace, context: Surroundings) -> Response:
    """How far a recovery or replay has come."""
    return answer(sweep_resource(await context.store.sweep(workspace, recovery_id)))


@router.get("/secret", response_model=Answer[WorkspaceSecret])
async def secret(workspace: Workspace, context: Surroundings) -> Response:
    """The secret that deliveries to a job's `callback_url` are signed with."""
    return answer({"secret": await context.store.workspace_secret(workspace, fresh=context.new_secret())})


@router.get("/event-types", response_model=Page[dict[str, str]])
async def event_types(_: Workspace) -> Response:
    """Every event type with what it tells."""
    return page([{"event_type": name, "description": description} for name, description in EVENT_TYPES.items()], None)


def _sweep(context: Context, workspace: str, endpoint_id: str, kind: SweepKind, since: datetime | None) -> Sweep:
    now = context.clock.now()
    # Nothing here is older than Unix time; before the year 1, where an offset can lead, there is no text for it.
    start = 0.0 if since is None else max(0.0, since.timestamp())
    if start > now:
        raise InvalidError("since lies in the future; give a time in the past", param="since")
    return Sweep(
        id=context.ids("rec"),
        workspace_id=workspace,
        endpoint_id=endpoint_id,
        kind=kind,
        since=start,
        created_at=now,
    )


async def _start(context: Context, sweep: Sweep, once: Once) -> Response:
    return await once.do(
        lambda keep: context.store.start_sweep(sweep, keep=keep),
        lambda started: answer(sweep_resource(started)),
    )


def _types(events: list[str] | None) -> tuple[str, ...] | None:
    return None if events is None else tuple(dict.fromkeys(events))


def _resource(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "status": endpoint.status,
        "created_at": iso_time(endpoint.created_at),
        "entity_id": endpoint.entity_id,
        "description": endpoint.description,
        "ttl_seconds": endpoint.ttl_seconds,
        "expires_at": maybe_iso_time(endpoint.expires_at),
        "headers": endpoint.headers,
        "ordering": endpoint.ordering,
        "max_in_flight": endpoint.max_in_flight,
        "rate_limit": endpoint.rate_limit,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": maybe_iso_time(endpoint.failing_since),
        "public_key": None if endpoint.private_key is None else public_key(endpoint.private_key),
    }
