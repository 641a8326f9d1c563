"""The public names, gathered: `video_translation_client` hands them on when they are first asked for.

Nothing is defined here; where each name comes from is in the imports.
"""

# Not used here, but by the first receiver: loaded with the client, so that starting one takes no time.
import fastapi  # noqa: F401

import video_translation_client._connection  # noqa: F401
from video_translation_client._async_client import AsyncVideoTranslationClient
from video_translation_client._async_handle import AsyncJob
from video_translation_client._async_registration import AsyncRegistration
from video_translation_client._batches import Batch
from video_translation_client._client import VideoTranslationClient
from video_translation_client._dispatcher import EventCallback, RetryLater
from video_translation_client._errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    ConflictError,
    DownloadError,
    GoneError,
    InboxError,
    InsufficientCreditError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServerUnreachableError,
    UnexpectedResponseError,
    VideoTranslationError,
    WaitTimeoutError,
    WebhookVerificationError,
)
from video_translation_client._group import AsyncJobGroup, JobGroup
from video_translation_client._handle import Job
from video_translation_client._health import Health
from video_translation_client._job_events import EventStream
from video_translation_client._metrics import Durations, Metrics, Responses
from video_translation_client._models import Event, JobSnapshot
from video_translation_client._modes import Mode
from video_translation_client._operations import (
    Asset,
    Attempt,
    BatchItem,
    BatchSnapshot,
    Delivery,
    Endpoint,
    Recovery,
    User,
)
from video_translation_client._polling import CLASSIC_POLL, JOB_POLL, SAFETY_NET, PollPolicy
from video_translation_client._raw import RawResponse
from video_translation_client._receiver import Receiver, Reply
from video_translation_client._registration import Registration
from video_translation_client._signature import Verified
from video_translation_client._storage import InboxState, InboxStorage
from video_translation_client._waiting import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Completions,
    DoneAndNotDone,
    as_completed,
    wait,
    wait_async,
)
from video_translation_client._webhooks import Webhooks

__all__ = [  # noqa: RUF022 - plainly sorted
    "ALL_COMPLETED",
    "APIError",
    "Asset",
    "AsyncJob",
    "AsyncJobGroup",
    "AsyncRegistration",
    "AsyncVideoTranslationClient",
    "Attempt",
    "AuthenticationError",
    "Batch",
    "BatchItem",
    "BatchSnapshot",
    "CLASSIC_POLL",
    "ClientClosedError",
    "Completions",
    "ConflictError",
    "Delivery",
    "DoneAndNotDone",
    "DownloadError",
    "Durations",
    "Endpoint",
    "Event",
    "EventCallback",
    "EventStream",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "GoneError",
    "Health",
    "InboxError",
    "InboxState",
    "InboxStorage",
    "InsufficientCreditError",
    "InvalidRequestError",
    "JOB_POLL",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobGroup",
    "JobSnapshot",
    "Metrics",
    "Mode",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PollPolicy",
    "RateLimitError",
    "RawResponse",
    "Receiver",
    "Recovery",
    "Registration",
    "Reply",
    "Responses",
    "RetryLater",
    "SAFETY_NET",
    "ServerError",
    "ServerUnreachableError",
    "UnexpectedResponseError",
    "User",
    "Verified",
    "VideoTranslationClient",
    "VideoTranslationError",
    "WaitTimeoutError",
    "WebhookVerificationError",
    "Webhooks",
    "as_completed",
    "wait",
    "wait_async",
]
