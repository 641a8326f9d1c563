"""The envelopes of every answer: one object, a page of a list, an error; and the server's word on itself.

What is inside of them is in the modules of the nouns.
"""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class Answer(BaseModel, Generic[T]):
    """One object."""

    data: T


class Page(BaseModel, Generic[T]):
    """A page of a list; `next_token` goes into `token` to get the next one."""

    data: list[T]
    has_more: bool
    next_token: str | None


class Problem(BaseModel):
    """What went wrong: a code for programs, a message for people, the field at fault."""

    code: str
    message: str
    param: str | None = None


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: Problem


class Deleted(BaseModel):
    """What was deleted."""

    id: str


class Health(BaseModel):
    """The server's own word on itself."""

    status: str
    detail: dict[str, Any] = {}
