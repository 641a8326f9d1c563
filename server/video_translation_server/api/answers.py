"""The wire's envelopes: objects, lists and errors as bytes, encoded once, and the opaque page tokens."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Query, Response

from video_translation_server.errors import InvalidError

JSON = "application/json"

Limit = Annotated[int, Query(ge=1, le=100, description="Items per page")]
Token = Annotated[str | None, Query(max_length=200, description="`next_token` of the page before")]


def plain(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON without an envelope."""
    return Response(msgspec.json.encode(data), status, headers, media_type=JSON)


def answer(data: Any, headers: Mapping[str, str] | None = None) -> Response:
    """One object: `{"data": ...}`."""
    return plain({"data": data}, headers=headers)


def page(
    items: Sequence[Any], next_token: str | None, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A page of a list: `{"data": [...], "has_more": ..., "next_token": ...}`; items may be `msgspec.Raw`."""
    body = {"data": items, "has_more": next_token is not None, "next_token": next_token} | more
    return plain(body, headers=headers)


def error_body(code: str, message: str, param: str | None = None) -> bytes:
    """The shape of every error (contract/README.md)."""
    problem = {"code": code, "message": message} | ({"param": param} if param else {})
    return msgspec.json.encode({"error": problem})


def encode_token(kind: str, place: int | None) -> str | None:
    """An opaque token for a place in a list of one kind; None stays None: there is no next page."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(f"{kind}:{place}".encode()).decode().rstrip("=")


def decode_token(kind: str, token: str | None) -> int | None:
    """The place that a token of this kind of list names.

    Raises:
        InvalidError: It is none of ours, or one of another list.
    """
    if token is None:
        return None
    try:
        found, _, place = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition(":")
        if found == kind and place.isascii() and place.isdigit() and len(place) < 19:  # noqa: PLR2004  (SQLite's integers end there)
            return int(place)
    except (binascii.Error, ValueError):
        pass
    raise InvalidError("not a next_token of this list; start again without one", param="token")
