"""A listening server process: binds its socket, runs `app` behind uvicorn, and ends cleanly on a signal."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from video_translation_server.app import Application, running
from video_translation_server.probe import Probe, unobserved
from video_translation_server.settings import Settings

log = structlog.get_logger("serve")


YOUNG_OBJECTS = 20_000
"""New objects after which the garbage collector looks for cycles among them."""
BACKLOG = 2048
"""Connections that may wait to be accepted; the same as uvicorn's own."""


class _Connection(HttpToolsProtocol):
    """uvicorn's connection, which tells requests how to drop it: a reader that stalls never takes its last bytes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = self.app_state | {"drop": transport.abort}


class Listening(uvicorn.Server):
    """uvicorn that says when it answers, and leaves signals to us.

    Its own handling of them would end the process before our loops have stopped.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], stopping: asyncio.Event) -> None:
        """Call `announce` once requests are answered; set `stopping` before the end."""
        super().__init__(config)
        self._announce = announce
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce it."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what goes on for long, then as uvicorn does."""
        self._stopping.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


def bind(settings: Settings) -> socket.socket:
    """The listening socket; bound first, so that a busy port is an error before anything else has started.

    Raises:
        OSError: The address cannot be bound; the message names it.
    """
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for the old connections' TIME_WAIT.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, settings.port))
        # Two sockets may be bound to one port as long as neither listens: only this claims it.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host} port {settings.port}: {error.strerror}") from error
    return listening


def url_of(listening: socket.socket, host: str) -> str:
    """The URL that callers use for a bound socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


async def serve(settings: Settings, listening: socket.socket, *, probe: Probe = unobserved) -> None:
    """Serve until SIGINT or SIGTERM; a second signal does not wait for requests under way.

    The first line on stdout is `Listening on <url>`, once requests are answered.
    """
    url = url_of(listening, settings.host)
    async with running(settings, url=url, probe=probe) as application:
        spare_the_collector()
        server = Listening(config_for(application, settings), lambda: _announce(url), application.stopping)
        _stop_on_signals(server)
        await server.serve(sockets=[listening])
    log.info("stopped")


def spare_the_collector() -> None:
    """Set the garbage collector up for a process that serves and does nothing else.

    What a started server consists of stays to its end: it is not walked over again. What comes and goes with each
    delivery is freed without the collector, which need not look for cycles among it every 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def config_for(application: Application, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves an application of ours."""
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    return uvicorn.Config(
        application.api,
        loop="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        http=_Connection,
        ws="none",
        timeout_graceful_shutdown=max(1, round(settings.stop_timeout)),
    )


def _announce(url: str) -> None:
    print(f"Listening on {url}", flush=True)  # noqa: T201  (the one line that scripts read)
    log.info("listening", url=url)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """A request that a stop has cut off is no fault: its traceback would only frighten."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _stop_on_signals(server: uvicorn.Server) -> None:
    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
