"""The one table from errors to the wire's error envelope and status codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from video_translation_server.api.answers import JSON, error_body
from video_translation_server.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    MediaError,
    NotFoundError,
    ServerError,
    StoreError,
    UnauthorizedError,
)
from video_translation_server.wire.responses import ErrorAnswer

log = structlog.get_logger("api")

STATUS: Mapping[type[ServerError], int] = {
    InvalidError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    GoneError: 410,
    BusyError: 429,
}

# What the framework itself raises: unknown paths and methods, unreadable bodies. None: its own words.
FRAMEWORK: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_parameter", "the body cannot be read as JSON"),
    404: ("resource_not_found", "no such path; GET /docs lists them"),
    405: ("method_not_allowed", "this path does not take this method; GET /docs lists what it takes"),
    413: ("request_too_large", None),
}

RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}}
"""What the description of the API says of every route's errors."""

MAX_PARAM = 200
"""Characters of a field's name that an error repeats: the name is the caller's."""


def install_error_handlers(api: FastAPI) -> None:
    """Make every error of the application leave in the wire's shape."""
    api.add_exception_handler(ServerError, _server_error)
    api.add_exception_handler(StoreError, _store_error)
    api.add_exception_handler(MediaError, _media_error)
    api.add_exception_handler(RequestValidationError, _invalid_request)
    api.add_exception_handler(HTTPException, _framework_error)


async def _server_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServerError)  # noqa: S101  (Starlette's signature is wider than its use)
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    response = _response(status, error.code, error.message, error.param)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _store_error(_: Request, error: Exception) -> Response:
    log.error("store failed", error=str(error))
    response = _response(503, "internal_error", "the database does not answer at present; try again")
    response.headers["Retry-After"] = "1"
    return response


async def _media_error(_: Request, error: Exception) -> Response:
    log.error("media failed", error=str(error))
    response = _response(503, "internal_error", "the file could not be made; try again")
    response.headers["Retry-After"] = "5"
    return response


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (as above)
    message, param = describe(error.errors()[0])
    return _response(400, "invalid_parameter", message, param)


async def _framework_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (as above)
    code, message = FRAMEWORK.get(error.status_code, ("internal_error", None))
    param = "body" if error.status_code == 400 else None  # noqa: PLR2004  (RFC 9110 section 15.5.1)
    response = _response(error.status_code, code, message or error.detail, param)
    response.headers.update(error.headers or {})
    return response


def describe(problem: Mapping[str, Any]) -> tuple[str, str]:
    """A sentence and the field's name for one of pydantic's errors."""
    where, kind, message = problem["loc"], problem["type"], problem["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        detail = problem.get("ctx", {}).get("error", "unreadable")
        return f"the body is not valid JSON: {detail} at character {where[-1]}", "body"
    param = _path(where[1:])[:MAX_PARAM] or str(where[0])
    if kind == "extra_forbidden":
        return f"{param} is not a field of this request; GET /docs lists them", param
    if kind == "missing":
        return f"{param} is required", param
    return f"{param}: {message[:1].lower() + message[1:]}", param


def _path(parts: Sequence[str | int]) -> str:
    """`("video", "url")` as `video.url`, `("output_languages", 0)` as `output_languages[0]`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _response(status: int, code: str, message: str, param: str | None = None) -> Response:
    return Response(error_body(code, message, param), status, media_type=JSON)
