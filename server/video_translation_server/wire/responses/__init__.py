"""What the API answers, as models by noun: they document it (OpenAPI) and tests check the answers against them.

The answers themselves are built in `events` and in the API's modules, and encoded once. Import the models from here.
"""

from video_translation_server.wire.responses.accounts import (
    JobCounts,
    KeyAnswer,
    NewKey,
    User,
    Wallet,
    WorkspaceAnswer,
    WorkspaceWithJobs,
)
from video_translation_server.wire.responses.assets import AssetAnswer
from video_translation_server.wire.responses.batches import BatchAnswer, BatchCounts, BatchItem, BatchSummary
from video_translation_server.wire.responses.deliveries import (
    AttemptAnswer,
    DeliveryAnswer,
    DeliveryWithAttempts,
    Recovery,
)
from video_translation_server.wire.responses.endpoints import EndpointAnswer, NewEndpoint, NewSecret, WorkspaceSecret
from video_translation_server.wire.responses.envelopes import Answer, Deleted, ErrorAnswer, Health, Page, Problem
from video_translation_server.wire.responses.events import (
    DeliveryExhausted,
    EndpointDisabled,
    EndpointRecovered,
    EndpointTest,
    EventBody,
    EventData,
    EventPage,
)
from video_translation_server.wire.responses.overview import ServerStatus, TranslationOfAny
from video_translation_server.wire.responses.translations import (
    BulkStatus,
    Created,
    Failure,
    Languages,
    Status,
    Translation,
)

__all__ = [
    "Answer",
    "AssetAnswer",
    "AttemptAnswer",
    "BatchAnswer",
    "BatchCounts",
    "BatchItem",
    "BatchSummary",
    "BulkStatus",
    "Created",
    "Deleted",
    "DeliveryAnswer",
    "DeliveryExhausted",
    "DeliveryWithAttempts",
    "EndpointAnswer",
    "EndpointDisabled",
    "EndpointRecovered",
    "EndpointTest",
    "ErrorAnswer",
    "EventBody",
    "EventData",
    "EventPage",
    "Failure",
    "Health",
    "JobCounts",
    "KeyAnswer",
    "Languages",
    "NewEndpoint",
    "NewKey",
    "NewSecret",
    "Page",
    "Problem",
    "Recovery",
    "ServerStatus",
    "Status",
    "Translation",
    "TranslationOfAny",
    "User",
    "Wallet",
    "WorkspaceAnswer",
    "WorkspaceSecret",
    "WorkspaceWithJobs",
]
