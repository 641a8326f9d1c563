"""The async view of a registration: what waits is awaited.

Registering, renewing and unregistering is the registrar's work, on threads.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Self

from video_translation_client._models import JobSnapshot
from video_translation_client._registration import Registration

# Nobody can wake the thread of a task that was cancelled: it must end by itself, and soon.
_LONGEST_WAIT: Final = 0.5


class AsyncRegistration:
    """A live registration for pushes, made by `await client.register_webhook()`; also an async context manager."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._registration)[1:]}"

    @property
    def endpoint_id(self) -> str:
        """The service's id of the endpoint; it changes where a lost endpoint had to be registered anew."""
        return self._registration.endpoint_id

    @property
    def url(self) -> str:
        """Where the service delivers to."""
        return self._registration.url

    @property
    def secret(self) -> str | None:
        """The secret that deliveries are signed with. Keep it out of logs."""
        return self._registration.secret

    @property
    def status(self) -> JobSnapshot | None:
        """What `/status` said on registering; None where there was no job at all."""
        return self._registration.status

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._registration.closed

    async def wait_for(
        self, status: str, timeout: float | None = None, job_id: str | None = None
    ) -> JobSnapshot | None:
        """Wait until a job has, or since registering has had, a status.

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
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            remaining = _LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            slice_ = min(remaining, _LONGEST_WAIT)
            snapshot = await asyncio.to_thread(self._registration.wait_for, status, slice_, job_id)
            if snapshot is not None or (deadline is not None and time.monotonic() >= deadline):
                return snapshot

    async def close(self) -> None:
        """Unregister; safe to call again. Never raises on a server that cannot be reached."""
        await asyncio.to_thread(self._registration.close)
