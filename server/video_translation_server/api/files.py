"""`GET /files/{video_translation_id}/{name}`: the files of a completed job, whole or in parts, for who has their URL.

The URL is the key (`links`). A file is made when it is first asked for (`media`).
"""

from email.utils import formatdate
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from video_translation_server.api import ranges
from video_translation_server.api.answers import JSON, error_body
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.errors import ConflictError
from video_translation_server.media.recipe import Recipe
from video_translation_server.model import Job
from video_translation_server.wire.files import PATH, FileKind

router = APIRouter(prefix=PATH, tags=["files"], responses=RESPONSES)

SHORTEST = 0.1
"""Seconds; a film of no length is none."""

NAME_LENGTH = 100
"""Characters of a title in a file's name."""

Signed = Annotated[str, Query(max_length=100, description="As in the URL; it is good for one job until `expires`")]
FOUND: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {kind.media_type: {} for kind in FileKind}},
    206: {"description": "The parts that `Range` asked for"},
    304: {"description": "The caller has it (`If-None-Match`)"},
    416: {"description": "The file has no such part"},
}


@router.head("/{video_translation_id}/{name}", include_in_schema=False)
@router.get("/{video_translation_id}/{name}", response_class=Response, responses=FOUND)
async def get(
    *,
    request: Request,
    video_translation_id: str,
    name: FileKind,
    context: Surroundings,
    expires: Annotated[str, Query(max_length=20, description="Unix seconds")] = "",
    signature: Signed = "",
) -> Response:
    """A file of a job, from a URL in its `video_url`, `audio_url`, `srt_caption_url` or `vtt_caption_url`."""
    context.links.check(video_translation_id, expires=expires, signature=signature, now=context.clock.now())
    job = await context.store.job(None, video_translation_id)
    if job.files_at is None:
        raise ConflictError(
            f"video translation {job.id} has no files at present; it is {job.status}", code="resource_not_ready"
        )
    recipe = _recipe(job, context)
    path = await context.gallery.file(recipe, name)
    etag = f'"{recipe.digest}"'
    headers = {
        "ETag": etag,
        "Last-Modified": formatdate(job.files_at, usegmt=True),
        "Cache-Control": "private",
        # Captions hold the caller's words: no browser shall take them for a page.
        "X-Content-Type-Options": "nosniff",
    }
    if _is_one_of(etag, request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers=headers)
    filename = _filename(recipe, name)
    return _Parts(path, headers=headers, media_type=name.media_type, filename=filename)


def _recipe(job: Job, context: Context) -> Recipe:
    seconds = context.video_length if job.plan.video_seconds is None else job.plan.video_seconds
    return Recipe(
        job_id=job.id,
        title=job.request.get("title") or "",
        language=job.output_language,
        seconds=min(max(seconds, SHORTEST), context.longest_film),
    )


def _filename(recipe: Recipe, kind: FileKind) -> str:
    """A name for the caller's disk, of the job's title where it has one."""
    title = "".join(letter if letter.isprintable() and letter not in '/\\:*?"<>|' else " " for letter in recipe.title)
    return f"{' '.join(title.split())[:NAME_LENGTH].strip('. ') or recipe.job_id} - {recipe.language}{kind.suffix}"


def _is_one_of(etag: str, header: str) -> bool:
    """Whether `If-None-Match` names it; a weak comparison (RFC 9110, section 13.1.2)."""
    return header.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in header.split(","))


class _Parts(FileResponse):
    """A file whose unreadable ranges are passed over, and whose missing ones are refused in the wire's shape."""

    def __init__(self, path: Path, *, headers: dict[str, str], media_type: str, filename: str) -> None:
        # With what it is now, for its length.
        super().__init__(
            path,
            headers=headers,
            media_type=media_type,
            filename=filename,
            stat_result=path.stat(),
            content_disposition_type="inline",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        wanted, size = headers.pop(b"range", None), int(self.headers["content-length"])
        if wanted is not None and self._is_unchanged(headers.get(b"if-range")):
            try:
                part = ranges.within(wanted.decode("latin-1"), size)
            except ranges.UnsatisfiableError:
                await _no_such_part(size)(scope, receive, send)
                return
            if part is not None:
                headers[b"range"] = part.encode()
        await super().__call__({**scope, "headers": list(headers.items())}, receive, send)

    def _is_unchanged(self, validator: bytes | None) -> bool:
        """Whether `If-Range` lets parts be sent: only for the same bytes as those that the caller has."""
        return validator is None or validator.decode("latin-1").strip() == self.headers["etag"]


def _no_such_part(size: int) -> Response:
    body = error_body("invalid_parameter", f"the file has {size} bytes; ask for a range within them", "Range")
    return Response(body, 416, {"Content-Range": f"bytes */{size}"}, media_type=JSON)
