"""What the user holds after `register_webhook()`: a view of the one endpoint that a client keeps alive.

It waits and tells; registering, renewing and unregistering is the registrar's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from video_translation_client._jobs import JobRegistry
from video_translation_client._models import COMPLETED, FAILED, PENDING, RUNNING, JobSnapshot
from video_translation_client._operations import Endpoint

_STATUS_OF_WORD: Final = {
    PENDING: PENDING,
    RUNNING: RUNNING,
    COMPLETED: COMPLETED,
    FAILED: FAILED,
    "error": FAILED,
}


@dataclass(slots=True)
class Standing:
    """How a registration stands; written by the registrar alone.

    Attributes:
        url: where the service delivers to.
        since: the registry's moment from which states count.
        endpoint: the endpoint as it was created last.
        status: what `/status` said on registering.
        closed: it has ended.
    """

    url: str
    since: int
    endpoint: Endpoint = field(default_factory=lambda: Endpoint("", ""))
    status: JobSnapshot | None = None
    closed: bool = False


class Registration:
    """A live registration for pushes, made by `client.register_webhook()`; also a context manager."""

    def __init__(self, standing: Standing, registry: JobRegistry, end: Callable[[], None]) -> None:
        self._standing = standing
        self._registry = registry
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "live"
        return f"<Registration {self.endpoint_id} url={self.url!r} secret=<redacted> {state}>"

    @property
    def endpoint_id(self) -> str:
        """The service's id of the endpoint; it changes where a lost endpoint had to be registered anew."""
        return self._standing.endpoint.endpoint_id

    @property
    def url(self) -> str:
        """Where the service delivers to."""
        return self._standing.url

    @property
    def secret(self) -> str | None:
        """The secret that deliveries are signed with. Keep it out of logs."""
        return self._standing.endpoint.secret

    @property
    def status(self) -> JobSnapshot | None:
        """What `/status` said on registering; None where there was no job at all."""
        return self._standing.status

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._standing.closed

    def wait_for(self, status: str, timeout: float | None = None, job_id: str | None = None) -> JobSnapshot | None:
        """Wait like `threading.Event.wait` until a job has, or since registering has had, a status.

        Args:
            status: `pending`, `running`, `completed` or `failed`; `error` means `failed`.
            timeout: seconds; None waits as long as it takes.
            job_id: only this job; None means any.

        Returns:
            The newest snapshot with that status, or None when the time ran out.

        Raises:
            ValueError: the status is none of these words.
            ClientClosedError: the client was closed meanwhile.
        """
        if status not in _STATUS_OF_WORD:
            raise ValueError(f"no job ever has the status {status!r}: use one of {', '.join(_STATUS_OF_WORD)}")
        return self._registry.wait_for(
            _STATUS_OF_WORD[status], since=self._standing.since, job_id=job_id, timeout=timeout
        )

    def close(self) -> None:
        """End the pushes: delete the endpoint, stop the receiver. Jobs that are waited for are polled."""
        self._end()
