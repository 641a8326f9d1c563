"""`/v3/webhooks/deliveries`: what is on its way, what became of it, and sending it again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server.api.answers import Limit, Token, answer, decode_token, encode_token, page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.idempotency import OnceOnly
from video_translation_server.model import DeliveryState
from video_translation_server.store import DeliveryFilter
from video_translation_server.wire.deliveries import attempt_resource, delivery_number, delivery_resource
from video_translation_server.wire.responses import Answer, DeliveryAnswer, DeliveryWithAttempts, Page

router = APIRouter(prefix="/v3/webhooks/deliveries", tags=["deliveries"], responses=RESPONSES)

Id = Annotated[str | None, Query(max_length=255)]


@router.get("", response_model=Page[DeliveryAnswer])
async def list_(
    *,
    workspace: Workspace,
    context: Surroundings,
    limit: Limit = 10,
    token: Token = None,
    event_id: Id = None,
    endpoint_id: Id = None,
    video_translate_id: Id = None,
    state: Annotated[DeliveryState | None, Query()] = None,
) -> Response:
    """The workspace's deliveries, newest first; `state=dead` lists the dead letters."""
    wanted = DeliveryFilter(event_id=event_id, endpoint_id=endpoint_id, job_id=video_translate_id, state=state)
    deliveries, place = await context.store.deliveries(
        workspace, limit=limit, token=decode_token("deliveries", token), wanted=wanted
    )
    return page([delivery_resource(delivery) for delivery in deliveries], encode_token("deliveries", place))


@router.get("/{delivery_id}", response_model=Answer[DeliveryWithAttempts])
async def get(delivery_id: str, workspace: Workspace, context: Surroundings) -> Response:
    """One delivery with its attempts."""
    delivery = await context.store.delivery(workspace, delivery_number(delivery_id))
    attempts = await context.store.attempts(delivery.id)
    return answer(delivery_resource(delivery) | {"attempt_log": [attempt_resource(attempt) for attempt in attempts]})


@router.post("/{delivery_id}/resend", response_model=Answer[DeliveryAnswer])
async def resend(delivery_id: str, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Send it again, now, and with a whole new run of the retry schedule behind it."""
    number, now = delivery_number(delivery_id), context.clock.now()
    return await once.do(
        lambda keep: context.store.resend(workspace, number, now=now, keep=keep),
        lambda delivery: answer(delivery_resource(delivery)),
    )
