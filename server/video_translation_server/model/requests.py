"""A request that its caller named with a key: the right to carry it out, and the answer that is kept.

When an answer is kept, and for how long, is the store's promise.
"""

import msgspec


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The right to carry out the request that a caller's key names.

    Attributes:
        scope: Method and path: a key means something within one workspace and scope.
        number: The fence: an answer under a mark that is no longer the key's is not kept.
    """

    workspace_id: str
    scope: str
    key: str
    number: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, kept so that a repetition gets it too."""

    status: int
    body: bytes
