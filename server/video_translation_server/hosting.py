"""A server on a thread of its own, for programs that have something else to do: started, asked, ended.

Its clock stands still from the start. What a test wants of it is in `testing`.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
import uvicorn

from video_translation_server.app import Application, running
from video_translation_server.serve import Listening, bind, config_for, url_of
from video_translation_server.settings import Settings

T = TypeVar("T")

START_WITHIN = 30.0
"""Real seconds in which a server must answer."""


class Host:
    """Runs one server, from `start` to `stop`.

    Attributes:
        url: Where it answers, once it has been started.
    """

    url: str

    def __init__(self, settings: Settings) -> None:
        """Nothing runs yet."""
        self._settings = settings
        self._started: Future[tuple[Application, _Brief]] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="translation-server", daemon=True)

    def start(self) -> Application:
        """Start it; returns when it answers.

        Raises:
            OSError: The port cannot be had.
            StoreError: The store cannot be opened.
        """
        self._thread.start()
        application, self._server = self._started.result(START_WITHIN)
        return application

    def stop(self) -> None:
        """End it; returns when its thread has ended."""
        self._loop.call_soon_threadsafe(self._server.ended.set)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry work out on its thread; what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            # Whoever waits for the start is told.
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        with contextlib.closing(bind(self._settings)) as listening, _lines_to_logging():
            self.url = url_of(listening, "127.0.0.1" if self._settings.host == "localhost" else self._settings.host)
            async with running(self._settings, url=self.url) as application:
                if application.simulator is not None:
                    await application.simulator.timeline.run(0)
                config = config_for(application, self._settings)
                server = _Brief(config, lambda: self._started.set_result((application, server)), application.stopping)
                await server.serve(sockets=[listening])


class _Brief(Listening):
    """Ends when it is told to, not at its next look."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], stopping: asyncio.Event) -> None:
        super().__init__(config, announce, stopping)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.ended.wait()


@contextlib.contextmanager
def _lines_to_logging() -> Iterator[None]:
    """The server's lines go where the test's own go; a program that has configured structlog keeps its way."""
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *names: logging.getLogger(".".join(("video_translation_server", *names))),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
