"""`/v3/video-translations`: create, list, get, give another title, delete, and the languages."""

from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from video_translation_server.api.answers import Limit, Token, answer, decode_token, encode_token, page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.cancellations import cancelled
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.hints import when_to_ask
from video_translation_server.api.idempotency import Keeping, OnceOnly
from video_translation_server.api.lenience import LenientRoute
from video_translation_server.api.orders import Order
from video_translation_server.api.shown import listed, shown
from video_translation_server.api.waiting import Patient
from video_translation_server.errors import ConflictError
from video_translation_server.model import JobStatus
from video_translation_server.store import JobFilter
from video_translation_server.wire.languages import LANGUAGES
from video_translation_server.wire.requests import TitleRequest, TranslationRequest
from video_translation_server.wire.responses import Answer, Created, Deleted, Languages, Page, Translation

router = APIRouter(
    prefix="/v3/video-translations", tags=["translations"], route_class=LenientRoute, responses=RESPONSES
)


@router.post("", response_model=Answer[Created])
async def create(request: TranslationRequest, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Start one job per output language; all of them, or none."""
    return await once.run(partial(_create, request, workspace, context))


async def _create(request: TranslationRequest, workspace: str, context: Context, keeping: Keeping) -> Response:
    order = Order(context, workspace, context.clock.now())
    changes = await order.changes(request)
    created = answer({"video_translation_ids": [change.job.id for change in changes]})
    await order.record(order.unfolded(changes), keep=keeping(lambda _: created))
    return created


def _filter(
    status: Annotated[JobStatus | None, Query()] = None,
    created_after: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix seconds, as `created_at`; those created later")
    ] = None,
) -> JobFilter:
    return JobFilter(status=status, created_after=created_after)


Wanted = Annotated[JobFilter, Depends(_filter)]


@router.get("", response_model=Page[Translation])
async def list_(
    workspace: Workspace, context: Surroundings, wanted: Wanted, limit: Limit = 10, token: Token = None
) -> Response:
    """The workspace's jobs, newest first."""
    jobs, place = await context.store.jobs(workspace, limit=limit, token=decode_token("jobs", token), wanted=wanted)
    now = context.clock.now()
    return page([listed(job, context, now) for job in jobs], encode_token("jobs", place))


@router.get("/languages", response_model=Answer[Languages])
async def languages(_: Workspace) -> Response:
    """The names that `output_languages` takes."""
    return answer({"languages": LANGUAGES})


@router.get("/{video_translation_id}", response_model=Answer[Translation])
async def get(video_translation_id: str, context: Surroundings, patient: Patient) -> Response:
    """One job; with `wait`, once it has moved on."""
    job = await patient.job(video_translation_id)
    now = context.clock.now()
    return answer(await shown(job, context), when_to_ask([job], now) | patient.headers)


@router.patch("/{video_translation_id}", response_model=Answer[Translation])
async def retitle(
    video_translation_id: str, request: TitleRequest, workspace: Workspace, context: Surroundings
) -> Response:
    """Give a job another title; nothing is pushed for it, and the job's later events have the new one."""
    now = context.clock.now()
    job = await context.store.retitle_job(workspace, video_translation_id, request.title, now=now)
    return answer(await shown(job, context), when_to_ask([job], now))


@router.delete("/{video_translation_id}", response_model=Answer[Deleted])
async def delete(video_translation_id: str, workspace: Workspace, context: Surroundings) -> Response:
    """Forget a job; one that has not ended is cancelled first. Its events stay in the log and on their way."""
    with suppress(ConflictError):  # it has ended by itself
        await cancelled(workspace, video_translation_id, context)
    await context.store.delete_job(workspace, video_translation_id, now=context.clock.now())
    return answer({"id": video_translation_id})
