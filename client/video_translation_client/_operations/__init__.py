"""Each REST call as data: name, method, path, body, and how to read the answer. No I/O.

Sending is left to the transport, so that a blocking and an async client can share every call.
"""

from video_translation_client._operations.endpoints import (
    MARKER,
    Endpoint,
    EndpointPage,
    create_endpoint,
    delete_endpoint,
    list_endpoints,
    renew_endpoint,
)
from video_translation_client._operations.events import EventPage, list_events
from video_translation_client._operations.jobs import create_translation, get_job, get_status
from video_translation_client._operations.operation import Operation, interpret

__all__ = [
    "MARKER",
    "Endpoint",
    "EndpointPage",
    "EventPage",
    "Operation",
    "create_endpoint",
    "create_translation",
    "delete_endpoint",
    "get_job",
    "get_status",
    "interpret",
    "list_endpoints",
    "list_events",
    "renew_endpoint",
]
