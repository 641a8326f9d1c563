"""The nouns of the server as frozen values: job, event, endpoint, delivery, attempt, claim, outcome, verdict.

Behaviour lives elsewhere: `lifecycle` moves jobs, `retry` judges outcomes, `store` keeps everything.
All times are Unix seconds (float) unless a name says otherwise.
"""

from video_translation_server.model.assets import Asset
from video_translation_server.model.attempts import (
    Attempt,
    Claim,
    Dead,
    Delivered,
    Gone,
    Outcome,
    OutcomeKind,
    RetryAt,
    Settlement,
    Verdict,
)
from video_translation_server.model.batches import Batch
from video_translation_server.model.deliveries import Delivery, DeliveryState, Sweep, SweepKind
from video_translation_server.model.endpoints import Endpoint, EndpointStatus, Ordering, RetiredSecret
from video_translation_server.model.events import Change, Event
from video_translation_server.model.jobs import (
    DEFAULT_PRIORITY,
    FAST,
    MAIN,
    Job,
    JobStatus,
    Place,
    Plan,
    Subject,
    Workers,
)
from video_translation_server.model.requests import Kept, Mark
from video_translation_server.model.workspaces import DEFAULT_WORKSPACE, Key, Workspace

__all__ = [
    "DEFAULT_PRIORITY",
    "DEFAULT_WORKSPACE",
    "FAST",
    "MAIN",
    "Asset",
    "Attempt",
    "Batch",
    "Change",
    "Claim",
    "Dead",
    "Delivered",
    "Delivery",
    "DeliveryState",
    "Endpoint",
    "EndpointStatus",
    "Event",
    "Gone",
    "Job",
    "JobStatus",
    "Kept",
    "Key",
    "Mark",
    "Ordering",
    "Outcome",
    "OutcomeKind",
    "Place",
    "Plan",
    "RetiredSecret",
    "RetryAt",
    "Settlement",
    "Subject",
    "Sweep",
    "SweepKind",
    "Verdict",
    "Workers",
    "Workspace",
]
