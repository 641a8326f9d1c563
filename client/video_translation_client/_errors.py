"""Every exception this package raises, as one tree with `VideoTranslationError` at the root.

It only says what went wrong and what to do next; deciding when to raise is left to the callers.

    VideoTranslationError
    ├── APIError                    the service answered with an error
    │   ├── InvalidRequestError     400, 415, 422: the request is wrong; `param` names the field
    │   ├── AuthenticationError     401: the key is missing or wrong
    │   ├── InsufficientCreditError 402
    │   ├── PermissionDeniedError   403
    │   ├── NotFoundError           404: no such object in this workspace
    │   ├── ConflictError           409: the object's state does not allow it
    │   ├── GoneError               410: it was there, and was pruned
    │   ├── PayloadTooLargeError    413
    │   ├── RateLimitError          429: `retry_after` says when to come back
    │   └── ServerError             5xx: the service's own fault
    ├── UnexpectedResponseError     an answer that is not of the API's shape
    ├── ServerUnreachableError      no answer at all (also a builtin ConnectionError)
    ├── JobFailedError              the job ended as failed
    │   └── JobCancelledError       ... because somebody cancelled it
    ├── DownloadError               a job has no such file, or it cannot be had
    ├── WaitTimeoutError            the caller's own timeout ran out (also a builtin TimeoutError)
    ├── ClientClosedError           the client was closed meanwhile
    ├── InboxError                  a durable inbox cannot be opened or written
    └── WebhookVerificationError    a delivery that is not proven to come from the service
"""

from __future__ import annotations

from collections.abc import Mapping

from video_translation_client._models import JobSnapshot


class VideoTranslationError(Exception):
    """The root: catches everything that this package raises on its own account."""


class APIError(VideoTranslationError):
    """The service answered with an error.

    Attributes:
        status: HTTP status code.
        code: the service's own word for it, for example `resource_not_found`; None where it gave none.
        param: the field of the request that is wrong, where the service named one.
        request_id: `X-Request-Id` of the answer: quote it when you ask the operator.
        retry_after: seconds to wait before trying again, where the service said so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidRequestError(APIError):
    """400, 415 or 422: the request is wrong, and sending it again will not help."""


class AuthenticationError(APIError):
    """401: the API key is missing or wrong."""


class InsufficientCreditError(APIError):
    """402: the wallet does not cover the request."""


class PermissionDeniedError(APIError):
    """403: the service refuses this caller."""


class NotFoundError(APIError):
    """404: no such object in this workspace."""


class ConflictError(APIError):
    """409: the object's present state does not allow the request."""


class GoneError(APIError):
    """410: what was asked for has been pruned."""


class PayloadTooLargeError(APIError):
    """413: the request's body is larger than the service takes."""


class RateLimitError(APIError):
    """429: too many requests; `retry_after` says when to come back."""


class ServerError(APIError):
    """5xx: the service failed; the same request may succeed later."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: InsufficientCreditError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: PayloadTooLargeError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
}
_FIRST_SERVER_ERROR = 500


def api_error_class(status: int) -> type[APIError]:
    """Return the class of the tree that stands for an HTTP status."""
    if status >= _FIRST_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status, APIError)


class UnexpectedResponseError(VideoTranslationError):
    """The answer is not of the API's shape: something else listens at the base URL, or a proxy spoke."""


class ServerUnreachableError(VideoTranslationError, ConnectionError):
    """No answer came from the service: refused, unresolved, cut off or timed out."""


class JobFailedError(VideoTranslationError):
    """The job ended as `failed`.

    Attributes:
        job_id: the job.
        snapshot: its last state, with `failure_message`.
    """

    def __init__(self, message: str, *, job_id: str, snapshot: JobSnapshot) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.snapshot = snapshot


class JobCancelledError(JobFailedError):
    """The job ended because somebody cancelled it."""


class DownloadError(VideoTranslationError):
    """A job's file cannot be downloaded: the job has not ended, has no such file, or whoever holds it refuses.

    Attributes:
        job_id: the job.
        kind: which of its files: `video`, `audio`, `srt` or `vtt`.
        status: HTTP status of whoever holds the file, where it answered.
    """

    def __init__(self, message: str, *, job_id: str, kind: str, status: int | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.kind = kind
        self.status = status


class WaitTimeoutError(VideoTranslationError, TimeoutError):
    """The caller's timeout ran out before the job ended; the job itself goes on.

    Attributes:
        job_id: the job; of several the first that has not ended.
        snapshot: its last known state, or None when nothing is known yet.
        snapshots: the last known state of each job that has not ended, by id.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str,
        snapshot: JobSnapshot | None,
        snapshots: Mapping[str, JobSnapshot | None] | None = None,
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.snapshot = snapshot
        self.snapshots = {job_id: snapshot} if snapshots is None else dict(snapshots)


class InboxError(VideoTranslationError):
    """A durable inbox cannot be opened: it is another client's, another program's, of a newer version, or broken."""


class ClientClosedError(VideoTranslationError):
    """The client was closed, so that nothing can come in any more."""


class WebhookVerificationError(VideoTranslationError):
    """A delivery is not proven to come from the service.

    Attributes:
        reason: one of `missing_headers`, `malformed_headers`, `timestamp_out_of_tolerance`,
            `no_matching_signature`, `no_usable_secret`, `malformed_body`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
