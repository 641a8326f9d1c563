"""The server's own exceptions: callers' mistakes and lost races, in families.

`api` maps each family to the wire's error envelope in one table; expected outcomes of sending are
values in `model`, not exceptions.
"""


class ServerError(Exception):
    """Base of all errors that the server raises on purpose.

    Attributes:
        code: The wire's error code (contract/README.md).
        param: The field or parameter at fault, where there is one.
        retry_after: Seconds after which to try again, where that is worth it.
    """

    code = "internal_error"
    retry_after: int | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param


class NotFoundError(ServerError):
    """The thing that was named does not exist in this workspace."""

    code = "resource_not_found"


class UnauthorizedError(ServerError):
    """The key is missing or wrong; the answer does not say which."""

    code = "unauthorized"


class ForbiddenError(ServerError):
    """Only whoever runs the server may do this."""

    code = "forbidden"


class GoneError(ServerError):
    """What was asked for was kept once, and is no longer."""

    code = "cursor_expired"


class BusyError(ServerError):
    """The server has as much to do as it may; `retry_after` says in how many seconds to try again."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(ServerError):
    """The request does not fit the state that the thing is in, or another writer was faster."""

    code = "conflict"


class InProgressError(ConflictError):
    """A request with the same Idempotency-Key is under way."""

    code = "request_in_progress"
    retry_after = 1


class InvalidError(ServerError):
    """The request itself is wrong: a bad value, named by `param`."""

    code = "invalid_parameter"


class MediaError(Exception):
    """A file could not be read or made: its process crashed, took too long, or was ended with the server."""


class StoreError(Exception):
    """The database cannot be used: not a database, from a newer version, or owned by another process."""
