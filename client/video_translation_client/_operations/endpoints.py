"""The calls about webhook endpoints: each as data, with its reader.

When an endpoint is made, renewed and removed is the registrar's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from video_translation_client._models import read_time
from video_translation_client._operations.operation import Operation, Page, page_query, read_data, read_page

MARKER: Final = "video-translation-client"
"""The `description` of endpoints made here: a later run on the same URL may replace them."""
_ENDPOINTS: Final = "/v3/webhooks/endpoints"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as the service describes it; what a service does not tell is None.

    Attributes:
        endpoint_id: its id.
        url: where its deliveries go.
        secret: what they are signed with; comes with its creation only.
        cursor: the place in the event log from which its deliveries begin; comes with its creation only.
        ttl_seconds: after how long without renewal it is deleted.
        description: as given on creation.
        has_description: whether the service knows descriptions at all.
        events: the types it gets; None means all.
        status: `enabled` or `disabled`.
        entity_id: the one job whose events it gets; None means all.
        created_at: unix seconds.
        public_key: `whpk_...`, verifies its `v1a` signatures.
        extra: every other field, untouched.
    """

    endpoint_id: str
    url: str
    secret: str | None = field(default=None, repr=False)
    cursor: str | None = None
    ttl_seconds: float | None = None
    description: str | None = None
    has_description: bool = False
    events: tuple[str, ...] | None = None
    status: str | None = None
    entity_id: str | None = None
    created_at: float | None = None
    public_key: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def is_orphan_of(self, url: str) -> bool:
        """Whether an earlier run of this client on `url` left it behind.

        The real service has no descriptions: there, whoever registers a URL anew takes it over.
        """
        return self.url == url and (self.description == MARKER or not self.has_description)


_NAMED: Final = frozenset(known.name for known in dataclasses.fields(Endpoint))
EndpointPage = Page[Endpoint]
"""One page of endpoints."""


def create_endpoint(url: str, *, ttl_seconds: int | None, plain: bool = False) -> Operation[Endpoint]:
    """Register this client's own receiver for every type of event.

    Args:
        url: where the deliveries go.
        ttl_seconds: after how long without renewal the service forgets it; None means never.
        plain: only the real service's fields.
    """
    if plain:
        return add_endpoint(url)
    lasting: dict[str, Any] = {} if ttl_seconds is None else {"ttl_seconds": ttl_seconds}
    return add_endpoint(url, description=MARKER, **lasting)


def add_endpoint(url: str, *, events: Sequence[str] | None = None, **fields: Any) -> Operation[Endpoint]:
    """Register any URL.

    Args:
        url: where the deliveries go.
        events: the types it gets; None means all.
        fields: further fields of the request, for example `description`, `ttl_seconds`, `headers`.
    """
    body = {"url": url, "events": None if events is None else list(events), **fields}
    return Operation("create_endpoint", "POST", _ENDPOINTS, _read_one, body=body, keyed=True)


def get_endpoint(endpoint_id: str) -> Operation[Endpoint]:
    """Read one endpoint."""
    return Operation("get_endpoint", "GET", endpoint_path(endpoint_id), _read_one, repeatable=True)


def list_endpoints(token: str | None = None) -> Operation[Page[Endpoint]]:
    """Read one page of the workspace's endpoints."""
    return Operation("list_endpoints", "GET", _ENDPOINTS, _read_many, query=page_query(token), repeatable=True)


def update_endpoint(endpoint_id: str, **changes: Any) -> Operation[Endpoint]:
    """Change what is named (`url`, `events`, `status`, ...); `events` is replaced whole."""
    return Operation("update_endpoint", "PATCH", endpoint_path(endpoint_id), _read_one, body=changes, repeatable=True)


def delete_endpoint(endpoint_id: str) -> Operation[None]:
    """Remove an endpoint."""
    return Operation("delete_endpoint", "DELETE", endpoint_path(endpoint_id), lambda _: None, repeatable=True)


def renew_endpoint(endpoint_id: str) -> Operation[None]:
    """Start an endpoint's time to live anew."""
    path = endpoint_path(endpoint_id) + "/renew"
    return Operation("renew_endpoint", "POST", path, lambda _: None, repeatable=True)


def rotate_secret(endpoint_id: str, *, overlap_seconds: float | None = None) -> Operation[str]:
    """Give an endpoint a new secret, which is the answer.

    Args:
        endpoint_id: the endpoint.
        overlap_seconds: how long the old one signs beside it; None: as the service does it, which is at once.
    """
    body = None if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
    path = endpoint_path(endpoint_id) + "/rotate-secret"
    return Operation("rotate_secret", "POST", path, _read_secret, body=body, keyed=True)


def workspace_secret() -> Operation[str]:
    """Read the secret that deliveries to a job's `callback_url` are signed with."""
    return Operation("workspace_secret", "GET", "/v3/webhooks/secret", _read_secret, repeatable=True)


def endpoint_path(endpoint_id: str) -> str:
    """Return the path of an endpoint."""
    return f"{_ENDPOINTS}/{quote(endpoint_id, safe='')}"


def _read_endpoint(data: Any) -> Endpoint:
    if not isinstance(data, Mapping) or not isinstance(data.get("endpoint_id"), str):
        raise ValueError("an endpoint needs an `endpoint_id`")  # noqa: TRY004 - as above
    ttl = data.get("ttl_seconds")
    return Endpoint(
        endpoint_id=data["endpoint_id"],
        url=str(data.get("url", "")),
        secret=data.get("secret") or None,
        cursor=data.get("cursor") or None,
        ttl_seconds=float(ttl) if isinstance(ttl, int | float) else None,
        description=data.get("description"),
        has_description="description" in data,
        events=tuple(events) if isinstance(events := data.get("events"), list) else None,
        status=data.get("status"),
        entity_id=data.get("entity_id"),
        created_at=read_time(data.get("created_at")),
        public_key=data.get("public_key"),
        extra={name: value for name, value in data.items() if name not in _NAMED},
    )


def _read_one(answer: Any) -> Endpoint:
    return _read_endpoint(read_data(answer))


def _read_many(answer: Any) -> Page[Endpoint]:
    return read_page(answer, _read_endpoint)


def _read_secret(answer: Any) -> str:
    data = read_data(answer)
    secret = data.get("secret") if isinstance(data, Mapping) else None
    if not isinstance(secret, str) or not secret:
        raise ValueError("the answer has no `secret`")
    return secret
