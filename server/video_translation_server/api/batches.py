"""`/v3/video-translations/batches`: several translations asked for together, and told of together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from video_translation_server.api.answers import Token, answer, decode_token, encode_token
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.hints import when_to_ask
from video_translation_server.api.idempotency import Keeping, OnceOnly
from video_translation_server.api.lenience import LenientRoute
from video_translation_server.api.orders import Order, in_batch
from video_translation_server.model import Batch, Change, Job
from video_translation_server.wire.batches import BatchRequest, batch_items, batch_resource
from video_translation_server.wire.responses import Answer, BatchAnswer

router = APIRouter(
    prefix="/v3/video-translations/batches", tags=["translations"], route_class=LenientRoute, responses=RESPONSES
)

PAGE = 100
"""Items of a batch per page, unless fewer are asked for."""

ItemLimit = Annotated[int, Query(ge=1, le=PAGE, description="Items per page")]


@router.post("", response_model=Answer[BatchAnswer])
async def create(request: BatchRequest, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Start every translation of the batch, one job per language; all of them, or none."""
    return await once.run(partial(_create, request, workspace, context))


async def _create(request: BatchRequest, workspace: str, context: Context, keeping: Keeping) -> Response:
    order = Order(context, workspace, context.clock.now())
    if request.callback_url is not None:
        order.check_callback(request.callback_url)
    changes: list[Change] = []
    for index, one in enumerate(request.video_translations):
        changes += await order.changes(one, prefix=f"video_translations[{index}].")
    batch_id = context.ids("batch")
    moves = order.unfolded(in_batch(changes, batch_id))
    jobs = list({move.job.id: move.job for move in moves}.values())
    batch = Batch(
        id=batch_id,
        workspace_id=workspace,
        title=request.title,
        created_at=order.now,
        counts=Counter(job.status for job in jobs),
        callback=await order.callback(batch_id, request.callback_url) if request.callback_url else None,
    )
    created = _answer(batch, jobs[:PAGE], PAGE - 1 if len(jobs) > PAGE else None)
    await order.record(moves, batch=batch, keep=keeping(lambda _: created))
    return created


@router.get("/{batch_id}", response_model=Answer[BatchAnswer])
async def get(
    batch_id: str, workspace: Workspace, context: Surroundings, limit: ItemLimit = PAGE, token: Token = None
) -> Response:
    """The batch, how its jobs stand, and a page of them in the order in which they were asked for."""
    place = decode_token("items", token)
    batch, jobs, place = await context.store.batch(workspace, batch_id, limit=limit, token=place)
    return _answer(batch, jobs, place, when_to_ask(jobs, context.clock.now()))


def _answer(batch: Batch, jobs: Sequence[Job], place: int | None, headers: Mapping[str, str] | None = None) -> Response:
    paged: dict[str, Any] = {"items": batch_items(jobs), "has_more": place is not None}
    return answer(batch_resource(batch) | paged | {"next_token": encode_token("items", place)}, headers)
