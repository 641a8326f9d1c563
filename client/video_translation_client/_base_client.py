"""What both clients share: their arguments, the engine behind them, and the doors that wait for nothing.

The doors that send something are in `_client` (blocking) and `_async_client` (awaited); what they send is in
`_calls`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from video_translation_client._calls import Calls
from video_translation_client._dispatcher import EventCallback
from video_translation_client._engine import DEFAULT_BASE_URL, Engine, Settings, from_environment
from video_translation_client._health import Health
from video_translation_client._metrics import Metrics
from video_translation_client._modes import Mode
from video_translation_client._options import Options
from video_translation_client._polling import JOB_POLL, SAFETY_NET, PollPolicy
from video_translation_client._receiver import DEFAULT_PATH, Receiver
from video_translation_client._reconcile import Policies
from video_translation_client._signature import DEFAULT_TOLERANCE
from video_translation_client._storage import InboxStorage
from video_translation_client._transport import HttpClient
from video_translation_client.integrations.asgi import ReceiverApp

if TYPE_CHECKING:
    from fastapi import APIRouter

HttpT = TypeVar("HttpT")


class BaseClient(Generic[HttpT]):
    """A client of a video-translation service. Cheap to make: no network, no thread before it is needed."""

    def __init__(
        self,
        base_url: str | Sequence[str] | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        max_retries: int = 2,
        default_headers: Mapping[str, str] | None = None,
        http_client: HttpT | None = None,
        webhook_secret: str | None = None,
        rate_limit: float | None = None,
        webhook_host: str = "localhost",
        webhook_port: int = 0,
        public_url: str | None = None,
        ttl_seconds: int | None = 3600,
        signature_tolerance: float = DEFAULT_TOLERANCE,
        poll: PollPolicy = JOB_POLL,
        safety_net: PollPolicy = SAFETY_NET,
        inbox: str | Path | InboxStorage | None = None,
        mode: Mode = "auto",
        auto_poll: bool = True,
    ) -> None:
        """Make a client.

        Args:
            base_url: of the service. None: `VIDEO_TRANSLATION_BASE_URL`, then `HEYGEN_API_BASE`, then
                http://localhost:8000. Several are servers of one service that share one database: the first is
                used until it is away, then the next; the one that works is kept.
            api_key: None: `VIDEO_TRANSLATION_API_KEY`, then `HEYGEN_API_KEY`, then no key.
            timeout: seconds that one try of a request may take; connecting takes at most 5 of them.
            max_retries: how often a request is repeated on connection errors, 408, 429, 5xx and 409
                `request_in_progress`, with a growing pause or the service's `Retry-After` (up to 30 s).
            default_headers: sent with every request.
            http_client: sends the requests instead of a client of our own, and is not closed by us.
            webhook_secret: of an endpoint that was registered elsewhere: deliveries signed with it are taken.
            rate_limit: requests per second at most; more wait for their turn. None: as many as there are.
            webhook_host: the interface that the receiver binds. With every interface (0.0.0.0) say `public_url`.
            webhook_port: 0 takes a free one.
            public_url: what the service is told to deliver to, instead of the bound address.
            ttl_seconds: the service forgets the webhook endpoint after so long without renewal, which happens
                by itself; None means never.
            signature_tolerance: seconds by which a delivery's signed time may differ from this host's clock.
            poll: how often a job is asked for while nothing is registered for pushes.
            safety_net: how often the event log is read behind the pushes, once for all jobs.
            inbox: where events are stored until a callback has handled them: a file's path, or an
                `InboxStorage` of your own. None: in memory.
            mode: how jobs are followed. `webhook` registers by itself, `stream` reads the service's event
                stream, `poll` asks; `auto` takes the stream where the service has one and else polls, and after
                `register_webhook()` webhooks, as long as the service reaches the receiver.
            auto_poll: False asks for nothing by itself, neither for jobs nor behind the pushes; gaps are filled
                still.

        Raises:
            ValueError: an argument makes no sense; the message says which.
            InboxError: the inbox cannot be opened.
        """
        where = base_url or from_environment(None, "VIDEO_TRANSLATION_BASE_URL", "HEYGEN_API_BASE")
        self._options = Options()
        self._engine = Engine(
            Settings(
                base_urls=_listed(where or DEFAULT_BASE_URL),
                api_key=from_environment(api_key, "VIDEO_TRANSLATION_API_KEY", "HEYGEN_API_KEY"),
                webhook_host=webhook_host,
                webhook_port=webhook_port,
                public_url=public_url,
                timeout=timeout,
                max_retries=max_retries,
                ttl_seconds=ttl_seconds,
                tolerance=signature_tolerance,
                policies=Policies(job=poll, net=safety_net, auto_poll=auto_poll),
                mode=mode,
                inbox=inbox,
                default_headers=dict(default_headers or {}),
                rate_limit=rate_limit,
                webhook_secret=webhook_secret,
                http_client=http_client if isinstance(http_client, HttpClient) else None,
            )
        )
        self._calls = Calls(self._engine)
        self._connect(http_client)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    @property
    def base_url(self) -> str:
        """The service's URL; of several, the one in use."""
        return self._engine.transport.base_url

    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view of this client whose own calls are sent differently; everything else is shared.

        What the client does in the background (polling, renewing, handles) keeps the client's options. Closing
        the view closes the client.

        Args:
            timeout: seconds that one try of a request may take.
            max_retries: how often a request is repeated.
            default_headers: sent beside the client's; the same name wins over the client's.

        Raises:
            ValueError: a number makes no sense.
        """
        view = copy.copy(self)
        view._options = Options(timeout, max_retries, dict(default_headers or {})).over(self._options)  # noqa: SLF001
        return view

    def webhook_router(self, path: str = DEFAULT_PATH) -> APIRouter:
        """Make a FastAPI router that takes this client's deliveries in a service that you run.

        Tell the service of it with `register_webhook(url=...)`. A delivery that comes before that is asked
        to come again.
        """
        from video_translation_client.integrations.fastapi import webhook_router  # noqa: PLC0415 - only who has FastAPI

        return webhook_router(self._engine.receiver, path)

    def webhook_app(self) -> ReceiverApp:
        """Make an ASGI application that takes this client's deliveries, to mount where you like; any path will do.

        Tell the service of it with `register_webhook(url=...)`.
        """
        return ReceiverApp(self._engine.receiver)

    @property
    def webhook_receiver(self) -> Receiver:
        """What every receiver of this client is made of: `handle(method, headers, body)` gives a `Reply`.

        For Flask and Django pass it to `webhook_view` of `video_translation_client.integrations.flask` or `.django`;
        for another framework call it yourself. It does no I/O.
        """
        return self._engine.receiver

    def on_event(self, callback: EventCallback) -> EventCallback:
        """Call `callback(event)` for each event, once and in order per job. Also a decorator.

        Callbacks run one after the other on one thread of this client; what they raise is logged. Events
        come once `register_webhook()` was called, or a job is followed in another mode.

        Raises:
            TypeError: it cannot be called, or is a coroutine function, which no event loop would run.
            ClientClosedError: the client is closed.
        """
        self._engine.dispatcher.add(callback)
        return callback

    def health(self) -> Health:
        """Return how this client stands: its mode and why, what came last, what last went wrong. Asks nobody."""
        return self._engine.modes.health()

    def metrics(self) -> Metrics:
        """Return what this client has sent and received so far."""
        return self._engine.meter.snapshot()

    def _connect(self, http_client: HttpT | None) -> None:
        """Take the user's HTTP client over, if there is one of the right kind."""
        if http_client is not None and not isinstance(http_client, HttpClient):
            raise TypeError(f"http_client must be an httpx.Client, not {type(http_client).__name__}")


def _listed(base_url: str | Sequence[str]) -> tuple[str, ...]:
    return (base_url,) if isinstance(base_url, str) else tuple(base_url)
