"""Each REST call as data: name, method, path, body, and how to read the answer. No I/O.

Sending is left to the transport, so that a blocking and an async client can share every call.
"""

from video_translation_client._operations.deliveries import (
    Attempt,
    Delivery,
    Recovery,
    get_delivery,
    get_recovery,
    list_deliveries,
    recover,
    replay,
    resend,
    test_endpoint,
)
from video_translation_client._operations.endpoints import (
    MARKER,
    Endpoint,
    EndpointPage,
    add_endpoint,
    create_endpoint,
    delete_endpoint,
    get_endpoint,
    list_endpoints,
    renew_endpoint,
    rotate_secret,
    update_endpoint,
    workspace_secret,
)
from video_translation_client._operations.events import (
    EventPage,
    list_event_types,
    list_events,
    stream_events,
)
from video_translation_client._operations.jobs import (
    cancel_job,
    create_translation,
    get_job,
    get_status,
    get_statuses,
    list_jobs,
    list_languages,
)
from video_translation_client._operations.operation import (
    PAGE_SIZE,
    Operation,
    Page,
    error_details,
    interpret,
)

__all__ = [
    "MARKER",
    "PAGE_SIZE",
    "Attempt",
    "Delivery",
    "Endpoint",
    "EndpointPage",
    "EventPage",
    "Operation",
    "Page",
    "Recovery",
    "add_endpoint",
    "cancel_job",
    "create_endpoint",
    "create_translation",
    "delete_endpoint",
    "error_details",
    "get_delivery",
    "get_endpoint",
    "get_job",
    "get_recovery",
    "get_status",
    "get_statuses",
    "interpret",
    "list_deliveries",
    "list_endpoints",
    "list_event_types",
    "list_events",
    "list_jobs",
    "list_languages",
    "recover",
    "renew_endpoint",
    "replay",
    "resend",
    "rotate_secret",
    "stream_events",
    "test_endpoint",
    "update_endpoint",
    "workspace_secret",
]
