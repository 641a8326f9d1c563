"""A webhook receiver on a thread of its own: a FastAPI app under uvicorn, on a socket that we bind first.

It starts loudly and stops cleanly, whatever event loop the caller runs; what a delivery means is decided by
the receiver inside.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from video_translation_client._errors import VideoTranslationError
from video_translation_client._receiver import DEFAULT_PATH, Receiver
from video_translation_client.integrations.asgi import Receive, ReceiverApp, Scope, Send

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

logger = logging.getLogger("video_translation_client")

_START_DEADLINE: Final = 5.0
_STOP_DEADLINE: Final = 3.0
_POLL: Final = 0.001
_BACKLOG: Final = 1024
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - names that we refuse to advertise


def check_address(host: str, port: int, public_url: str | None) -> None:
    """Refuse what could be bound but not advertised.

    Raises:
        ValueError: `host` means every interface and no `public_url` says how the service reaches us, or the
            port or the `public_url` is none.
    """
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of ports
        raise ValueError(f"webhook_port must be 0 (a free port) to 65535, not {port}")
    if public_url is not None and not public_url.lower().startswith(("http://", "https://")):
        raise ValueError(f"public_url must begin with http:// or https://: {public_url!r}")
    if host in _EVERYWHERE and public_url is None:
        raise ValueError(
            f"webhook_host={host!r} listens on every interface, which is no address that the service could call: "
            "pass public_url, for example public_url='https://this-host.example:3120'"
        )


class Listener:
    """Receives from `start()` to `stop()`; used once.

    Args:
        receiver: judges the deliveries.
        host: the interface to bind; `localhost` means 127.0.0.1, so that no name lookup can disagree.
        port: 0 takes a free one.
        public_url: what the service is told instead of the bound address. Without a path of its own it is
            extended by the default path.
    """

    def __init__(self, receiver: Receiver, *, host: str, port: int, public_url: str | None) -> None:
        check_address(host, port, public_url)
        self._receiver = receiver
        self._host = "127.0.0.1" if host == "localhost" else host
        self._port = port
        self._public_url = public_url
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where the service delivers to; complete once started."""
        if self._public_url is not None:
            base = self._public_url.rstrip("/")
            has_path = "/" in base.partition("://")[2]
            return self._public_url if has_path else base + DEFAULT_PATH
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{DEFAULT_PATH}"

    def start(self) -> None:
        """Bind, and serve on a daemon thread; returns once deliveries are answered.

        Raises:
            OSError: the address cannot be bound, for example because the port is taken.
            VideoTranslationError: the server did not come up.
        """
        import uvicorn  # noqa: PLC0415 - only who receives on a thread needs it

        from video_translation_client._connection import Connection  # noqa: PLC0415 - as above

        began = time.perf_counter()
        sock = self._bind()
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(
            _Front(self._receiver),
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            http=Connection,
            ws="none",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, args=(self._server.run, sock), name="video-translation-receiver", daemon=True
        )
        self._thread.start()
        self._await_start(self._server, self._thread, sock)
        logger.info("receiving webhooks at %s (up in %.0f ms)", self.url, 1000 * (time.perf_counter() - began))

    def stop(self) -> None:
        """Refuse new deliveries, finish those in flight (at most about a second), end the thread."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_DEADLINE)
        if self._thread.is_alive():
            logger.warning("the webhook receiver at %s did not stop within %.0f s", self.url, _STOP_DEADLINE)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # elsewhere this flag would let two processes share the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._host, self._port))
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
            raise OSError(
                error.errno,
                f"cannot receive webhooks on {self._host}:{self._port} ({reason}): "
                "choose another webhook_port, or 0 for a free one",
            ) from error
        return sock

    def _run(self, serve: Callable[[list[socket.socket]], None], sock: socket.socket) -> None:
        try:
            serve([sock])
        except BaseException as error:  # noqa: BLE001 - uvicorn also ends by SystemExit; the starter must know
            self._failure = error

    def _await_start(self, server: uvicorn.Server, thread: threading.Thread, sock: socket.socket) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                server.should_exit = True
                sock.close()
                raise VideoTranslationError(
                    f"the webhook receiver on {self._host}:{self._port} did not start"
                ) from self._failure
            thread.join(_POLL)


class _Front:
    """Deliveries go straight to the receiver, whatever their path: a proxy may have changed it.

    Through the framework's middlewares and routes each would cost three times as much.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._deliveries = ReceiverApp(receiver)
        self._others = _app(self._deliveries)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            await self._deliveries(scope, receive, send)
        else:
            await self._others(scope, receive, send)


def _app(deliveries: ReceiverApp) -> FastAPI:
    from fastapi import FastAPI, Response  # noqa: PLC0415 - as above

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    async def healthz() -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    # A ready response needs no model, and with that no 80 ms of imports at the first start.
    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=None)
    app.mount("/", deliveries)
    return app
